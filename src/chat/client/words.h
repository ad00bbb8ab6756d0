/* SPDX-License-Identifier: MIT */
/* What foster-chat says to its user, in the course's language and in English. Pure. */
#ifndef FOSTER_CHAT_CLIENT_WORDS_H
#define FOSTER_CHAT_CLIENT_WORDS_H

enum language {
	LANGUAGE_ENGLISH,
	LANGUAGE_CHINESE
};

/* With the arguments that they take, all of them strings. */
enum word {
	WORD_ASK_PASSWORD,
	WORD_ASK_NAME,
	WORD_SAY,
	WORD_BAD_NAME,
	WORD_ENTERED, /* server */
	WORD_LEFT,
	WORD_NO_ANSWER_YET, /* server */
	WORD_NO_ANSWER,     /* server */
	WORD_NOBODY_THERE,  /* server */
	WORD_LOST,          /* server, why */
	WORD_PUT_OUT,
	WORD_AGAIN,
	WORD_JOINED,        /* nick */
	WORD_JOINED_OTHER,  /* nick, channel */
	WORD_PARTED,        /* nick */
	WORD_PARTED_OTHER,  /* nick, channel */
	WORD_PARTED_WHY,    /* nick, reason */
	WORD_YOU_JOINED,    /* channel */
	WORD_YOU_PARTED,    /* channel */
	WORD_RENAMED,       /* old, new */
	WORD_YOU_RENAMED,   /* new */
	WORD_TOPIC,         /* channel, text */
	WORD_TOPIC_CHANGED, /* nick, channel, text */
	WORD_NAMES,         /* channel, names */
	WORD_KICKED,        /* nick, channel, by, reason */
	WORD_INVITED,       /* by, channel */
	WORD_NO_CHANNEL,
	WORD_NO_COMMAND, /* the command */
	WORD_USAGE,      /* of the command */
	WORD_LOGIN_IMPOSSIBLE,
	WORDS
};

/* The format in that language. */
const char *words(enum language language, enum word word);

/* By its name: "zh", "en" and what begins so, as locales do. English for all others. */
enum language language_of(const char *name);

#endif
