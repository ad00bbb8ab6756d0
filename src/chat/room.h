/* SPDX-License-Identifier: MIT */
/*
 * The room: a deterministic state machine, (state, event) -> (state, bytes for each connection).
 * It holds the only user table, for both doors: IRC connections and the course protocol's
 * datagrams. No socket, clock, disk or random number is in it: they come with the events, so
 * the same events always give the same bytes.
 *
 *	opened -> registering -> registered -> gone	IRC; NICK, USER, CAP END register
 *	unknown -> member -> gone			course; "L name" makes a member
 *
 * Times are microseconds. Nothing blocks. What the room has to say goes out through the
 * functions of struct room_output while an event is handled; they must not call the room.
 *
 * Passwords are not the room's: it asks its host, who answers with an event, room_answer().
 */
#ifndef FOSTER_CHAT_ROOM_H
#define FOSTER_CHAT_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/hash.h"
#include "chat/history-types.h"

#define ROOM_NICK_MAX     64  /* the largest nick-length */
#define ROOM_CHANNEL_MAX  64  /* bytes of a channel's name */
#define ROOM_TOPIC_MAX    300 /* so that 332 fits in one line */
#define ROOM_AWAY_MAX     200
#define ROOM_KICK_MAX     255
#define ROOM_KEY_MAX      32
#define ROOM_REALNAME_MAX 64
#define ROOM_HOST_MAX     64
#define ROOM_LINE_MAX     512      /* bytes of a line handed in, without its tags */
#define ROOM_VOICE        "foster" /* the nick of the operators' channel's own member */

/* Set by the caller, borrowed by the room; 0 as a time or a rate means: no limit. */
struct room_config {
	/* Fixed while a room lives: the room takes these from its first config. */
	const char *server_name, *network, *version;
	const char *course_channel;    /* the one that both doors share */
	const char *operators_channel; /* NULL: there is none */
	bool accounts;                 /* the host answers questions */
	uint64_t created;              /* when the server started, CLOCK_REALTIME */
	uint32_t nick_length;
	struct hash_key secret;
	/* What is shown of a user's address in its place, the same each time. NULL: the address. */
	void (*cloak)(const char *key, const char *address, char *buf, size_t size);
	const char *cloak_key;
	bool on_loopback; /* there is a door that only this machine can reach */

	/* May differ in a later config. */
	char **motd;               /* lines; NULL: none */
	const char *password;      /* NULL: none asked for */
	bool account_registration; /* by anybody who comes in: REGISTER */
	bool plain_passwords;      /* also where they can be read on their way */
	bool nick_protection;      /* an account's nicks are its own */
	uint64_t registration_timeout, ping_interval, ping_timeout, course_timeout;
	uint32_t channels_per_user, channels_max, bans_per_channel;
	uint32_t course_users_max, course_users_per_address;
	uint32_t course_rate, course_burst;
	/* Told to clients in plain text: come back by TLS, to this port. 0: not. */
	uint32_t sts_port;
	uint64_t sts_duration;    /* how long they are to remember it */
	bool history;             /* something keeps it; fixed */
	char **history_channels;  /* masks: of which channels */
	uint64_t history_age;     /* for how long; only to be told */
	uint32_t history_on_join; /* messages, for clients that cannot ask for them */
	char **server_operators;  /* accounts that may OPER; NULL: none */
	char **operators;         /* who may command what: operators.h */
	bool operators_open;      /* whoever is in the room may read along there */
};

/* Where a course client is, and how it is answered. All zero but for what is used. */
struct course_peer {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t socket; /* which of the caller's sockets */
	uint16_t port;  /* network byte order */
	uint32_t scope;
	uint8_t address[16];
	/* Up to here it says who it is; from here on only how to answer. */
	uint8_t local[16];
	uint32_t interface;
};

/* --- accounts --- */

enum room_mechanism {
	ROOM_PLAIN,
	ROOM_SCRAM_SHA_256,
	ROOM_EXTERNAL,
	ROOM_MECHANISMS
};

enum room_question_kind {
	ROOM_ASKS_SASL,     /* data is the client's next message; the first begins the exchange */
	ROOM_ASKS_REGISTER, /* a new account with that password */
	ROOM_ASKS_PASSWORD, /* another password for account; data is "old NUL new" */
	ROOM_ASKS_NO_MORE,  /* what serial stands for is over: no answer is wanted */
};

/* Pointers lead to what is gone after the call. */
struct room_question {
	enum room_question_kind kind;
	enum room_mechanism mechanism;
	uint32_t id;     /* the connection */
	uint32_t place;  /* the same for all who come from one place: to be fair to the others */
	uint64_t serial; /* of the exchange, never used twice */
	const char *data;
	size_t size;
	const char *account, *password; /* REGISTER; account also of PASSWORD */
	const char *fingerprint;        /* of the client's certificate; NULL: none */
};

enum room_verdict {
	ROOM_CONTINUE, /* data goes to the client, and what it answers comes back */
	ROOM_GRANTED,  /* account is who it is */
	ROOM_REFUSED,  /* wrong password, no such account, no sense; REGISTER: the name is taken */
	ROOM_UNABLE,   /* it could not be checked now */
};

/* One for each question but NO_MORE, later, in any order. */
struct room_answer {
	uint64_t serial;
	uint32_t id;
	enum room_verdict verdict;
	const char *data;
	size_t size;
	const char *account;
};

/* A nick and the account whose it is; of an account's own name both are the same. */
struct room_owned {
	const char *nick, *account;
};

/*
 * Somebody in the operators' channel asked for something: there, or in private its own voice.
 * Pointers lead to what is gone after the call.
 */
struct room_command {
	uint32_t id;    /* the connection */
	uint64_t since; /* with which it is not taken for a later one of that id */
	bool in_channel;
	const char *nick, *source; /* "nick!user@host" */
	const char *account;       /* NULL: not logged in */
	const char *text;
};

/* --- server operators --- */

enum room_operation_kind {
	ROOM_REHASH,  /* the config is to be read again */
	ROOM_KILL,    /* target was thrown out */
	ROOM_KLINE,   /* target, a mask user@host, is to be kept out, also after a restart */
	ROOM_UNKLINE, /* and is not any more */
};

/* What a server operator did, to be done and to be logged. */
struct room_operation {
	enum room_operation_kind kind;
	const char *by; /* "nick!user@host (account)" */
	const char *target, *reason;
	uint64_t at, until; /* KLINE: CLOCK_REALTIME; until 0: for ever */
};

struct room_kline {
	const char *mask, *reason, *by;
	uint64_t at, until;
};

struct room_output {
	/* Bytes for an IRC connection, to be copied. */
	void (*send)(void *arg, uint32_t id, const char *data, size_t size);
	/* The room knows the connection no more: close it once what was sent is out. */
	void (*close)(void *arg, uint32_t id);
	void (*datagram)(void *arg, const struct course_peer *peer, const char *data, size_t size);
	void (*ask)(void *arg, const struct room_question *question); /* NULL without accounts */
	/* False: not now. NULL: never. */
	bool (*command)(void *arg, const struct room_command *command);
	void (*operate)(void *arg, const struct room_operation *operation); /* may be NULL */
	void *arg;
	/*
	 * History; both may be NULL. keep: to be copied, before anything of it is sent. fetch:
	 * takes the query over, to be answered by room_history(), not at once. 0 or -errno: not
	 * taken.
	 */
	void (*keep)(void *arg, const struct history_record *record);
	int (*fetch)(void *arg, struct history_query *query);
};

struct room_counts {
	size_t users;        /* registered, both doors */
	size_t course_users; /* of these, by the course's door */
	size_t opers;        /* server operators */
	size_t channels;
	size_t connections; /* IRC connections, registered or not */
};

struct room;

/* NULL when out of memory. config must outlive the room or be followed by room_configure(). */
struct room *room_new(const struct room_config *config, const struct room_output *output);
void room_free(struct room *room); /* says nothing to anybody */
void room_configure(struct room *room, const struct room_config *config);

/* The time of the events that follow: CLOCK_MONOTONIC and CLOCK_REALTIME. */
void room_set_time(struct room *room, uint64_t monotonic, uint64_t realtime);

/*
 * An IRC connection; id is a small number, the caller's, free again after closed or close().
 * host is the peer's address as text. 0, -ENOMEM, -EEXIST.
 */
int room_opened(struct room *room, uint32_t id, const char *host);
/*
 * Before its first line: what it says and is told cannot be read on the way. fingerprint: of the
 * certificate that the client has the key of, SHA-256 in hexadecimal; NULL: it showed none.
 */
void room_secured(struct room *room, uint32_t id, const char *fingerprint);
/* The peer has gone, or the caller gave it up. Unknown ids are ignored. */
void room_closed(struct room *room, uint32_t id, const char *reason);
/* One line without CR LF; bytes of any value. The room may close the connection over it. */
void room_line(struct room *room, uint32_t id, const char *line, size_t size);
/*
 * How many users and channels were looked through, for an answer that may be short, since it was
 * asked last: a line that makes ten thousand of them is not as cheap as others.
 */
size_t room_take_work(struct room *room);
/* The line was longer than allowed and was thrown away. */
void room_line_too_long(struct room *room, uint32_t id);

/* What was asked for by fetch(). Both stay the caller's. Who has gone meanwhile gets nothing. */
void room_history(struct room *room, const struct history_query *query,
		  const struct history_answer *answer);
/* Those that hold from before. 0 or -ENOMEM: some are missing. */
int room_set_klines(struct room *room, const struct room_kline *klines, size_t n);
/* A notice for all server operators who are here: what became of an operation, say. */
void room_tell_opers(struct room *room, const char *text);

/*
 * Where a connection is in truth, cloak or not; "": there is none. Changes nothing, and may be
 * called from a function of struct room_output.
 */
const char *room_address(const struct room *room, uint32_t id);

/* Ignored when nobody waits for it any more. */
void room_answer(struct room *room, const struct room_answer *answer);
/*
 * All accounts and their nicks, instead of those known before; who is logged in to one that is no
 * more is logged out. 0 or -ENOMEM: those known before hold.
 */
int room_set_accounts(struct room *room, const struct room_owned *owned, size_t n);

void room_datagram(struct room *room, const struct course_peer *peer, const char *data,
		   size_t size);

/*
 * Does what is due, or the first of it: what is left is due at once. USEC_INFINITY: nothing ever.
 */
void room_tick(struct room *room);
uint64_t room_deadline(const struct room *room);

/* To everybody, from the operators. Lines end at LF. */
void room_announce(struct room *room, const char *text);

/*
 * In the operators' channel: by its voice, a message for each line of text. tags: "name=value" with
 * semicolons between, escaped, for those who asked for tags; NULL: none.
 */
void room_operators_say(struct room *room, const char *text, const char *tags);
/* To whom it came from: in the channel, or to that user if that is still there. */
void room_operators_answer(struct room *room, const struct room_command *to, const char *text);

/* Everybody is told and removed. */
void room_shutdown(struct room *room, const char *reason);

void room_count(const struct room *room, struct room_counts *ret);

/* For tests: 0, or -EUCLEAN with what is wrong in *ret_what when the tables contradict. */
int room_check(const struct room *room, const char **ret_what);

#endif
