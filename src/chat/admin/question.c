/* SPDX-License-Identifier: MIT */
/* Questions of operators: see question.h. */
#include "chat/admin/question.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const words[VERBS] = {
	[VERB_NONE] = "",     [VERB_HELP] = "help",       [VERB_STATUS] = "status",
	[VERB_WHY] = "why",   [VERB_LOG] = "log",         [VERB_START] = "start",
	[VERB_STOP] = "stop", [VERB_RESTART] = "restart", [VERB_RELOAD] = "reload",
	[VERB_ACK] = "ack",   [VERB_CONFIRM] = "confirm",
};

const char *verb_to_string(enum verb verb)
{
	return words[verb];
}

static enum verb verb_from_word(const char *word, size_t size)
{
	for (int i = VERB_NONE + 1; i < VERBS; i++) {
		if (strlen(words[i]) == size && strncasecmp(words[i], word, size) == 0)
			return i;
	}
	return VERB_NONE;
}

static void copy(char *to, size_t room, const char *from, size_t size)
{
	snprintf(to, room, "%.*s", (int)size, from);
}

void question_parse(const char *text, struct question *q)
{
	size_t n;

	text += strspn(text, " ");
	text += *text == '!';
	n = strcspn(text, " ");
	q->verb = verb_from_word(text, n);
	copy(q->word, sizeof(q->word), text, n);
	text += n + strspn(text + n, " ");
	n = strcspn(text, " ");
	copy(q->service, sizeof(q->service), text, n);
	q->rest = text + n + strspn(text + n, " ");
}
