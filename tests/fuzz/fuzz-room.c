/* SPDX-License-Identifier: MIT */
/*
 * The room under random events. Bytes are read as a programme: connections come, say lines made
 * of the words that matter (or of anything), go; datagrams, time and announcements between
 * them. After each event the room's tables must agree, and each thing it said must be whole.
 *
 * With --enable-fuzzing libFuzzer makes up the bytes; otherwise main() sweeps over a fixed
 * sequence of them, the same in every run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/room.h"
#include "chat/utf8.h"

#define CONNECTIONS 12
#define PEERS       6
#define TEXT_MAX    8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static bool connected[CONNECTIONS];

static const char *const words[] = {
	"NICK ",
	"USER ",
	"JOIN ",
	"PART ",
	"PRIVMSG ",
	"NOTICE ",
	"TOPIC ",
	"MODE ",
	"KICK ",
	"INVITE ",
	"QUIT",
	"WHO ",
	"WHOIS ",
	"NAMES ",
	"LIST",
	"AWAY ",
	"CAP REQ :",
	"CAP END",
	"CAP LS 302",
	"ISON ",
	"USERHOST ",
	"@label=x ",
	"@+typing=active TAGMSG ",
	"MONITOR + ",
	"MONITOR - ",
	"MONITOR S",
	"WHOWAS ",
	"KNOCK ",
	"SETNAME ",
	"sasl account-notify account-tag",
	"OPER",
	"KILL lily :x",
	"KILL a :x",
	"KILL ",
	"WALLOPS :x",
	"REHASH",
	"KLINE 10.0.0.1",
	"KLINE 1 udp@*0.0 :x",
	"KLINE ",
	"UNKLINE 10.0.0.1",
	"STATS k",
	"MODE a -o+w",
	"AUTHENTICATE PLAIN",
	"AUTHENTICATE SCRAM-SHA-256",
	"AUTHENTICATE EXTERNAL",
	"AUTHENTICATE AGxpbHkAcGFzc3dvcmQ=",
	"AUTHENTICATE ",
	"AUTHENTICATE *",
	"AUTHENTICATE +",
	"REGISTER * * password",
	"REGISTER ",
	"VERIFY ",
	" +b a:lily",
	" +e m:a:*",
	"labeled-response batch message-tags server-time",
	"away-notify extended-join setname invite-notify",
	"@#chat",
	" %tcuihsnfdlaor,1",
	" +beI m:*",
	"a",
	"b",
	"张三",
	"lily",
	"tom",
	"#chat",
	"#o",
	"foster",
	"!status",
	"#x",
	"#y",
	" ",
	" ",
	" ",
	",",
	":",
	" :",
	"+o ",
	"-o ",
	"+b ",
	"-b ",
	"+v ",
	"+qaoh a a b b",
	"-qaoh a b a b",
	"MODE #chat +q lily",
	"%#chat",
	"+k ",
	"-k",
	"+l 2",
	"+imnpst",
	"-imnpst",
	"*!*@*",
	"\1ACTION x\1",
	"管理员",
	"multi-prefix",
	"userhost-in-names",
	"echo-message",
	"0",
	"u 0 * :r",
	"\xff",
	"\xe4\xb8",
	"\00304",
	"@t=1 ",
	"L ",
	"C ",
	"Q ",
	"E ",
	"hello",
	"JOIN #chat",
	"JOIN #x",
	"NICK a",
	"NICK b",
	"USER u 0 * :r",
	"L lily",
	"L tom",
	"C lily hi",
	"Q lily",
	"KICK #chat lily",
	"PRIVMSG #chat :hi",
	"JOIN 0",
	"CHATHISTORY ",
	"CHATHISTORY LATEST #chat * 5",
	"CHATHISTORY TARGETS timestamp=1970-01-01T00:00:00Z timestamp=2100-01-01T00:00:00Z 9",
	"BEFORE ",
	"AROUND ",
	"BETWEEN ",
	"timestamp=2026-02-29T23:59:60.9999Z ",
	"timestamp=",
	"msgid=1-1 ",
	" 5",
	"draft/chathistory draft/event-playback",
	"CAP REQ :batch message-tags server-time draft/event-playback",
	"-H",
};

static void fail(const char *what)
{
	fprintf(stderr, "fuzz-room: %s\n", what);
	abort();
}

static void on_send(void *arg, uint32_t id, const char *data, size_t size)
{
	const char *blank = data[0] == '@' ? memchr(data, ' ', size) : NULL;
	size_t tags = blank ? blank + 1 - data : 0;

	if (id >= CONNECTIONS || !connected[id])
		fail("a line for nobody");
	if (size - tags < 3 || size - tags > 512 || tags > TEXT_MAX ||
	    memcmp(data + size - 2, "\r\n", 2) != 0)
		fail("a line that is none");
	if (memchr(data, '\n', size - 1) || memchr(data, '\r', size - 2) ||
	    memchr(data, '\0', size))
		fail("two lines in one");
	if (!utf8_is_valid(data, size))
		fail("a line that is not UTF-8");
}

static void on_close(void *arg, uint32_t id)
{
	if (id >= CONNECTIONS || !connected[id])
		fail("nobody is closed");
	connected[id] = false;
}

static struct room_command commander; /* who asked last in the operators' channel */

static bool on_command(void *arg, const struct room_command *command)
{
	if (!command->text || !command->nick || !connected[command->id])
		fail("nobody asks");
	commander = *command;
	return commander.text[1] != 's';
}

static void on_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
	if (size == 0 || size > 1024)
		fail("a datagram of a wrong size");
	if (!utf8_is_valid(data, size))
		fail("a datagram that is not UTF-8");
	if (size > 1 && memchr(data + 1, '\n', size - 1))
		fail("a datagram of two lines");
}

/* The host: what was asked last of each connection, and is not answered. */
static struct {
	uint64_t serial;
	bool waits;
} asked[CONNECTIONS];

static void on_ask(void *arg, const struct room_question *question)
{
	if (question->id >= CONNECTIONS)
		fail("a question of nobody");
	if (question->kind != ROOM_ASKS_NO_MORE && !connected[question->id])
		fail("a question of somebody who has gone");
	if (question->kind == ROOM_ASKS_REGISTER && (!question->account || !question->password))
		fail("half a question");
	if (question->kind != ROOM_ASKS_NO_MORE && asked[question->id].waits)
		fail("two questions at once");
	asked[question->id].serial = question->serial;
	asked[question->id].waits = question->kind != ROOM_ASKS_NO_MORE;
}

/* The history: what was kept last, and what was asked for. */
#define KEPT    8
#define QUERIES 4
static struct {
	char text[TEXT_MAX];
	struct history_item item;
} kept[KEPT];
static size_t n_kept, n_queries;
static struct history_query *queries[QUERIES];

static void on_keep(void *arg, const struct history_record *record)
{
	size_t i = n_kept++ % KEPT;

	if (record->line_size == 0 || record->line_size > 510 ||
	    memchr(record->line, '\n', record->line_size) ||
	    memchr(record->line, '\r', record->line_size) ||
	    !utf8_is_valid(record->line, record->line_size))
		fail("something is kept that is no line");
	if (record->id.number == 0 || record->tags_size + record->line_size + 2 > TEXT_MAX)
		fail("something is kept without an id, or with too much");
	memcpy(kept[i].text, record->tags, record->tags_size);
	kept[i].text[record->tags_size] = '\0';
	memcpy(kept[i].text + record->tags_size + 1, record->line, record->line_size);
	kept[i].text[record->tags_size + 1 + record->line_size] = '\0';
	kept[i].item = (struct history_item){ .id = record->id,
					      .time = record->time,
					      .event = record->kind == HISTORY_EVENT,
					      .line = (uint32_t)record->tags_size + 1 };
}

static int on_fetch(void *arg, struct history_query *query)
{
	if (query->connection >= CONNECTIONS || !connected[query->connection] ||
	    query->limit == 0 || query->limit > HISTORY_LIMIT)
		fail("a question of nobody, or without a limit");
	if (n_queries == QUERIES)
		return -11;
	queries[n_queries++] = query;
	return 0;
}

static void forget_queries(void)
{
	while (n_queries > 0)
		free(queries[--n_queries]);
}

/* Whether it is what was asked for does not matter to the room. */
static void answer_query(struct room *room, uint8_t what)
{
	struct history_query *query = n_queries > 0 ? queries[n_queries - 1] : NULL;
	struct history_answer result = { .error = what % 4 == 0 ? -5 : 0 };
	char target[] = "#chat";

	if (!query)
		return;
	n_queries--;
	if (result.error == 0 && n_kept > 0) {
		result.items = &kept[what % MIN(n_kept, KEPT)].item;
		result.text = kept[what % MIN(n_kept, KEPT)].text;
		result.n_items = 1;
	}
	if (query->verb == HISTORY_TARGETS && result.n_items) {
		struct history_item item = { .time = what };

		result.items = &item;
		result.text = target;
		room_history(room, query, &result);
	} else {
		room_history(room, query, &result);
	}
	free(query);
}

static uint8_t take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

static size_t make_text(struct input *in, char *buf, size_t room)
{
	size_t n = 0;

	for (int i = take(in) % 8; i >= 0; i--) {
		uint8_t byte = take(in);
		const char *word = words[byte % ELEMENTSOF(words)];
		size_t size = strlen(word);

		if (byte >= 240) { /* anything, and sometimes much of it */
			char any = (char)take(in);

			for (int k = take(in) * (byte == 255 ? 4 : 1); k >= 0 && n < room; k--)
				buf[n++] = any;
			continue;
		}
		size = MIN(size, room - n);
		memcpy(buf + n, word, size);
		n += size;
	}
	return n;
}

static void open_or_say(struct room *room, struct input *in)
{
	uint32_t id = take(in) % CONNECTIONS;
	char text[2048];

	if (connected[id]) {
		room_line(room, id, text, make_text(in, text, sizeof(text)));
		return;
	}
	connected[id] = true;
	if (room_opened(room, id, id % 2 ? "10.0.0.1" : "::1") < 0)
		fail("not opened");
	asked[id].waits = false;
	if (take(in) % 2)
		room_secured(room, id, take(in) % 2 ? "c0ffee" : NULL);
}

static void send_datagram(struct room *room, struct input *in)
{
	struct course_peer peer = { .family = AF_INET };
	char text[2048];

	peer.port = take(in) % PEERS;
	room_datagram(room, &peer, text, make_text(in, text, sizeof(text)));
}

static void answer(struct room *room, struct input *in)
{
	uint32_t id = take(in) % CONNECTIONS;
	struct room_answer result = { .id = id, .serial = asked[id].serial };

	result.verdict = take(in) % (ROOM_UNABLE + 1);
	result.account = take(in) % 2 ? "lily" : "a";
	result.data = "n,,n=user,r=x";
	result.size = take(in) % 14;
	/* An answer that nobody waits for any more is passed over. */
	asked[id].waits = false;
	room_answer(room, &result);
}

static void set_accounts(struct room *room, struct input *in)
{
	static const struct room_owned owned[] = { { "lily", "lily" },
						   { "a", "a" },
						   { "张三", "lily" } };

	if (room_set_accounts(room, owned, take(in) % (ELEMENTSOF(owned) + 1)) < 0)
		fail("no accounts");
}

static void close_one(struct room *room, struct input *in)
{
	uint32_t id = take(in) % CONNECTIONS;

	if (connected[id]) {
		connected[id] = false;
		room_closed(room, id, "gone");
	}
}

static void step(struct room *room, struct input *in, uint64_t *now)
{
	uint8_t what = take(in);

	if (what < 143) {
		open_or_say(room, in);
	} else if (what < 150) {
		answer_query(room, what);
	} else if (what < 225) {
		send_datagram(room, in);
	} else if (what < 240) {
		close_one(room, in);
	} else if (what < 246) {
		answer(room, in);
	} else if (what < 247) {
		set_accounts(room, in);
	} else if (what < 252) {
		*now += take(in) * USEC_PER_SEC;
		room_set_time(room, *now, *now);
		room_tick(room);
	} else if (what < 254) {
		room_announce(room, what == 252 ? "" : "all\nof\xff you");
	} else if (what == 254) {
		room_operators_say(room, "web: \x02up\xff\n\nagain", "foster/service=web");
	} else {
		room_operators_answer(room, &commander,
				      "so\nit\x03"
				      "4is");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char everywhere[] = "*", *masks[] = { everywhere, NULL };
	static char *server_operators[] = { (char *)"lily", NULL };
	const struct room_config config = { .server_name = "s",
					    .network = "n",
					    .version = "v",
					    .course_channel = "#chat",
					    .operators_channel = "#o",
					    .operators_open = true,
					    .nick_length = 32,
					    .accounts = true,
					    .server_operators = server_operators,
					    .account_registration = true,
					    .nick_protection = true,
					    .registration_timeout = 30 * USEC_PER_SEC,
					    .ping_interval = 120 * USEC_PER_SEC,
					    .ping_timeout = 60 * USEC_PER_SEC,
					    .course_timeout = 600 * USEC_PER_SEC,
					    .channels_per_user = 3,
					    .channels_max = 5,
					    .bans_per_channel = 3,
					    .course_users_max = 4,
					    .course_rate = 10,
					    .course_burst = 20,
					    .history = true,
					    .history_channels = masks,
					    .history_on_join = 2 };
	static const struct room_output output = { .send = on_send,
						   .close = on_close,
						   .datagram = on_datagram,
						   .ask = on_ask,
						   .command = on_command,
						   .keep = on_keep,
						   .fetch = on_fetch };
	struct room *room = room_new(&config, &output);
	struct input in = { data, size };
	uint64_t now = USEC_PER_SEC;

	if (!room)
		return 0;
	memset(connected, 0, sizeof(connected));
	memset(asked, 0, sizeof(asked));
	memset(&commander, 0, sizeof(commander));
	n_kept = 0;
	room_set_time(room, now, now);
	while (in.size > 0) {
		const char *what;

		step(room, &in, &now);
		if (room_check(room, &what) < 0)
			fail(what);
	}
	room_free(room);
	forget_queries();
	return 0;
}

#ifndef FUZZING
#define RUNS     40
#define RUN_SIZE 16384

/* xorshift64: the same numbers everywhere. */
static uint64_t next_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

int main(void)
{
	static uint8_t data[RUN_SIZE];
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	for (int run = 0; run < RUNS; run++) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = next_number(&state) >> 32;
		LLVMFuzzerTestOneInput(data, sizeof(data));
	}
	return 0;
}
#endif
