/* SPDX-License-Identifier: MIT */
/*
 * The room is pure: a long random session is recorded, event by event, and replayed into another
 * room, which must say the same bytes to the same connections in the same order. The second one
 * lives in a heap that was filled with other things, so that neither addresses nor what memory
 * held before can count.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/room.h"

#define CONNECTIONS 20
#define PEERS       6
#define EVENTS      40000
#define TEXT_MAX    600

enum kind {
	OPENED,
	SECURED,
	CLOSED,
	LINE,
	TOO_LONG,
	DATAGRAM,
	TIME,
	ANNOUNCED,
	ANSWERED,
	FETCHED
};

struct event {
	enum kind kind;
	uint32_t id;
	uint64_t number; /* a time, a serial, a query's user */
	uint64_t hash;   /* of all that was said until it was done */
	size_t size;
	char text[TEXT_MAX];
	struct history_query *query; /* FETCHED */
};

static struct event *tape;
static size_t n_events;

/* --- what a room says --- */

struct host {
	struct room *room;
	uint64_t hash, bytes;
	bool connected[CONNECTIONS];
	uint64_t serials[CONNECTIONS]; /* of the last question */
	struct history_query *queries[8];
	size_t n_queries;
};

static void add_to_hash(struct host *host, uint32_t id, const void *data, size_t size)
{
	static const struct hash_key key = { 3, 4 };
	uint64_t whole[3] = { host->hash, id, hash_bytes(&key, data, size) };

	host->bytes += size;
	host->hash = whole[2] << 32 | hash_bytes(&key, whole, sizeof(whole));
}

static void on_send(void *arg, uint32_t id, const char *data, size_t size)
{
	add_to_hash(arg, id, data, size);
}

static void on_close(void *arg, uint32_t id)
{
	struct host *host = arg;

	add_to_hash(host, id, "close", 5);
	host->connected[id] = false;
}

static void on_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
	add_to_hash(arg, 1000 + peer->port, data, size);
}

static void on_ask(void *arg, const struct room_question *question)
{
	struct host *host = arg;

	add_to_hash(host, question->id, &question->serial, sizeof(question->serial));
	host->serials[question->id] = question->serial;
}

static void on_keep(void *arg, const struct history_record *record)
{
	add_to_hash(arg, record->kind, record->line, record->line_size);
	add_to_hash(arg, record->closed, &record->id, sizeof(record->id));
}

static int on_fetch(void *arg, struct history_query *query)
{
	struct host *host = arg;

	add_to_hash(host, query->verb, &query->until, sizeof(query->until));
	if (host->n_queries == ELEMENTSOF(host->queries))
		return -11;
	host->queries[host->n_queries++] = query;
	return 0;
}

static char everywhere[] = "*", *masks[] = { everywhere, NULL };
static const struct room_config config = { .server_name = "s",
					   .network = "n",
					   .version = "v",
					   .course_channel = "#chat",
					   .created = 12345,
					   .nick_length = 32,
					   .secret = { 5, 6 },
					   .accounts = true,
					   .account_registration = true,
					   .nick_protection = true,
					   .plain_passwords = true,
					   .registration_timeout = 30 * USEC_PER_SEC,
					   .ping_interval = 120 * USEC_PER_SEC,
					   .ping_timeout = 60 * USEC_PER_SEC,
					   .course_timeout = 600 * USEC_PER_SEC,
					   .channels_per_user = 5,
					   .channels_max = 20,
					   .bans_per_channel = 5,
					   .course_users_max = 5,
					   .course_rate = 10,
					   .course_burst = 20,
					   .history = true,
					   .history_channels = masks,
					   .history_on_join = 3 };

static void start(struct host *host)
{
	const struct room_output output = { .send = on_send,
					    .close = on_close,
					    .datagram = on_datagram,
					    .ask = on_ask,
					    .keep = on_keep,
					    .fetch = on_fetch,
					    .arg = host };

	memset(host, 0, sizeof(*host));
	host->room = room_new(&config, &output);
	assert_non_null(host->room);
	room_set_time(host->room, 1, 1);
}

static void stop(struct host *host)
{
	room_free(host->room);
	while (host->n_queries > 0)
		free(host->queries[--host->n_queries]);
}

/* --- one event --- */

static void fetched(struct host *host, const struct event *e)
{
	char text[TEXT_MAX + 1];
	struct history_item item = {
		.id = { 1, e->number }, .time = e->number, .line = 0, .tags = 0
	};
	struct history_answer answer = { .items = &item, .n_items = 1, .text = text };

	snprintf(text, sizeof(text), "%s", e->text);
	item.tags = (uint32_t)strlen(text);
	room_history(host->room, e->query, &answer);
}

static void happen(struct host *host, const struct event *e)
{
	struct room *room = host->room;
	const struct course_peer peer = { .family = AF_INET, .port = (uint16_t)e->id };
	const struct room_answer answer = { .id = e->id,
					    .serial = e->number,
					    .verdict = e->size % (ROOM_UNABLE + 1),
					    .data = "c=biws",
					    .size = 6,
					    .account = e->text };

	switch (e->kind) {
	case OPENED:
		host->connected[e->id] = true;
		assert_int_equal(room_opened(room, e->id, e->text), 0);
		break;
	case SECURED: room_secured(room, e->id, e->size ? e->text : NULL); break;
	case CLOSED:
		host->connected[e->id] = false;
		room_closed(room, e->id, e->text);
		break;
	case LINE: room_line(room, e->id, e->text, e->size); break;
	case TOO_LONG: room_line_too_long(room, e->id); break;
	case DATAGRAM: room_datagram(room, &peer, e->text, e->size); break;
	case TIME:
		room_set_time(room, e->number, e->number + 7);
		room_tick(room);
		break;
	case ANNOUNCED: room_announce(room, e->text); break;
	case ANSWERED: room_answer(room, &answer); break;
	case FETCHED: fetched(host, e); break;
	}
}

/* --- the session --- */

static uint64_t state = UINT64_C(88172645463325252);

static uint32_t chance(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static const char *const lines[] = {
	"NICK %s",
	"USER %s 0 * :Real",
	"JOIN #chat",
	"JOIN #%s",
	"PART #%s :bye",
	"PRIVMSG #%s :hello \xe4\xb8\xad",
	"PRIVMSG %s :psst",
	"NOTICE #chat :\1ACTION waves\1",
	"MODE #%s +imk key",
	"MODE #%s -imk key",
	"MODE #%s +b *!*@10.0.0.1",
	"MODE #chat +o %s",
	"TOPIC #%s :topic",
	"KICK #chat %s",
	"INVITE %s #chat",
	"WHO #%s %%tcuihsnfdlaor,1",
	"WHOIS %s",
	"WHOWAS %s",
	"NAMES #%s",
	"LIST",
	"MONITOR + %s,b",
	"AWAY :%s",
	"CAP LS 302",
	"CAP REQ :batch message-tags server-time labeled-response echo-message",
	"CAP REQ :draft/chathistory draft/event-playback account-tag extended-join",
	"CAP END",
	"@label=%s CHATHISTORY LATEST #chat * 5",
	"CHATHISTORY BETWEEN #%s timestamp=1970-01-01T00:00:00Z msgid=3039-5 9",
	"CHATHISTORY TARGETS timestamp=1970-01-01T00:00:00Z timestamp=2100-01-01T00:00:00Z 9",
	"AUTHENTICATE PLAIN",
	"AUTHENTICATE AGxpbHkAcGFzc3dvcmQ=",
	"REGISTER %s * password",
	"SETNAME :%s",
	"LUSERS",
	"STATS u",
	"TIME",
	"@+typing=active TAGMSG #%s",
	"\xff\xfe broken",
	"QUIT :%s",
};

static const char *const names[] = { "a", "b", "lily", "tom", "x", "张三", "chat", "[z]" };

static const char *const datagrams[] = { "L %s", "C %s hello", "Q %s", "L", "C a", "\xff" };

static void set_text(struct event *e, const char *format)
{
	const char *hole = strstr(format, "%s"), *name = names[chance(ELEMENTSOF(names))];
	size_t head = hole ? (size_t)(hole - format) : strlen(format);

	e->size = snprintf(e->text, sizeof(e->text), "%.*s%s%s", (int)head, format,
			   hole ? name : "", hole ? hole + 2 : "");
}

/* Something that may happen now. */
static void invent(struct host *host, struct event *e, uint64_t *now)
{
	uint32_t what = chance(100);

	e->id = chance(CONNECTIONS);
	if (what < 4) {
		e->kind = TIME;
		*now += chance(2) ? chance(1000) : chance(60) * USEC_PER_SEC;
		e->number = *now;
	} else if (what < 14) {
		e->kind = DATAGRAM;
		e->id = 1 + chance(PEERS);
		set_text(e, datagrams[chance(ELEMENTSOF(datagrams))]);
	} else if (what < 15) {
		e->kind = ANNOUNCED;
		set_text(e, "all of\nyou, %s");
	} else if (what < 20 && host->n_queries > 0) {
		e->kind = FETCHED;
		e->query = host->queries[--host->n_queries];
		e->number = chance(1000);
		set_text(e, ":%s!u@h PRIVMSG #chat :said before");
	} else if (!host->connected[e->id]) {
		e->kind = OPENED;
		snprintf(e->text, sizeof(e->text), "10.0.0.%u", 1 + e->id % 3);
	} else if (what < 22) {
		e->kind = SECURED;
		e->size = chance(2);
		snprintf(e->text, sizeof(e->text), "c0ffee");
	} else if (what < 26) {
		e->kind = ANSWERED;
		e->number = host->serials[e->id];
		set_text(e, "%s");
		e->size = chance(ROOM_UNABLE + 1);
	} else if (what < 27) {
		e->kind = chance(2) ? CLOSED : TOO_LONG;
		set_text(e, "%s is gone");
	} else {
		e->kind = LINE;
		set_text(e, lines[chance(ELEMENTSOF(lines))]);
	}
}

static void record(struct host *host)
{
	uint64_t now = 1;

	start(host);
	for (n_events = 0; n_events < EVENTS; n_events++) {
		struct event *e = &tape[n_events];

		invent(host, e, &now);
		happen(host, e);
		e->hash = host->hash;
	}
}

static void replay(struct host *host)
{
	start(host);
	for (size_t i = 0; i < n_events; i++) {
		const struct event *e = &tape[i];

		/* Asked again, it is answered from the tape. */
		if (e->kind == FETCHED) {
			assert_true(host->n_queries > 0);
			free(host->queries[--host->n_queries]);
		}
		happen(host, e);
		if (host->hash != e->hash)
			fail_msg("event %zu (kind %d, connection %u): \"%s\" says something else",
				 i, e->kind, e->id, e->text);
	}
}

/* Blocks of all sizes, of which every second one is given back. */
static void spoil_heap(void *blocks[], size_t n)
{
	mallopt(M_PERTURB, 0x5a);
	for (size_t i = 0; i < n; i++) {
		blocks[i] = malloc(1 + i * 37 % 2000);
		assert_non_null(blocks[i]);
	}
	for (size_t i = 0; i < n; i += 2) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

static void test_a_session_replayed(void **unused)
{
	static struct host first, second;
	void *blocks[4000];

	tape = calloc(EVENTS, sizeof(*tape));
	assert_non_null(tape);
	record(&first);
	spoil_heap(blocks, ELEMENTSOF(blocks));
	replay(&second);
	assert_int_equal(first.bytes, second.bytes);
	assert_true(first.bytes > 1000000);
	stop(&first);
	stop(&second);
	for (size_t i = 0; i < n_events; i++)
		free(tape[i].query);
	free(tape);
	for (size_t i = 0; i < ELEMENTSOF(blocks); i++)
		free(blocks[i]);
	mallopt(M_PERTURB, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_session_replayed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
