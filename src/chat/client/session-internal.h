/* SPDX-License-Identifier: MIT */
/* What the sessions of both protocols are made of: session.c, course-session.c, irc-session.c. */
#ifndef FOSTER_CHAT_CLIENT_SESSION_INTERNAL_H
#define FOSTER_CHAT_CLIENT_SESSION_INTERNAL_H

#include "base/macro.h"
#include "base/units.h"
#include "chat/client/session.h"

#define TYPED_MAX 8192 /* bytes of a line typed; the rest of a longer one is passed over */

/* Of a line of the stream: IRCv3 allows the server so much of tags in front of the 512. */
#define STREAM_LINE_MAX (8191 + 512)

struct protocol {
	void (*enter)(struct session *s, uint64_t now); /* phase ENTERING, with the name */
	void (*receive)(struct session *s, const char *bytes, size_t size, uint64_t now);
	void (*say)(struct session *s, char *text, uint64_t now); /* phase IN; not empty */
	void (*leave)(struct session *s, uint64_t now);           /* says so, and sets a deadline */
	void (*tick)(struct session *s, uint64_t now);            /* the deadline has come */
};

struct course_state {
	int asked;            /* how often L was sent */
	int answers_to_come;  /* that are to an L of before, and mean nothing any more */
	int left;             /* how often Q was sent */
	uint64_t asked_again; /* when L was sent because the room had forgotten us; 0: never */
	uint64_t paced;       /* when all that was sent would have been, one at a time */
};

struct irc_state {
	char line[STREAM_LINE_MAX + 1];
	size_t size;
	bool too_long; /* the rest of this line is passed over */
	bool user_sent, registered, offered, logged_in;
	bool pinged; /* and nothing came since */
};

struct session {
	const struct protocol *protocol;
	const struct session_host *host;
	enum session_phase phase;
	enum language language;
	bool patient, name_given, failed, external;
	char *server, *name, *account, *password;
	char *first_channel, *channel; /* channel: where one is and speaks; NULL: in none */
	uint64_t deadline, line_at;
	struct course_state course;
	struct irc_state irc;
};

extern const struct protocol course_protocol, irc_protocol;

/* One line of IRC: CR LF is added, and what does not fit is cut at a character's border. */
void session_send(struct session *s, const char *fmt, ...) PRINTF(2, 3);
void session_show(struct session *s, enum session_style style, const char *fmt, ...) PRINTF(3, 4);
/* In the user's language; what follows are the strings that the word takes. */
void session_tell(struct session *s, enum session_style style, enum word word, ...);
void session_entered(struct session *s, uint64_t deadline);
/* The reason has been shown. */
void session_refused(struct session *s);
void session_end(struct session *s, bool failed);

void session_forget_password(struct session *s);

/* Replaces a string by a copy. False, and unchanged: out of memory. */
bool session_set(char **string, const char *value);

#endif
