/* SPDX-License-Identifier: MIT */
/*
 * What somebody asks in the operators' channel: "!restart web". Pure.
 */
#ifndef FOSTER_CHAT_ADMIN_QUESTION_H
#define FOSTER_CHAT_ADMIN_QUESTION_H

enum verb {
	VERB_NONE, /* no such word */
	VERB_HELP,
	VERB_STATUS,
	VERB_WHY,
	VERB_LOG,
	/* From here on: only who may. */
	VERB_START,
	VERB_STOP,
	VERB_RESTART,
	VERB_RELOAD,
	VERB_ACK,
	VERB_CONFIRM,
	VERBS
};
const char *verb_to_string(enum verb verb);

#define QUESTION_NAME_MAX 255

struct question {
	enum verb verb;
	char word[32];                       /* as it was said, cut */
	char service[QUESTION_NAME_MAX + 1]; /* or what else stands there; "": nothing */
	const char *rest;                    /* what follows, in text */
};

/* text: with or without '!' in front. */
void question_parse(const char *text, struct question *ret);

#endif
