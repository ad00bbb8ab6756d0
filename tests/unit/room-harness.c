/* SPDX-License-Identifier: MIT */
/* A room without a network: see room-harness.h. */
#include "room-harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/units.h"

#define OUT_MAX (256 * 1024)

struct room *room;
struct room_config room_config;
struct course_peer last_peer;
struct asked asked;
int n_asked;

static char out[HARNESS_IDS][OUT_MAX], course_out[HARNESS_PEERS][OUT_MAX];
static size_t out_size[HARNESS_IDS], course_size[HARNESS_PEERS];
static bool closed[HARNESS_IDS];
static uint64_t last_serial[HARNESS_IDS];
static bool made_with_accounts;
static char commands[OUT_MAX];
static size_t commands_size;
static uint64_t now;
struct room_command last_command;

static void append(char *buf, size_t *size, const char *data, size_t n)
{
	assert_true(*size + n < OUT_MAX);
	memcpy(buf + *size, data, n);
	*size += n;
	buf[*size] = '\0';
}

/* A message has fifteen parameters, of which the last may have blanks in it (RFC 2812, 2.3). */
static void check_parameters(const char *data, size_t size)
{
	const char *end = data + size, *p = data;
	int n = 0;

	while (p && (*p == '@' || *p == ':')) { /* tags, source */
		p = memchr(p, ' ', end - p);
		p += p != NULL;
	}
	while (p && (p = memchr(p, ' ', end - p)) != NULL && p + 1 < end) {
		n++;
		if (*++p == ':')
			break;
	}
	assert_in_range(n, 0, 15);
}

/* Every send is whole lines of at most 512 bytes; CR is taken off to read better. */
static void on_send(void *arg, uint32_t id, const char *data, size_t size)
{
	assert_true(id < HARNESS_IDS);
	assert_false(closed[id]);
	assert_in_range(size, 3, 512);
	assert_memory_equal(data + size - 2, "\r\n", 2);
	assert_null(memchr(data, '\0', size));
	assert_ptr_equal(memchr(data, '\r', size), data + size - 2);
	assert_ptr_equal(memchr(data, '\n', size), data + size - 1);
	check_parameters(data, size - 2);
	append(out[id], &out_size[id], data, size - 2);
	append(out[id], &out_size[id], "\n", 1);
}

static void on_close(void *arg, uint32_t id)
{
	assert_true(id < HARNESS_IDS);
	closed[id] = true;
}

static void on_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
	int n = peer->address[3];

	last_peer = *peer;
	assert_in_range(size, 1, 1024);
	append(course_out[n], &course_size[n], data, size);
	append(course_out[n], &course_size[n], "|", 1);
}

static void on_ask(void *arg, const struct room_question *question)
{
	n_asked++;
	asked = (struct asked){ .kind = question->kind,
				.mechanism = question->mechanism,
				.id = question->id,
				.place = question->place,
				.serial = question->serial,
				.size = question->size };
	assert_true(question->size < sizeof(asked.data));
	if (question->size > 0)
		memcpy(asked.data, question->data, question->size);
	snprintf(asked.account, sizeof(asked.account), "%s",
		 question->account ? question->account : "");
	snprintf(asked.password, sizeof(asked.password), "%s",
		 question->password ? question->password : "");
	snprintf(asked.fingerprint, sizeof(asked.fingerprint), "%s",
		 question->fingerprint ? question->fingerprint : "");
	if (question->kind != ROOM_ASKS_NO_MORE)
		last_serial[question->id] = question->serial;
}

/* "#nick text" of one in the channel, "nick text" of one in private; a line each. */
static bool on_command(void *arg, const struct room_command *command)
{
	char text[OUT_MAX];
	int n = snprintf(text, sizeof(text), "%s%s %s\n", command->in_channel ? "#" : "",
			 command->nick, command->text);

	last_command = *command;
	assert_in_range(n, 1, (int)sizeof(text) - 1);
	append(commands, &commands_size, text, n);
	return strstr(command->text, "not-now") == NULL;
}

const char *take_commands(void)
{
	static char taken[OUT_MAX];

	memcpy(taken, commands, commands_size + 1);
	commands_size = 0;
	commands[0] = '\0';
	return taken;
}

static char operations[1024];

static void on_operate(void *arg, const struct room_operation *o)
{
	static const char *const names[] = { [ROOM_REHASH] = "REHASH",
					     [ROOM_KILL] = "KILL",
					     [ROOM_KLINE] = "KLINE",
					     [ROOM_UNKLINE] = "UNKLINE" };
	size_t n = strlen(operations);

	snprintf(operations + n, sizeof(operations) - n, "%s %s: %s, by %s, for %llu\n",
		 names[o->kind], o->target ? o->target : "-", o->reason ? o->reason : "-", o->by,
		 (unsigned long long)(o->until ? (o->until - o->at) / USEC_PER_SEC : 0));
}

static void check(void)
{
	const char *what;

	if (room_check(room, &what) < 0)
		fail_msg("the room's tables: %s", what);
}

struct room_output room_output;

static void make_room(void)
{
	room = room_new(&room_config, &room_output);
	assert_non_null(room);
	room_set_time(room, now, UINT64_C(1600000000) * USEC_PER_SEC);
}

void harness_again(void)
{
	room_free(room);
	make_room();
}

static void start(const char *operators_channel)
{
	room_output = (struct room_output){ .send = on_send,
					    .close = on_close,
					    .datagram = on_datagram,
					    .ask = on_ask,
					    .command = on_command,
					    .operate = on_operate };
	room_config = (struct room_config){ .server_name = "srv",
					    .network = "net",
					    .version = "foster-test",
					    .course_channel = "#chat",
					    .operators_channel = operators_channel,
					    .nick_length = 32,
					    .secret = { 1, 2 },
					    .registration_timeout = 30 * USEC_PER_SEC,
					    .ping_interval = 120 * USEC_PER_SEC,
					    .ping_timeout = 60 * USEC_PER_SEC,
					    .course_timeout = 600 * USEC_PER_SEC,
					    .channels_per_user = 5,
					    .channels_max = 100,
					    .bans_per_channel = 5,
					    .course_users_max = 5,
					    .course_users_per_address = 2,
					    .course_rate = 10,
					    .course_burst = 20 };
	memset(closed, 0, sizeof(closed));
	forget_all();
	take_commands();
	now = 1000 * USEC_PER_SEC;
	n_asked = 0;
	operations[0] = '\0';
	made_with_accounts = false;
	make_room();
}

int harness_start(void **state)
{
	start(NULL);
	return 0;
}

int harness_start_operators(void **state)
{
	start("#ops");
	return 0;
}

void with_accounts(const char *first_nick, ...)
{
	struct room_owned owned[8];
	const char *nick = first_nick;
	size_t n = 0;
	va_list ap;

	va_start(ap, first_nick);
	for (; nick; nick = va_arg(ap, const char *))
		owned[n++] = (struct room_owned){ nick, va_arg(ap, const char *) };
	va_end(ap);
	room_config.accounts = room_config.nick_protection = room_config.plain_passwords = true;
	if (!made_with_accounts) {
		room_free(room);
		make_room();
		made_with_accounts = true;
	}
	assert_int_equal(room_set_accounts(room, owned, n), 0);
}

void answer(uint32_t id, enum room_verdict verdict, const char *text)
{
	struct room_answer result = { .id = id,
				      .serial = last_serial[id],
				      .verdict = verdict,
				      .account = text,
				      .data = text,
				      .size = text ? strlen(text) : 0 };

	room_answer(room, &result);
	check();
}

void log_in_as(uint32_t id, const char *account)
{
	line(id, "AUTHENTICATE PLAIN");
	line(id, "AUTHENTICATE AGEAYg==");
	answer(id, ROOM_GRANTED, account);
	expect_part(id, " 903 ");
	forget(id);
}

int harness_stop(void **state)
{
	room_free(room);
	room = NULL;
	return 0;
}

void open_irc(uint32_t id)
{
	char host[32];

	snprintf(host, sizeof(host), "10.0.0.%u", id);
	closed[id] = false;
	assert_int_equal(room_opened(room, id, host), 0);
	check();
}

void line(uint32_t id, const char *text)
{
	room_line(room, id, text, strlen(text));
	check();
}

void enter(uint32_t id, const char *nick)
{
	char text[600];

	open_irc(id);
	snprintf(text, sizeof(text), "NICK %s", nick);
	line(id, text);
	snprintf(text, sizeof(text), "USER %s 0 * :Real %s", nick, nick);
	line(id, text);
	expect_part(id, " 001 ");
	forget(id);
}

void close_irc(uint32_t id, const char *reason)
{
	room_closed(room, id, reason);
	check();
}

void datagram_bytes(int n, const void *data, size_t size)
{
	struct course_peer peer = { .family = AF_INET,
				    .port = 7,
				    .address = { 10, 1, 0, (uint8_t)n } };

	room_datagram(room, &peer, data, size);
	check();
}

void datagram(int n, const char *text)
{
	datagram_bytes(n, text, strlen(text));
}

void pass_time(uint64_t usec)
{
	now += usec;
	room_set_time(room, now, UINT64_C(1600000000) * USEC_PER_SEC + now);
	room_tick(room);
	check();
}

static void fail_with(const char *got, const char *want, const char *file, int at)
{
	print_error("%s:%d: got\n%s\n-- want\n%s\n", file, at, got, want);
	_fail(file, at);
}

void expect_at(uint32_t id, const char *text, const char *file, int at)
{
	if (strcmp(out[id], text) != 0)
		fail_with(out[id], text, file, at);
	forget(id);
}

void expect_operation_at(const char *text, const char *file, int at)
{
	if (strcmp(operations, text) != 0)
		fail_with(operations, text, file, at);
	operations[0] = '\0';
}

void expect_part_at(uint32_t id, const char *text, bool wanted, const char *file, int at)
{
	if ((strstr(out[id], text) != NULL) != wanted)
		fail_with(out[id], text, file, at);
}

const char *told(uint32_t id)
{
	return out[id];
}

void forget(uint32_t id)
{
	out_size[id] = 0;
	out[id][0] = '\0';
}

void forget_all(void)
{
	for (int i = 0; i < HARNESS_IDS; i++)
		forget(i);
	for (int i = 0; i < HARNESS_PEERS; i++) {
		course_size[i] = 0;
		course_out[i][0] = '\0';
	}
}

bool is_closed(uint32_t id)
{
	return closed[id];
}

void expect_course_at(int n, const char *text, const char *file, int at)
{
	if (strcmp(course_out[n], text) != 0)
		fail_with(course_out[n], text, file, at);
	course_size[n] = 0;
	course_out[n][0] = '\0';
}

const char *told_course(int n)
{
	return course_out[n];
}
