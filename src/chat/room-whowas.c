/* SPDX-License-Identifier: MIT */
/* WHOWAS: the last ones who left, or went on under another name. */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define ANSWERS_MAX 20

struct gone {
	char *nick, *username, *host, *realname; /* nick NULL: nobody yet */
	uint64_t at;                             /* realtime */
};

static void forget(struct gone *gone)
{
	free(gone->nick);
	free(gone->username);
	free(gone->host);
	free(gone->realname);
	*gone = (struct gone){ 0 };
}

void whowas_free(struct room *room)
{
	for (size_t i = 0; room->gone && i < GONE_MAX; i++)
		forget(&room->gone[i]);
	free(room->gone);
	room->gone = NULL;
}

void whowas_note(struct room *room, const struct user *user)
{
	struct gone *gone;

	if (!room->gone)
		room->gone = calloc(GONE_MAX, sizeof(*room->gone));
	if (!room->gone)
		return;
	gone = &room->gone[room->gone_next++ % GONE_MAX];
	forget(gone);
	*gone = (struct gone){ .nick = strdup(user->nick),
			       .username = strdup(user->username),
			       .host = strdup(user->host),
			       .realname = strdup(user->realname),
			       .at = room->realtime };
	if (!gone->nick || !gone->username || !gone->host || !gone->realname)
		forget(gone);
}

static void answer(struct room *room, struct user *user, const struct gone *gone)
{
	char when[32];

	reply(room, user, RPL_WHOWASUSER, gone->nick, gone->username, gone->host, gone->realname);
	reply(room, user, RPL_WHOISSERVER, gone->nick, room->server,
	      time_text(gone->at, when, sizeof(when)));
}

/* "WHOWAS nick [count]", the newest first. */
void command_whowas(struct room *room, struct user *user, struct irc_message *m)
{
	int64_t wanted = 0, found = 0;

	if (m->n_params == 0 || !*m->params[0]) {
		reply(room, user, ERR_NONICKNAMEGIVEN);
		return;
	}
	if (m->n_params < 2 || parse_int(m->params[1], 1, ANSWERS_MAX, &wanted) < 0)
		wanted = ANSWERS_MAX;
	for (size_t i = 0; room->gone && i < GONE_MAX && found < wanted; i++) {
		const struct gone *gone =
			&room->gone[(room->gone_next + GONE_MAX - 1 - i) % GONE_MAX];

		if (!gone->nick || !name_equal(gone->nick, m->params[0]))
			continue;
		answer(room, user, gone);
		found++;
	}
	if (found == 0)
		reply(room, user, ERR_WASNOSUCHNICK, m->params[0]);
	reply(room, user, RPL_ENDOFWHOWAS, m->params[0]);
}
