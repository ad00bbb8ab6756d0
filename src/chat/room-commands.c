/* SPDX-License-Identifier: MIT */
/* The table of commands, and a line's way through it. */
#include "chat/room-commands.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chat/irc-tags.h"
#include "chat/numerics.h"
#include "chat/utf8.h"

/* In the alphabet's order: it is searched by halving. */
static const struct command commands[] = {
	{ "AUTHENTICATE", command_authenticate, 1, true },
	{ "AWAY", command_away, 0, false },
	{ "CAP", command_cap, 1, true },
	{ "CHATHISTORY", command_chathistory, 0, false },
	{ "GHOST", command_ghost, 1, true },
	{ "HELP", command_help, 0, false },
	{ "INFO", command_info, 0, false },
	{ "INVITE", command_invite, 2, false },
	{ "ISON", command_ison, 1, false },
	{ "JOIN", command_join, 1, false },
	{ "KICK", command_kick, 2, false },
	{ "KILL", command_kill, 2, false },
	{ "KLINE", command_kline, 1, false },
	{ "KNOCK", command_knock, 1, false },
	{ "LINKS", command_links, 0, false },
	{ "LIST", command_list, 0, false },
	{ "LUSERS", command_lusers, 0, false },
	{ "MODE", command_mode, 1, false },
	{ "MONITOR", command_monitor, 1, false },
	{ "MOTD", command_motd, 0, false },
	{ "NAMES", command_names, 0, false },
	{ "NICK", command_nick, 0, true },
	{ "NOTICE", command_notice, 0, false },
	{ "OPER", command_oper, 0, false },
	{ "PART", command_part, 1, false },
	{ "PASS", command_pass, 1, true },
	{ "PASSWD", command_passwd, 2, false },
	{ "PING", command_ping, 0, true },
	{ "PONG", command_pong, 0, true },
	{ "PRIVMSG", command_privmsg, 0, false },
	{ "QUIT", command_quit, 0, true },
	{ "REGISTER", command_register, 0, true },
	{ "REHASH", command_rehash, 0, false },
	{ "SETNAME", command_setname, 1, false },
	{ "STATS", command_stats, 0, false },
	{ "TAGMSG", command_tagmsg, 1, false },
	{ "TIME", command_time, 0, false },
	{ "TOPIC", command_topic, 1, false },
	{ "UNKLINE", command_unkline, 1, false },
	{ "USER", command_user, 3, true },
	{ "USERHOST", command_userhost, 1, false },
	{ "VERIFY", command_verify, 0, true },
	{ "VERSION", command_version, 0, false },
	{ "WALLOPS", command_wallops, 1, false },
	{ "WHO", command_who, 0, false },
	{ "WHOIS", command_whois, 0, false },
	{ "WHOWAS", command_whowas, 0, false },
};

static int compare(const void *name, const void *row)
{
	return strcasecmp(name, ((const struct command *)row)->name);
}

const struct command *command_find(const char *name)
{
	return bsearch(name, commands, ELEMENTSOF(commands), sizeof(commands[0]), compare);
}

/*
 * A web page can have its reader's browser send any lines to a server that is on the reader's
 * machine, but not without a request and a header in front. Of a request that is too long for a
 * line the header is seen.
 */
static bool is_http(const struct irc_message *m)
{
	return m->command[strlen(m->command) - 1] == ':' ||
	       (m->n_params >= 2 && strncmp(m->params[m->n_params - 1], "HTTP/", 5) == 0);
}

static void run_command(struct room *room, struct user *user, struct irc_message *m)
{
	const struct command *command = command_find(m->command);

	if (!user->registered && !command && is_http(m))
		user_quit(room, user, "This is no web server", true);
	else if (!user->registered && !(command && command->unregistered))
		reply(room, user, ERR_NOTREGISTERED);
	else if (!command)
		reply(room, user, ERR_UNKNOWNCOMMAND, m->command);
	else if (m->n_params < command->min_params)
		reply(room, user, ERR_NEEDMOREPARAMS, command->name);
	else
		command->run(room, user, m);
}

/*
 * Only UTF-8 is handed on (UTF8ONLY). What is not is repaired rather than refused, so that
 * QUIT and USER still work; the client is told the first time.
 */
static void warn_of_encoding(struct room *room, struct user *user, const char *command)
{
	if (user->warned)
		return;
	user->warned = true;
	send_text(room, user,
		  ":%s WARN %s INVALID_UTF8 :This server takes UTF-8 only; what was not was "
		  "replaced",
		  room->server, command);
}

void room_line(struct room *room, uint32_t id, const char *line, size_t size)
{
	struct user *user = user_by_id(room, id);
	char text[IRC_TAGS_MAX + ROOM_LINE_MAX * 3];
	struct irc_message m;
	char label[128];
	size_t end;
	bool valid;

	if (!user)
		return;
	if (user->registered) /* registering has one time limit, however much is said */
		user_set_queue(room, user, QUEUE_ACTIVE);
	/* NUL, CR and LF end a line wherever they are: nothing behind them can pass for another. */
	for (end = 0; end < size && line[end] && line[end] != '\r' && line[end] != '\n'; end++)
		;
	valid = utf8_is_valid(line, end);
	utf8_repair(text, sizeof(text), line, end);
	if (irc_parse(text, &m) < 0)
		return;
	if ((user->caps & CAP_LABELED_RESPONSE) && (user->caps & CAP_BATCH) &&
	    irc_tag_value(m.tags, "label", label, sizeof(label)))
		label_begin(room, user, label);
	if (!valid)
		warn_of_encoding(room, user, m.command);
	run_command(room, user, &m);
	label_end(room);
}

void room_line_too_long(struct room *room, uint32_t id)
{
	struct user *user = user_by_id(room, id);

	if (user)
		reply(room, user, ERR_INPUTTOOLONG);
}
