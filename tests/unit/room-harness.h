/* SPDX-License-Identifier: MIT */
/*
 * A room without a network: what it says to each connection and course client is kept, to be
 * compared. After each event the room's tables are checked. One harness at a time.
 */
#ifndef FOSTER_TESTS_ROOM_HARNESS_H
#define FOSTER_TESTS_ROOM_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/room.h"

#define HARNESS_IDS   16
#define HARNESS_PEERS 8

extern struct room *room;
extern struct room_config room_config; /* may be changed by a test; set anew by each start */

extern struct room_output room_output; /* the same, before harness_again() */
void harness_again(void);              /* the room anew, with what was changed */

/* For cmocka's setup and teardown. Server "srv", network "net", course channel "#chat". */
int harness_start(void **state);
int harness_stop(void **state);
int harness_start_operators(void **state); /* with the operators' channel "#ops" */
/* What the voice of the operators' channel was asked since the last look: see on_command(). */
const char *take_commands(void);
extern struct room_command last_command; /* its pointers lead nowhere */

/* Connection id from 10.0.0.<id>. */
void open_irc(uint32_t id);
void line(uint32_t id, const char *text); /* one line, without CR LF */
/* A registered user; what it was told so far is forgotten. user is "~<nick>" cut to ten. */
void enter(uint32_t id, const char *nick);
void close_irc(uint32_t id, const char *reason);

/* Course client n, from 10.1.0.<n>. */
void datagram(int n, const char *text);
void datagram_bytes(int n, const void *data, size_t size);

void pass_time(uint64_t usec); /* and tick */

/* All that id was told since the last look, lines ending in LF alone; then it is forgotten. */
#define expect(id, text) expect_at(id, text, __FILE__, __LINE__)
void expect_at(uint32_t id, const char *text, const char *file, int at);
/* text is somewhere in it; what was told stays. */
#define expect_part(id, text) expect_part_at(id, text, true, __FILE__, __LINE__)
#define expect_no(id, text)   expect_part_at(id, text, false, __FILE__, __LINE__)
void expect_part_at(uint32_t id, const char *text, bool wanted, const char *file, int at);
const char *told(uint32_t id);
void forget(uint32_t id);
void forget_all(void);
bool is_closed(uint32_t id);

/* All datagrams to course client n since the last look, each followed by '|'. */
#define expect_course(n, text) expect_course_at(n, text, __FILE__, __LINE__)
void expect_course_at(int n, const char *text, const char *file, int at);
const char *told_course(int n);
extern struct course_peer last_peer; /* to whom the last datagram went */

/* --- accounts: a test that sets room_config.accounts is the host itself ------------------- */

struct asked {
	enum room_question_kind kind;
	enum room_mechanism mechanism;
	uint32_t id, place;
	uint64_t serial;
	char data[2048], account[80], password[320], fingerprint[80];
	size_t size;
};

/* The last question, and how many there were. */
extern struct asked asked;
extern int n_asked;

/* What server operators did last: "KILL target: reason, by ..."; it is forgotten. */
#define expect_operation(text) expect_operation_at(text, __FILE__, __LINE__)
void expect_operation_at(const char *text, const char *file, int at);

/* To the question that id asked last; text: the account, or with ROOM_CONTINUE the data. */
void answer(uint32_t id, enum room_verdict verdict, const char *text);
/* By SASL; what it was told of that is forgotten. */
void log_in_as(uint32_t id, const char *account);
/* The room anew, with accounts; nick and account alternate, up to a NULL. */
void with_accounts(const char *first_nick, ...);

#endif
