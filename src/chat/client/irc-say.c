/* SPDX-License-Identifier: MIT */
/* What is typed in an IRC session: words for the channel, and commands that begin with '/'. */
#include "chat/client/irc-session.h"

#include <stdio.h>
#include <string.h>

/*
 * The server puts ":nick!user@host " in front when it hands a line on: with the longest user and
 * host that servers have, so that it is cut nowhere.
 */
#define SOURCE_MAX (strlen(":!@ ") + 11 + 64)

/* Names that take more are nobody's; half a line is left for the text. */
#define HEAD_MAX (IRC_LINE_MAX / 2)

#define ACTION_MARK "\1ACTION "

/* In as many lines as it takes. mark: NULL, or ACTION_MARK. */
static void say_to(struct session *s, const char *target, const char *text, const char *mark)
{
	size_t head = SOURCE_MAX + strlen(s->name) + strlen("PRIVMSG  :") + strlen(target);
	size_t size = strlen(text);

	if (mark)
		head += strlen(mark) + 1;
	head = MIN(head, (size_t)HEAD_MAX);
	while (size > 0) {
		size_t n = irc_fit(text, size, head);

		session_send(s, "PRIVMSG %s :%s%.*s%s", target, mark ? mark : "", (int)n, text,
			     mark ? "\1" : "");
		text += n;
		size -= n;
	}
}

static bool have_channel(struct session *s)
{
	if (!s->channel)
		session_tell(s, SHOW_TROUBLE, WORD_NO_CHANNEL);
	return s->channel;
}

static void say_here(struct session *s, const char *text, const char *mark)
{
	if (have_channel(s))
		say_to(s, s->channel, text, mark);
}

/* --- commands: rest is what follows the word, with no blanks in front ----------------------- */

static void do_help(struct session *s, char *rest, uint64_t now);

static void do_join(struct session *s, char *rest, uint64_t now)
{
	session_send(s, "JOIN %s", rest);
}

static void do_me(struct session *s, char *rest, uint64_t now)
{
	say_here(s, rest, ACTION_MARK);
}

static void do_msg(struct session *s, char *rest, uint64_t now)
{
	size_t n = strcspn(rest, " ");
	char *text = rest + n;

	if (!*text || !text[1]) {
		session_tell(s, SHOW_TROUBLE, WORD_USAGE, "/msg NICK TEXT");
		return;
	}
	*text++ = '\0';
	say_to(s, rest, text, NULL);
}

static void do_names(struct session *s, char *rest, uint64_t now)
{
	if (*rest || have_channel(s))
		session_send(s, "NAMES %s", *rest ? rest : s->channel);
}

static void do_nick(struct session *s, char *rest, uint64_t now)
{
	session_send(s, "NICK %s", rest);
}

static void do_part(struct session *s, char *rest, uint64_t now)
{
	if (*rest || have_channel(s))
		session_send(s, "PART %s", *rest ? rest : s->channel);
}

static void do_quit(struct session *s, char *rest, uint64_t now)
{
	session_leave(s, now);
}

static void do_raw(struct session *s, char *rest, uint64_t now)
{
	session_send(s, "%s", rest);
}

static void do_say(struct session *s, char *rest, uint64_t now)
{
	say_here(s, rest, NULL);
}

static void do_topic(struct session *s, char *rest, uint64_t now)
{
	if (!have_channel(s))
		return;
	if (*rest)
		session_send(s, "TOPIC %s :%s", s->channel, rest);
	else
		session_send(s, "TOPIC %s", s->channel);
}

static const struct command {
	const char *name, *argument;
	bool needed; /* the argument */
	void (*run)(struct session *s, char *rest, uint64_t now);
} commands[] = {
	{ "help", "", false, do_help },
	{ "join", " CHANNEL [KEY]", true, do_join },
	{ "me", " TEXT", true, do_me },
	{ "msg", " NICK TEXT", true, do_msg },
	{ "names", " [CHANNEL]", false, do_names },
	{ "nick", " NAME", true, do_nick },
	{ "part", " [CHANNEL]", false, do_part },
	{ "quit", "", false, do_quit },
	{ "raw", " LINE", true, do_raw },
	{ "say", " TEXT", true, do_say },
	{ "topic", " [TEXT]", false, do_topic },
};

static void do_help(struct session *s, char *rest, uint64_t now)
{
	for (size_t i = 0; i < ELEMENTSOF(commands); i++)
		session_show(s, SHOW_NOTICE, "/%s%s", commands[i].name, commands[i].argument);
}

static const struct command *find(const char *name, size_t size)
{
	for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
		if (strlen(commands[i].name) == size && memcmp(commands[i].name, name, size) == 0)
			return &commands[i];
	}
	return NULL;
}

static void obey(struct session *s, char *text, uint64_t now)
{
	size_t n = strcspn(text, " ");
	const struct command *command = find(text + 1, n - 1);
	char *rest = text + n, usage[64];

	if (!command) {
		*rest = '\0';
		session_tell(s, SHOW_TROUBLE, WORD_NO_COMMAND, text);
		return;
	}
	rest += strspn(rest, " ");
	if (command->needed && !*rest) {
		snprintf(usage, sizeof(usage), "/%s%s", command->name, command->argument);
		session_tell(s, SHOW_TROUBLE, WORD_USAGE, usage);
		return;
	}
	command->run(s, rest, now);
}

void irc_say(struct session *s, char *text, uint64_t now)
{
	if (text[0] != '/')
		say_here(s, text, NULL);
	else if (text[1] == '/')
		say_here(s, text + 1, NULL);
	else
		obey(s, text, now);
}
