/* SPDX-License-Identifier: MIT */
/* What the server says of itself: the welcome, ISUPPORT, MOTD, LUSERS, VERSION, TIME. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/strv.h"
#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define TIME_TEXT_MAX 32

/* In UTC: the room does not know where it is. */
const char *time_text(uint64_t realtime, char *buf, size_t size)
{
	time_t seconds = (time_t)(realtime / USEC_PER_SEC);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

static void send_isupport(struct room *room, struct user *user)
{
	const struct room_config *c = room->config;

	/* At most 13 in a line: a message has 15 parameters. */
	reply(room, user, "005",
	      "%sAWAYLEN=%d BOT=B CASEMAPPING=ascii CHANLIMIT=#:%u CHANMODES=Ibe,k,l,C%simnpst "
	      "CHANNELLEN=%d CHANTYPES=# ELIST=CMNTU EXCEPTS=e EXTBAN=,%sm "
	      ":are supported by this server",
	      c->accounts ? "ACCOUNTEXTBAN=a " : "", ROOM_AWAY_MAX, c->channels_per_user,
	      c->history ? "H" : "", ROOM_CHANNEL_MAX, c->accounts ? "a" : "");
	reply(room, user, "005",
	      "FOSTER/NICKALPHABETS=1 INVEX=I KEYLEN=%d KICKLEN=%d LINELEN=%d MAXLIST=Ibe:%u "
	      "MODES=6 MONITOR=%d NAMELEN=%d NETWORK=%s NICKLEN=%u :are supported by this server",
	      ROOM_KEY_MAX, ROOM_KICK_MAX, IRC_LINE_MAX, c->bans_per_channel, MONITOR_MAX,
	      ROOM_REALNAME_MAX, c->network, c->nick_length);
	reply(room, user, "005",
	      "PREFIX=(qaohv)%s STATUSMSG=%s "
	      "TARGMAX=JOIN:,KICK:4,LIST:,MONITOR:,NAMES:,NOTICE:4,PART:,PRIVMSG:4,TAGMSG:4,WHOIS:"
	      "1 TOPICLEN=%d USERLEN=10 UTF8ONLY WHOX :are supported by this server",
	      MEMBER_SIGNS, MEMBER_SIGNS, ROOM_TOPIC_MAX);
	if (c->history)
		reply(room, user, "005",
		      "CHATHISTORY=%d MSGREFTYPES=msgid,timestamp :are supported by this server",
		      HISTORY_LIMIT);
}

void send_welcome(struct room *room, struct user *user)
{
	char source[SOURCE_MAX], started[TIME_TEXT_MAX];

	reply(room, user, RPL_WELCOME, room->config->network, user_source(user, source));
	reply(room, user, RPL_YOURHOST, room->server, room->config->version);
	reply(room, user, RPL_CREATED, time_text(room->config->created, started, sizeof(started)));
	reply(room, user, RPL_MYINFO, room->server, room->config->version,
	      room->config->history ? "H" : "");
	send_isupport(room, user);
	if (user->address)
		reply(room, user, RPL_VISIBLEHOST, user->host);
	command_lusers(room, user, NULL);
	command_motd(room, user, NULL);
}

/* Asked of another server than this one, of which there are none. */
static bool is_elsewhere(struct room *room, struct user *user, struct irc_message *m)
{
	if (!m || m->n_params == 0 || name_matches(m->params[0], room->server) ||
	    (user->nick && name_equal(m->params[0], user->nick)))
		return false;
	reply(room, user, "402", "%s :No such server", m->params[0]);
	return true;
}

void command_motd(struct room *room, struct user *user, struct irc_message *m)
{
	if (is_elsewhere(room, user, m))
		return;
	if (strv_length(room->config->motd) == 0) {
		reply(room, user, ERR_NOMOTD);
		return;
	}
	reply(room, user, RPL_MOTDSTART, room->server);
	STRV_FOREACH(line, room->config->motd)
		reply(room, user, RPL_MOTD, *line);
	reply(room, user, RPL_ENDOFMOTD);
}

/* Who is invisible is not counted apart: it would take a scan, and nobody acts on it. */
void command_lusers(struct room *room, struct user *user, struct irc_message *m)
{
	const struct room_counts *c = &room->counts;
	size_t irc_users = c->users - c->course_users;

	reply(room, user, RPL_LUSERCLIENT, c->users, (size_t)0);
	reply(room, user, RPL_LUSEROP, room->counts.opers);
	reply(room, user, RPL_LUSERUNKNOWN, c->connections - irc_users);
	reply(room, user, RPL_LUSERCHANNELS, c->channels);
	reply(room, user, RPL_LUSERME, c->users);
	reply(room, user, RPL_LOCALUSERS, c->users, room->max_users, c->users, room->max_users);
	reply(room, user, RPL_GLOBALUSERS, c->users, room->max_users, c->users, room->max_users);
}

void command_version(struct room *room, struct user *user, struct irc_message *m)
{
	if (is_elsewhere(room, user, m))
		return;
	reply(room, user, RPL_VERSION, room->config->version, room->server,
	      "IRC and the course protocol");
	send_isupport(room, user);
}

void command_time(struct room *room, struct user *user, struct irc_message *m)
{
	char now[TIME_TEXT_MAX];

	if (!is_elsewhere(room, user, m))
		reply(room, user, RPL_TIME, room->server,
		      time_text(room->realtime, now, sizeof(now)));
}

static void stats_uptime(struct room *room, struct user *user)
{
	unsigned long long s = (room->realtime - room->config->created) / USEC_PER_SEC;

	reply(room, user, RPL_STATSUPTIME, s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

/* Of the queries only 'u' tells what is not the operators' business alone. */
void command_stats(struct room *room, struct user *user, struct irc_message *m)
{
	char query[2] = { m->n_params > 0 && (unsigned char)m->params[0][0] > ' ' &&
					  (unsigned char)m->params[0][0] < 0x7f
				  ? m->params[0][0]
				  : '*' };

	if (query[0] == 'u')
		stats_uptime(room, user);
	else if (query[0] == 'k' && oper_or_refuse(room, user))
		send_klines(room, user);
	reply(room, user, RPL_ENDOFSTATS, query);
}

void command_links(struct room *room, struct user *user, struct irc_message *m)
{
	reply(room, user, RPL_LINKS, room->server, room->server, room->config->network);
	reply(room, user, RPL_ENDOFLINKS, "*");
}

void command_info(struct room *room, struct user *user, struct irc_message *m)
{
	char started[TIME_TEXT_MAX];

	if (is_elsewhere(room, user, m))
		return;
	reply(room, user, RPL_INFO, room->config->version);
	reply(room, user, RPL_INFO, "A chat room with two doors: IRC and the course protocol.");
	time_text(room->config->created, started, sizeof(started));
	reply(room, user, RPL_INFO, started);
	reply(room, user, RPL_ENDOFINFO);
}
