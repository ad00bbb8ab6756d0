/* SPDX-License-Identifier: MIT */
/*
 * What a channel's history keeps, and how it is asked for: between the room, which decides what
 * is kept and who may read it, and the store, which does the keeping. See history.h.
 */
#ifndef FOSTER_CHAT_HISTORY_TYPES_H
#define FOSTER_CHAT_HISTORY_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_CHANNEL_MAX 64  /* bytes of a channel's name, folded */
#define HISTORY_LABEL_MAX   65  /* with the NUL */
#define HISTORY_LIMIT       500 /* messages of one answer */

/* A message's id: when its server started, and which one it was of that start. Never the same. */
struct history_id {
	uint64_t boot, number;
};

enum history_kind {
	HISTORY_MESSAGE, /* PRIVMSG, NOTICE */
	HISTORY_EVENT,   /* JOIN, PART, QUIT, KICK, NICK, TOPIC, MODE */
};

/* One line to be kept. All is borrowed. */
struct history_record {
	const char *channel; /* folded */
	struct history_id id;
	uint64_t time; /* realtime, ms */
	enum history_kind kind;
	bool closed;      /* said while not everybody could join */
	const char *tags; /* as they stand in front of a line, "" for none */
	const char *line; /* without CR LF; not NUL-terminated */
	size_t tags_size, line_size;
};

enum history_verb {
	HISTORY_LATEST,
	HISTORY_BEFORE,
	HISTORY_AFTER,
	HISTORY_AROUND,
	HISTORY_BETWEEN,
	HISTORY_TARGETS,
};

enum history_point_kind {
	HISTORY_NOWHERE,
	HISTORY_AT_TIME,
	HISTORY_AT_MESSAGE
};

struct history_point {
	enum history_point_kind kind;
	uint64_t time; /* ms */
	struct history_id id;
};

/* What was said in a closed channel is for those who were in it: after message number joined. */
struct history_target {
	char channel[HISTORY_CHANNEL_MAX + 1];
	bool all; /* he may see what was said before, too */
	uint64_t joined;
};

struct history_query {
	/* What the room needs to know the answer again. */
	uint32_t connection;
	uint64_t user;
	char label[HISTORY_LABEL_MAX];
	bool replay; /* nobody asked: for one who has just joined */

	/* What is asked. */
	enum history_verb verb;
	struct history_point from, to; /* only BETWEEN and TARGETS have a second one */
	uint32_t limit;
	bool events;    /* HISTORY_EVENT, too */
	uint64_t boot;  /* the current one */
	uint64_t until; /* of this boot no message after this one */
	size_t n_targets;
	struct history_target targets[]; /* one, but for TARGETS */
};

struct history_item {
	struct history_id id;
	uint64_t time;
	bool event;
	uint32_t tags, line; /* where in text; of TARGETS line is a channel */
};

struct history_answer {
	int error; /* 0; -ENOENT: there is no such message; or why it could not be looked up */
	struct history_item *items; /* the oldest first */
	size_t n_items;
	char *text; /* strings */
};

#endif
