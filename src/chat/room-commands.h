/* SPDX-License-Identifier: MIT */
/*
 * The commands: one row and one function each. A handler may free the user (QUIT): who calls
 * it does not touch the user afterwards.
 */
#ifndef FOSTER_CHAT_ROOM_COMMANDS_H
#define FOSTER_CHAT_ROOM_COMMANDS_H

#include "chat/room-internal.h"

typedef void command_run(struct room *room, struct user *user, struct irc_message *m);

struct command {
	const char *name;
	command_run *run;
	uint8_t min_params;
	bool unregistered; /* allowed before registration */
};

/* Letters of either case; NULL when there is none. */
const struct command *command_find(const char *name);

command_run command_authenticate, command_kill, command_kline, command_oper, command_rehash,
	command_unkline, command_wallops, command_register, command_verify, command_away,
	command_cap, command_chathistory, command_help, command_info, command_invite, command_ison,
	command_join, command_kick, command_knock, command_links, command_list, command_lusers,
	command_mode, command_monitor, command_motd, command_stats, command_names, command_nick,
	command_notice, command_part, command_pass, command_ping, command_pong, command_privmsg,
	command_quit, command_setname, command_tagmsg, command_time, command_topic, command_user,
	command_userhost, command_ghost, command_passwd, command_version, command_who,
	command_whois, command_whowas;

#endif
