/* SPDX-License-Identifier: MIT */
/*
 * Capabilities, and their negotiation: CAP. One row each; what it changes is where it changes it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define CAP_TEXT_MAX 96 /* a name with its value */

static const struct {
	const char *name;
	enum cap cap;
} caps[] = {
	{ "account-notify", CAP_ACCOUNT_NOTIFY },
	{ "account-tag", CAP_ACCOUNT_TAG },
	{ "away-notify", CAP_AWAY_NOTIFY },
	{ "batch", CAP_BATCH },
	{ "cap-notify", CAP_NOTIFY },
	{ "chghost", CAP_CHGHOST },
	{ "draft/account-registration", CAP_ACCOUNT_REGISTRATION },
	{ "draft/chathistory", CAP_CHATHISTORY },
	{ "draft/event-playback", CAP_EVENT_PLAYBACK },
	{ "echo-message", CAP_ECHO_MESSAGE },
	{ "extended-join", CAP_EXTENDED_JOIN },
	{ "invite-notify", CAP_INVITE_NOTIFY },
	{ "labeled-response", CAP_LABELED_RESPONSE },
	{ "message-tags", CAP_MESSAGE_TAGS },
	{ "multi-prefix", CAP_MULTI_PREFIX },
	{ "sasl", CAP_SASL },
	{ "server-time", CAP_SERVER_TIME },
	{ "setname", CAP_SETNAME },
	{ "standard-replies", CAP_STANDARD_REPLIES },
	{ "userhost-in-names", CAP_USERHOST_IN_NAMES },
};

static void user_set_caps(struct user *user, uint32_t which)
{
	user->caps = which;
	for (size_t i = 0; i < user->n_seats; i++)
		channel_member(user->seats[i].channel, user)->tags = tags_wanted(which);
}

/* Those that user may have: it depends on the connection and on the config. */
static uint32_t offered_caps(const struct room *room, const struct user *user)
{
	char mechanisms[MECHANISMS_TEXT_MAX];
	uint32_t offered = ~(uint32_t)CAP_302;

	if (!*sasl_mechanisms(room, user, mechanisms))
		offered &= ~CAP_SASL;
	if (!registration_value(room, user))
		offered &= ~CAP_ACCOUNT_REGISTRATION;
	if (!room->config->history)
		offered &= ~(CAP_CHATHISTORY | CAP_EVENT_PLAYBACK);
	return offered;
}

static const char *cap_value(const struct room *room, const struct user *user, enum cap cap,
			     char mechanisms[MECHANISMS_TEXT_MAX])
{
	if (cap == CAP_SASL)
		return sasl_mechanisms(room, user, mechanisms);
	return cap == CAP_ACCOUNT_REGISTRATION ? registration_value(room, user) : NULL;
}

static void cap_names(const struct room *room, const struct user *user, char *buf, size_t size,
		      uint32_t which, bool values)
{
	char mechanisms[MECHANISMS_TEXT_MAX];
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ELEMENTSOF(caps); i++) {
		const char *value = NULL;

		if (!(caps[i].cap & which))
			continue;
		if (values)
			value = cap_value(room, user, caps[i].cap, mechanisms);
		n += snprintf(buf + n, size - n, "%s%s%s%s", n ? " " : "", caps[i].name,
			      value ? "=" : "", value ? value : "");
	}
}

/*
 * Strict transport security. It is told, and cannot be asked for. In plain text only the port
 * counts, over TLS only for how long: so nobody in between can make a client remember it.
 */
static void add_sts(const struct room *room, const struct user *user, char *buf, size_t size)
{
	const struct room_config *c = room->config;
	size_t n = strlen(buf);

	if (c->sts_duration == 0 || !(user->caps & CAP_302))
		return;
	if (user->secure)
		snprintf(buf + n, size - n, " sts=duration=%llu",
			 (unsigned long long)(c->sts_duration / USEC_PER_SEC));
	else
		snprintf(buf + n, size - n, " sts=port=%u", c->sts_port);
}

/* --- another config ----------------------------------------------------------------------- */

/* One of them with its value, as CAP NEW has it; "" when it is not offered. */
struct offer {
	char text[ELEMENTSOF(caps)][CAP_TEXT_MAX];
};

static void make_offer(struct room *room, const struct user *user, const struct room_config *config,
		       struct offer *o)
{
	const struct room_config *now = room->config;
	uint32_t offered;

	room->config = config;
	offered = offered_caps(room, user);
	for (size_t i = 0; i < ELEMENTSOF(caps); i++)
		cap_names(room, user, o->text[i], sizeof(o->text[i]), caps[i].cap & offered,
			  user->caps & CAP_302);
	room->config = now;
}

static void tell_caps(struct room *room, struct user *user, const char *verb, const char *names)
{
	if (*names)
		send_text(room, user, ":%s CAP %s %s :%s", room->server, nick_or_star(user), verb,
			  names);
}

/* What is not offered any more is not in force any more, either, for whoever had asked for it. */
void caps_changed(struct room *room, struct user *user, const struct room_config *before)
{
	char gone[IRC_LINE_MAX] = "", new[IRC_LINE_MAX] = "";
	struct offer old, now;
	size_t n_gone = 0, n_new = 0;

	make_offer(room, user, before, &old);
	make_offer(room, user, room->config, &now);
	for (size_t i = 0; i < ELEMENTSOF(caps); i++) {
		if (strcmp(old.text[i], now.text[i]) == 0)
			continue;
		if (*now.text[i])
			n_new += snprintf(new + n_new, sizeof(new) - n_new, "%s%s",
					  n_new ? " " : "", now.text[i]);
		else
			n_gone += snprintf(gone + n_gone, sizeof(gone) - n_gone, "%s%s",
					   n_gone ? " " : "", caps[i].name);
		if (!*now.text[i])
			user_set_caps(user, user->caps & ~(uint32_t)caps[i].cap);
	}
	if (user->caps & CAP_NOTIFY) {
		tell_caps(room, user, "DEL", gone);
		tell_caps(room, user, "NEW", new);
	}
}

/* --- CAP ---------------------------------------------------------------------------------- */

static void cap_ls(struct room *room, struct user *user, struct irc_message *m)
{
	char names[IRC_LINE_MAX];
	int64_t version;

	if (!user->registered)
		user->negotiating = true;
	if (m->n_params > 1 && parse_int(m->params[1], 302, INT32_MAX, &version) == 0)
		user_set_caps(user, user->caps | CAP_NOTIFY | CAP_302);
	cap_names(room, user, names, sizeof(names), offered_caps(room, user), user->caps & CAP_302);
	add_sts(room, user, names, sizeof(names));
	send_text(room, user, ":%s CAP %s LS :%s", room->server, nick_or_star(user), names);
}

static void cap_list(struct room *room, struct user *user, struct irc_message *m)
{
	char names[IRC_LINE_MAX];

	cap_names(room, user, names, sizeof(names), user->caps, false);
	send_text(room, user, ":%s CAP %s LIST :%s", room->server, nick_or_star(user), names);
}

static unsigned cap_by_name(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(caps); i++) {
		if (strcmp(caps[i].name, name) == 0)
			return caps[i].cap;
	}
	return 0;
}

/* All of the request or nothing of it. */
static void cap_req(struct room *room, struct user *user, struct irc_message *m)
{
	char asked[IRC_LINE_MAX], *rest, *item;
	unsigned now = user->caps;
	bool known = true;

	if (!user->registered)
		user->negotiating = true;
	snprintf(asked, sizeof(asked), "%s", m->n_params > 1 ? m->params[1] : "");
	for (rest = asked; (item = irc_next_item(&rest, ' ')) != NULL;) {
		bool off = item[0] == '-';
		unsigned cap = cap_by_name(item + off);

		if (!*item)
			continue;
		if (cap == 0 || (!off && !(cap & offered_caps(room, user))))
			known = false;
		if (off && cap == CAP_NOTIFY && (user->caps & CAP_302))
			known = false; /* it comes with the version, and stays */
		now = off ? now & ~cap : now | cap;
	}
	if (known)
		user_set_caps(user, now);
	send_text(room, user, ":%s CAP %s %s :%s", room->server, nick_or_star(user),
		  known ? "ACK" : "NAK", m->n_params > 1 ? m->params[1] : "");
}

static void cap_end(struct room *room, struct user *user, struct irc_message *m)
{
	sasl_abort(room, user, true);
	user->negotiating = false;
	finish_registration(room, user);
}

void command_cap(struct room *room, struct user *user, struct irc_message *m)
{
	static const struct {
		const char *name;
		command_run *run;
	} verbs[] = {
		{ "LS", cap_ls }, { "LIST", cap_list }, { "REQ", cap_req }, { "END", cap_end }
	};

	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		if (strcasecmp(verbs[i].name, m->params[0]) == 0) {
			verbs[i].run(room, user, m);
			return;
		}
	}
	reply(room, user, ERR_INVALIDCAPCMD, m->params[0]);
}
