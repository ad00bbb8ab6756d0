/* SPDX-License-Identifier: MIT */
/* The options of chat.conf, a row each, and their values: see chat-options.h. */
#include "chat/chat-options.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/strv.h"
#include "base/units.h"
#include "chat/chat-config.h"
#include "chat/listen.h"
#include "chat/names.h"
#include "chat/operators.h"
#include "chat/utf8.h"

#define ROOM(member)   offsetof(struct chat_config, room.member)
#define LIMIT(member)  offsetof(struct chat_config, limits.member)
#define CONFIG(member) offsetof(struct chat_config, member)

/* clang-format off */
const struct option_row chat_options[] = {
	{ "server-name",                 KIND_WORD,      CONFIG(server_name),            "chat.foster", 1, 63 },
	{ "network",                     KIND_WORD,      CONFIG(network),                "foster", 1, 63 },
	{ "irc-listen",                  KIND_ADDRESSES, CONFIG(irc_listen),             "127.0.0.1:6667 [::1]:6667", 0, 0 },
	{ "tls-listen",                  KIND_ADDRESSES, CONFIG(tls_listen),             "", 0, 0 },
	{ "tls-certificate",             KIND_TEXT,      CONFIG(tls_certificate),        NULL, 1, 4095 },
	{ "tls-key",                     KIND_TEXT,      CONFIG(tls_key),                NULL, 1, 4095 },
	{ "plaintext",                   KIND_CHOICE,    CONFIG(plaintext),              "loopback", 0, 0, "loopback anywhere" },
	{ "sts-duration",                KIND_DURATION,  ROOM(sts_duration),             "0", 0, 315360000 },
	{ "sts-port",                    KIND_COUNT,     ROOM(sts_port),                 "6697", 1, 65535 },
	{ "course-listen",               KIND_ADDRESSES, CONFIG(course_listen),          "127.0.0.1:8888 [::1]:8888", 0, 0 },
	{ "course-channel",              KIND_CHANNEL,   CONFIG(course_channel),         "#chat", 0, 0 },
	{ "motd",                        KIND_LINES,     CONFIG(motd),                   "", 0, 400 },
	{ "motd-file",                   KIND_TEXT,      CONFIG(motd_file),              NULL, 1, 4095 },
	{ "password",                    KIND_WORD,      CONFIG(password),               NULL, 1, 200 },
	{ "cloak-key",                   KIND_WORD,      CONFIG(cloak_key),              NULL, 16, 200 },
	{ "state-directory",             KIND_TEXT,      CONFIG(state_directory),        NULL, 1, 3000 },
	{ "user",                        KIND_WORD,      CONFIG(user),                   NULL, 1, 32 },
	{ "sandbox",                     KIND_CHOICE,    CONFIG(sandbox),                "auto", 0, 0, "auto required off" },
	{ "accounts",                    KIND_SWITCH,    ROOM(accounts),                 "off", 0, 0 },
	{ "account-registration",        KIND_SWITCH,    ROOM(account_registration),     "off", 0, 0 },
	{ "nick-protection",             KIND_SWITCH,    ROOM(nick_protection),          "on", 0, 0 },
	{ "plain-passwords",             KIND_SWITCH,    ROOM(plain_passwords),          "off", 0, 0 },
	{ "server-operators",            KIND_LINES,     CONFIG(server_operators),       "", 1, ROOM_NICK_MAX },
	{ "operators-channel",           KIND_CHANNEL,   CONFIG(operators.channel),      "#ops", 0, 1 },
	{ "operators-open",              KIND_SWITCH,    ROOM(operators_open),           "off", 0, 0 },
	{ "operators",                   KIND_OPERATORS, CONFIG(operators.accounts),     "", 0, 0 },
	{ "operators-protected",         KIND_LINES,     CONFIG(operators.protected),    "", 1, 255 },
	{ "operators-log",               KIND_LINES,     CONFIG(operators.show_log),     "", 1, 255 },
	{ "operators-redact",            KIND_REGEXES,   CONFIG(operators.redact),       "", 1, 1000 },
	{ "history",                     KIND_SWITCH,    ROOM(history),                  "off", 0, 0 },
	{ "history-channels",            KIND_LINES,     CONFIG(history_channels),       "*", 1, 64 },
	{ "history-age",                 KIND_DURATION,  CONFIG(history.age),            "30d", 1, 315360000 },
	{ "history-messages",            KIND_COUNT,     CONFIG(history.messages),       "10000", 0, 100000000 },
	{ "history-on-join",             KIND_COUNT,     ROOM(history_on_join),          "0", 0, HISTORY_LIMIT },
	{ "max-connections",             KIND_COUNT,     LIMIT(max),                     "20000", 0, 1000000 },
	{ "max-connections-per-address", KIND_COUNT,     LIMIT(max_per_address),         "100", 0, 1000000 },
	{ "flood-rate",                  KIND_COUNT,     LIMIT(flood_rate),              "20", 0, 1000000 },
	{ "flood-burst",                 KIND_COUNT,     LIMIT(flood_burst),             "200", 1, 1000000 },
	{ "send-queue",                  KIND_SIZE,      LIMIT(send_queue),              "1M", 16384, 256 << 20 },
	{ "send-queue-total",            KIND_SIZE,      LIMIT(send_queue_total),        "256M", 1 << 20, UINT64_C(64) << 30 },
	{ "nick-length",                 KIND_COUNT,     ROOM(nick_length),              "32", 9, ROOM_NICK_MAX },
	{ "channels-per-user",           KIND_COUNT,     ROOM(channels_per_user),        "50", 1, 10000 },
	{ "max-channels",                KIND_COUNT,     ROOM(channels_max),             "10000", 1, 1000000 },
	{ "max-bans",                    KIND_COUNT,     ROOM(bans_per_channel),         "100", 0, 1000 },
	{ "registration-timeout",        KIND_DURATION,  ROOM(registration_timeout),     "30s", 1, 3600 },
	{ "ping-interval",               KIND_DURATION,  ROOM(ping_interval),            "2min", 1, 86400 },
	{ "ping-timeout",                KIND_DURATION,  ROOM(ping_timeout),             "1min", 1, 86400 },
	{ "course-timeout",              KIND_DURATION,  ROOM(course_timeout),           "10min", 1, 604800 },
	{ "course-users",                KIND_COUNT,     ROOM(course_users_max),         "500", 0, 100000 },
	{ "course-users-per-address",    KIND_COUNT,     ROOM(course_users_per_address), "50", 0, 100000 },
	{ "course-rate",                 KIND_COUNT,     ROOM(course_rate),              "10", 0, 100000 },
	{ "course-burst",                KIND_COUNT,     ROOM(course_burst),             "40", 1, 100000 },
};
/* clang-format on */

_Static_assert(ELEMENTSOF(chat_options) == CHAT_OPTIONS, "a row each");

bool chat_option_is_list(const struct option_row *row)
{
	return row->kind == KIND_LINES || row->kind == KIND_ADDRESSES ||
	       row->kind == KIND_OPERATORS || row->kind == KIND_REGEXES;
}

static int parse_text(const struct option_row *row, const char *text, struct error *e)
{
	size_t size = strlen(text);

	if (size < row->min || size > row->max)
		return error_set(e, -EINVAL, "has %zu bytes; %llu to %llu are allowed", size,
				 (unsigned long long)row->min, (unsigned long long)row->max);
	if (!utf8_is_valid(text, size))
		return error_set(e, -EINVAL, "is not UTF-8");
	if (row->kind == KIND_WORD && text[0] == ':')
		return error_set(e, -EINVAL, "starts with a colon");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* A MOTD may have colours; nothing may have line ends. */
		if (c == '\r' || c == '\n' || (c < ' ' && row->kind != KIND_LINES))
			return error_set(e, -EINVAL,
					 "has control characters in it; a backslash is "
					 "\\\\ between double quotes");
		if (row->kind == KIND_WORD && c == ' ')
			return error_set(e, -EINVAL, "has a blank in it");
	}
	return 0;
}

static int parse_regex(const struct option_row *row, const char *text, struct error *e)
{
	char why[128];
	regex_t re;
	int r = parse_text(row, text, e);

	if (r < 0)
		return r;
	r = regcomp(&re, text, REG_EXTENDED | REG_NOSUB);
	if (r != 0) {
		regerror(r, &re, why, sizeof(why));
		return error_set(e, -EINVAL, "\"%.60s\" is no regular expression: %s", text, why);
	}
	regfree(&re);
	return 0;
}

static int parse_number(const struct option_row *row, const char *text, uint64_t *ret,
			struct error *e)
{
	int64_t n;

	if (parse_int(text, (int64_t)row->min, (int64_t)row->max, &n) < 0)
		return error_set(e, -EINVAL, "\"%.40s\" is no whole number from %llu to %llu", text,
				 (unsigned long long)row->min, (unsigned long long)row->max);
	*ret = (uint64_t)n;
	return 0;
}

static int parse_bool(const char *text, bool *ret)
{
	static const char *const words[][2] = { { "off", "on" },
						{ "no", "yes" },
						{ "false", "true" } };

	for (size_t i = 0; i < ELEMENTSOF(words); i++) {
		for (int k = 0; k < 2; k++) {
			if (strcmp(text, words[i][k]) == 0) {
				*ret = k;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static int parse_switch(const char *text, uint64_t *ret, struct error *e)
{
	bool on;

	if (parse_bool(text, &on) < 0)
		return error_set(e, -EINVAL, "\"%.40s\" is neither on nor off", text);
	*ret = on;
	return 0;
}

/* As it would be written: "1s", "10min", "7d". */
static const char *duration(uint64_t seconds, char buf[32])
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
	size_t i = 0;

	while (seconds == 0 ? i + 1 < ELEMENTSOF(units) : seconds % units[i].seconds != 0)
		i++;
	snprintf(buf, 32, "%llu%s", (unsigned long long)(seconds / units[i].seconds),
		 units[i].name);
	return buf;
}

static int parse_time(const struct option_row *row, const char *text, uint64_t *ret,
		      struct error *e)
{
	char from[32], to[32];
	int r = parse_duration(text, ret);

	if (r == 0 && *ret == USEC_INFINITY) {
		*ret = 0;
		return 0;
	}
	if (r == 0 && *ret >= row->min * USEC_PER_SEC && *ret <= row->max * USEC_PER_SEC)
		return 0;
	return error_set(e, -EINVAL,
			 "\"%.40s\" is no duration from %s to %s, as in \"90s\", \"2min\"; "
			 "\"infinity\" is never",
			 text, duration(row->min, from), duration(row->max, to));
}

static int parse_bytes(const struct option_row *row, const char *text, uint64_t *ret,
		       struct error *e)
{
	if (parse_size(text, ret) == 0 && *ret >= row->min && *ret <= row->max)
		return 0;
	return error_set(e, -EINVAL,
			 "\"%.40s\" is no size from %lluK to %lluM, as in \"512K\", \"1M\"", text,
			 (unsigned long long)row->min >> 10, (unsigned long long)row->max >> 20);
}

static int parse_choice(const struct option_row *row, const char *text, uint64_t *ret,
			struct error *e)
{
	const char *word = row->choices;
	size_t size = strlen(text);

	for (uint64_t i = 0; *word; i++) {
		size_t n = strcspn(word, " ");

		if (n == size && strncmp(word, text, n) == 0) {
			*ret = i;
			return 0;
		}
		word += n + strspn(word + n, " ");
	}
	return error_set(e, -EINVAL, "\"%.40s\" is none of: %s", text, row->choices);
}

int chat_option_parse(const struct option_row *row, const char *text, uint64_t *ret,
		      struct error *e)
{
	struct sockaddr_storage address;
	socklen_t length;

	switch (row->kind) {
	case KIND_WORD:
	case KIND_TEXT:
	case KIND_LINES: return parse_text(row, text, e);
	case KIND_ADDRESSES: return listen_parse(text, &address, &length, e);
	case KIND_COUNT: return parse_number(row, text, ret, e);
	case KIND_SIZE: return parse_bytes(row, text, ret, e);
	case KIND_SWITCH: return parse_switch(text, ret, e);
	case KIND_OPERATORS: return operator_check(text, e);
	case KIND_REGEXES: return parse_regex(row, text, e);
	case KIND_DURATION: return parse_time(row, text, ret, e);
	case KIND_CHOICE: return parse_choice(row, text, ret, e);
	case KIND_CHANNEL:
		if (name_is_channel(text, ROOM_CHANNEL_MAX) || (!*text && row->max))
			return 0;
		return error_set(e, -EINVAL,
				 "\"%.80s\" is no channel: \"#\" and at most %d bytes more, "
				 "without blanks, commas and colons",
				 text, ROOM_CHANNEL_MAX - 1);
	}
	return -EINVAL;
}

int chat_option_store(struct chat_config *config, const struct option_row *row, const char *text)
{
	void *at = (char *)config + row->offset;
	struct error ignored;
	uint64_t number = 0;
	char *copy;
	int r = chat_option_parse(row, text, &number, &ignored);

	if (r < 0)
		return r;
	if (chat_option_is_list(row))
		return strv_push(at, text);
	switch (row->kind) {
	case KIND_CHOICE:
	case KIND_COUNT: *(uint32_t *)at = (uint32_t)number; return 0;
	case KIND_SIZE: *(size_t *)at = (size_t)number; return 0;
	case KIND_DURATION: *(uint64_t *)at = number; return 0;
	case KIND_SWITCH: *(bool *)at = number; return 0;
	default: break;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*(char **)at);
	*(char **)at = copy;
	return 0;
}

int chat_option_store_default(struct chat_config *config, const struct option_row *row)
{
	_cleanup_free_ char *items = NULL;
	char *save = NULL;
	int r = 0;

	if (!row->value)
		return 0;
	if (!chat_option_is_list(row))
		return chat_option_store(config, row, row->value);
	items = strdup(row->value);
	if (!items)
		return -ENOMEM;
	for (char *i = strtok_r(items, " ", &save); i && r == 0; i = strtok_r(NULL, " ", &save))
		r = chat_option_store(config, row, i);
	return r;
}
