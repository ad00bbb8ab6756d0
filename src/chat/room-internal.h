/* SPDX-License-Identifier: MIT */
/*
 * What the files of the room share: its tables and the steps that keep them consistent. Only
 * room-users.c and room-channels.c change the tables.
 *
 * A user may be freed by whatever removes it: after user_quit() the pointer is gone.
 */
#ifndef FOSTER_CHAT_ROOM_INTERNAL_H
#define FOSTER_CHAT_ROOM_INTERNAL_H

#include "base/macro.h"
#include "chat/bucket.h"
#include "chat/irc.h"
#include "chat/kline-mask.h"
#include "chat/list.h"
#include "chat/room.h"

#define INVITES_MAX    16
#define STRANGERS_SIZE 1024
#define MONITOR_MAX    100 /* names a user */
#define GONE_MAX       1024
#define TAG_TEXT_MAX   48

struct conversation;
struct unheard;
struct delivery;
struct gone;
struct label;
struct monitored;

enum cap {
	CAP_MULTI_PREFIX = 1 << 0,
	CAP_USERHOST_IN_NAMES = 1 << 1,
	CAP_ECHO_MESSAGE = 1 << 2,
	CAP_NOTIFY = 1 << 3, /* implied by CAP LS 302; the list changes with the config */
	CAP_MESSAGE_TAGS = 1 << 4,
	CAP_SERVER_TIME = 1 << 5,
	CAP_BATCH = 1 << 6,
	CAP_LABELED_RESPONSE = 1 << 7,
	CAP_AWAY_NOTIFY = 1 << 8,
	CAP_EXTENDED_JOIN = 1 << 9,
	CAP_INVITE_NOTIFY = 1 << 10,
	CAP_SETNAME = 1 << 11,
	CAP_STANDARD_REPLIES = 1 << 12,
	CAP_SASL = 1 << 13,
	CAP_ACCOUNT_NOTIFY = 1 << 14,
	CAP_ACCOUNT_TAG = 1 << 15,
	CAP_ACCOUNT_REGISTRATION = 1 << 16,
	CAP_302 = 1 << 17, /* none to ask for: the client's CAP LS said that it knows values */
	CAP_CHATHISTORY = 1 << 18,
	CAP_EVENT_PLAYBACK = 1 << 19,
	CAP_CHGHOST = 1 << 20, /* no host ever changes here: nothing comes of it */
};

/* What a user waits for. Each queue has one timeout, so it is in order by itself. */
enum queue {
	QUEUE_REGISTERING,
	QUEUE_ACTIVE, /* to be pinged when it was silent for ping_interval */
	QUEUE_PINGED,
	QUEUE_COURSE,
	QUEUES
};

/* In the order of rank: "modes >= MEMBER_OP" is who is one, or more. */
enum member_mode {
	MEMBER_VOICE = 1 << 0,
	MEMBER_HALF = 1 << 1, /* half an operator */
	MEMBER_OP = 1 << 2,
	MEMBER_ADMIN = 1 << 3, /* whom operators cannot touch */
	MEMBER_OWNER = 1 << 4,
};
#define MEMBER_SIGNS "~&@%+"

enum channel_mode {
	MODE_INVITE_ONLY = 1 << 0,
	MODE_MODERATED = 1 << 1,
	MODE_NO_EXTERNAL = 1 << 2,
	MODE_PRIVATE = 1 << 3,
	MODE_SECRET = 1 << 4,
	MODE_TOPIC = 1 << 5,
	MODE_NO_CTCP = 1 << 6,
	MODE_HISTORY = 1 << 7, /* what is said is kept */
};

/* Lists of masks of a channel. */
enum mask_list {
	LIST_BAN,
	LIST_EXCEPTION, /* whom no ban keeps out or silences */
	LIST_INVITE,    /* who needs no invitation */
	MASK_LISTS
};

/* A user's side of a membership. */
struct seat {
	struct channel *channel;
	uint32_t index;  /* in channel->members */
	uint64_t joined; /* after which message of this boot */
};

/* The course's part of a user. */
struct course_user {
	struct hash_node by_peer;
	struct user *user;
	struct course_peer peer;
	struct bucket flood;
	bool told_too_fast;
};

/* SASL or REGISTER: what was said of it, and whether it is the host's turn. */
#define SASL_TEXT_MAX 1600
struct conversation {
	enum room_question_kind kind;
	enum room_mechanism mechanism;
	uint64_t serial;
	unsigned cost; /* tries, as taken from the guard, of that account; 0: none yet */
	char account[ROOM_NICK_MAX + 1];
	char label[HISTORY_LABEL_MAX]; /* of the command that waits for the host's answer */
	bool asked;                    /* the host has not answered yet */
	bool checked; /* what it was asked last tells whether a password is right */
	bool by_pass; /* not by AUTHENTICATE: registration waits for it */
	size_t size;
	char text[SASL_TEXT_MAX + 4]; /* base64, as it comes in pieces; REGISTER: the name */
};

struct user {
	struct hash_node by_nick; /* in the table while nick is set */
	struct list timer;        /* in one of the queues */
	uint64_t since;           /* when it came into that queue */
	uint64_t mark;            /* equal to room->mark: told already */
	uint64_t signed_on;       /* realtime */
	uint64_t serial;          /* no other user has it, though it may get the connection's id */
	uint64_t spoke;           /* monotonic */
	char *nick, *username, *host, *realname, *away;
	char *address;                     /* behind the host; NULL: it is the host */
	char *account;                     /* NULL: not logged in */
	char *fingerprint;                 /* of its certificate, or NULL */
	struct conversation *conversation; /* SASL or REGISTER under way, or NULL */
	struct seat *seats;
	uint64_t *invites;          /* serials of channels, oldest first */
	struct course_user *course; /* NULL: came by IRC */
	uint32_t id;                /* of the connection; IRC only */
	uint32_t caps;              /* enum cap */
	uint16_t n_seats, seats_room;
	uint8_t n_invites;
	uint8_t queue;
	bool oper : 1, registered : 1, negotiating : 1, password_ok : 1, invisible : 1, wallops : 1,
		warned : 1, bot : 1, secure : 1,
		private : 1; /* nobody on the way can read along: secure, or from here */
	uint32_t place;      /* place_of() its address */
	uint8_t n_fetching;  /* answers of the history that are to come */
	uint16_t n_monitored;
	struct monitored **monitored; /* MONITOR: names that this one waits for */
};

/* A channel's side of a membership, with what a delivery needs in the same cache line. */
struct member {
	struct user *user;
	uint32_t id;
	bool course;
	uint8_t modes; /* enum member_mode */
	uint8_t tags;  /* tags_wanted() of its capabilities */
};

struct mask {
	/*
	 * "nick!user@host" or "a:account"; of a ban also "m:" and one of them: silenced, not kept
	 * out
	 */
	char *text;
	char *by;
	uint64_t at;
};

struct masks {
	struct mask *items;
	uint32_t n;
};

struct channel {
	struct hash_node by_name;
	uint64_t serial; /* never used twice: an invitation dies with its channel */
	char *name, *topic, *topic_by, *key;
	uint64_t created, topic_at;
	struct member *members;
	struct masks masks[MASK_LISTS];
	uint64_t knocked_at; /* monotonic; 0: never */
	uint32_t n_members, members_room, limit;
	uint8_t modes; /* enum channel_mode */
	bool course;   /* the one that both doors share */
};

/* Who is kept out of the server. */
struct kline {
	char *mask, *reason, *by; /* mask: "user@host" */
	uint64_t at, until;       /* realtime; until 0: for ever */
	struct kline_network network;
};

/* The id of who has no connection. */
#define ROOM_NOBODY UINT32_MAX

struct room {
	const struct room_config *config;
	struct room_output output;
	const char *server; /* config->server_name */
	struct hash_table nicks, channels, peers, monitored, owned;
	struct kline *klines;
	size_t n_klines;
	struct hash_table guards;
	size_t guards_sweep; /* at how many they are looked through */
	struct gone *gone;   /* GONE_MAX of them, a ring: WHOWAS */
	size_t gone_next;
	struct user **users; /* by connection id */
	size_t users_room;
	struct list queues[QUEUES];
	struct bucket *strangers; /* STRANGERS_SIZE, by a hash of the address */
	struct bucket all_strangers;
	uint64_t now, realtime, mark, serial, users_made;
	uint32_t guests; /* names of guests that were given */
	struct room_counts counts;
	size_t max_users;
	size_t work;       /* see room_take_work() */
	uint64_t messages; /* that were given an id so far */
	struct label *label;
	struct user *voice; /* the operators' channel's own member: see room-operators.c */
	struct channel *operators;
	struct unheard *unheard; /* what it said there to nobody, oldest first */
	size_t n_unheard;
	char time_tag[TAG_TEXT_MAX]; /* "time=..." of the moment time_tag_of, realtime in ms */
	uint64_t time_tag_of;
};

/* --- room-users.c ------------------------------------------------------------------------- */

struct user *user_by_id(const struct room *room, uint32_t id);
struct user *user_by_nick(const struct room *room, const char *nick);
/* Who keeps others from having that nick: its holder, or that of one in other case, see names.h. */
struct user *user_by_like_nick(const struct room *room, const char *nick);
struct user *user_by_peer(const struct room *room, const struct course_peer *peer);
int user_new(struct room *room, const char *host, struct user **ret);
int user_new_course(struct room *room, const struct course_peer *peer, struct user **ret);
int user_set_nick(struct room *room, struct user *user, const char *nick); /* -ENOMEM */
void user_clear_nick(struct room *room, struct user *user);                /* not registered yet */
void user_set_queue(struct room *room, struct user *user, enum queue queue);
void user_count_registered(struct room *room, struct user *user);
/* Tells everybody who shares a channel, and the user itself when tell_self; frees the user. */
void user_quit(struct room *room, struct user *user, const char *reason, bool tell_self);
void user_free_voice(struct room *room, struct user *voice); /* that is in no channel */
/* line to everybody who shares a channel with user, once; not to user. */
void user_tell_neighbours(struct room *room, struct user *user, const struct irc_line *line);
void user_deliver_to_neighbours(struct delivery *d, struct user *user);
bool users_share_channel(struct room *room, const struct user *a, const struct user *b);
/* Where he really is, whatever is shown. */
const char *user_address(const struct user *user);
bool user_is_local(const struct user *user); /* on this machine, or behind a proxy on it */
bool user_may_see_address(const struct user *asker, const struct user *user);
/* "nick!user@host"; *  for a nick not set. Returns buf. */
#define SOURCE_MAX (ROOM_NICK_MAX + 16 + ROOM_HOST_MAX + 4)
char *user_source(const struct user *user, char buf[SOURCE_MAX]);

/* --- room-accounts.c ---------------------------------------------------------------------- */

void owned_free(struct room *room);
/* Whose the nick is, or one in other case (see names.h); NULL: anybody's. */
const char *account_of_nick(const struct room *room, const char *nick);
/* May the user have this nick, as far as accounts go? */
bool may_use_nick(const struct room *room, const struct user *user, const char *nick);
void log_in(struct room *room, struct user *user, const char *account);
void log_out(struct room *room, struct user *user);
const char *account_or_star(const struct user *user);
int add_owned(struct room *room, const char *nick, const char *account); /* 0 or -ENOMEM */
/* Is user logged in to the account whose the nick is? */
bool owns_nick(const struct room *room, const struct user *user, const char *nick);

/* --- room-guard.c ------------------------------------------------------------------------- */

/* Which place that address is: an IPv6 network counts as one. */
uint32_t place_of(const struct room *room, const char *host);
/*
 * False: too much was tried from there. cost is in tries. account is the one that is tried, NULL:
 * a new one. What was right, or could not be checked, is given back.
 */
bool guard_take(struct room *room, const struct user *user, const char *account, unsigned cost);
void guard_give_back(struct room *room, const struct user *user, const char *account,
		     unsigned cost);
void guards_free(struct room *room);

/* --- room-nicks.c ------------------------------------------------------------------------- */

/*
 * True: holder, who is not logged in to the account whose its nick is, has given it up to asker,
 * who is; holder may be gone.
 */
bool yields_nick(struct room *room, struct user *holder, const struct user *asker);
bool same_account(const struct user *a, const struct user *b); /* are both logged in to one? */

/* --- room-oper.c, room-kline.c ------------------------------------------------------------ */

/* After a change of account or config: is user an operator still? */
void oper_check(struct room *room, struct user *user);
void oper_leave(struct room *room, struct user *user);              /* without a word */
bool oper_may_be(const struct room *room, const struct user *user); /* by his account */
bool oper_or_refuse(struct room *room, struct user *user);
/* "nick!user@host (account)" */
#define OPER_TEXT_MAX (SOURCE_MAX + ROOM_NICK_MAX + 8)
char *oper_text(const struct user *user, char buf[OPER_TEXT_MAX]);
void operate(struct room *room, const struct room_operation *operation);
/* Throws target out, which may be the one who asks. */
void throw_out(struct room *room, struct user *target, const char *reason);

/* Whether user is kept out, and why; NULL: not. */
const char *kline_of(struct room *room, const struct user *user);
void klines_free(struct room *room);
void send_klines(struct room *room, struct user *user); /* STATS k */

/* --- room-sasl.c -------------------------------------------------------------------------- */

/* What user may be offered: "PLAIN,SCRAM-SHA-256"; "" without any. Returns buf. */
#define MECHANISMS_TEXT_MAX 48
char *sasl_mechanisms(const struct room *room, const struct user *user,
		      char buf[MECHANISMS_TEXT_MAX]);
/* Ends what is under way, if anything is, and says so to user when tell. */
void sasl_abort(struct room *room, struct user *user, bool tell);
/* The user has none yet. NULL when out of memory. */
struct conversation *conversation_begin(struct room *room, struct user *user,
					enum room_question_kind kind);
/* Asks the host, whose answer the user's conversation waits for. */
void ask_host(struct room *room, struct user *user, struct room_question *question);
/* Takes back what was not tried. */
void conversation_give_back(struct room *room, struct user *user);
/* The last answer has come. */
void conversation_free(struct user *user);
/* None need come any more. */
void conversation_end(struct room *room, struct user *user);

/* --- room-account-register.c -------------------------------------------------------------- */

/* The answer to a REGISTER. */
void registration_answered(struct room *room, struct user *user, const struct room_answer *answer);
/* The room has another config: what is offered now is told, to whoever wants to be. */
void caps_changed(struct room *room, struct user *user, const struct room_config *before);

/* The value of the capability; NULL: not offered to user. */
const char *registration_value(const struct room *room, const struct user *user);
/* NULL, or the code of a FAIL, and why it is none in text. */
const char *password_is_bad(const char *password, const char **ret_text);

/* --- room-password.c ---------------------------------------------------------------------- */

/* PASS has said "account:password". May remove the user. */
void pass_log_in(struct room *room, struct user *user, const char *text);
/* Their answers; the first may remove the user. */
void pass_answered(struct room *room, struct user *user, const struct room_answer *answer);
void password_answered(struct room *room, struct user *user, const struct room_answer *answer);

/* --- room-channels.c ---------------------------------------------------------------------- */

struct channel *channel_find(const struct room *room, const char *name);
/* Is there one with that name in other case, see names.h? */
bool channel_is_like_another(const struct room *room, const char *name);
int channel_new(struct room *room, const char *name, struct channel **ret);
int channel_add(struct room *room, struct channel *channel, struct user *user, uint8_t modes);
/* The channel goes with its last member. */
void channel_remove(struct room *room, struct channel *channel, struct user *user);
struct member *channel_member(const struct channel *channel, const struct user *user);
/* To the IRC members. */
void channel_send(struct room *room, const struct channel *channel, const struct user *from,
		  const struct irc_line *line);
void channel_deliver(struct delivery *d, const struct channel *channel, const struct user *except);
/* What stands in front of a member's nick: all signs, or the highest. Returns buf. */
char *member_signs(uint8_t modes, bool all, char buf[sizeof(MEMBER_SIGNS)]);
uint8_t member_mode_of(char sign);  /* enum member_mode */
uint8_t member_rank(uint8_t modes); /* the highest of them; 0: none */
bool channel_is_banned(const struct channel *channel, const struct user *user);
bool channel_is_silenced(const struct channel *channel, const struct user *user);
bool channel_is_invited(const struct channel *channel, const struct user *user); /* by a mask */
bool channel_is_visible(const struct channel *channel, const struct user *user);
/* 0, -EEXIST, -ENOSPC or -ENOMEM; -ENOENT. */
int channel_add_mask(struct room *room, struct channel *channel, enum mask_list list,
		     const char *mask, const char *by);
int channel_remove_mask(struct channel *channel, enum mask_list list, const char *mask);

/* --- room-tags.c -------------------------------------------------------------------------- */

/*
 * One line on its way to many, each of whom gets the tags in front that he asked for. begin, then
 * any number of channel_deliver(), deliver() and so on; wanted and unwanted may be set in between.
 */
#define TAG_KINDS       8
#define SERVER_TAGS_MAX 320
#define TAGGED_LINE_MAX (IRC_TAGS_MAX + SERVER_TAGS_MAX + IRC_LINE_MAX)
struct delivery {
	struct room *room;
	const struct irc_line *line;
	const char *client;        /* tags between clients; NULL: none */
	const char *account;       /* its sender's; NULL: none */
	bool bot;                  /* its sender is one */
	uint64_t id;               /* 0: none */
	uint32_t wanted, unwanted; /* capabilities: only who has all of these and none of those */
	uint16_t tags[TAG_KINDS];  /* bytes of the tags; 0: none, when size is not 0 */
	uint16_t size[TAG_KINDS];  /* of the whole; 0: not made yet */
	char text[TAG_KINDS][TAGGED_LINE_MAX]; /* "@tags line", or the line alone */
};
void delivery_begin(struct delivery *d, struct room *room, const struct irc_line *line);
/* The line tells what from does. */
void delivery_begin_from(struct delivery *d, struct room *room, const struct irc_line *line,
			 const struct user *from);
/* The line is a message: it has an id, and the tags that its sender put there. */
void delivery_begin_message(struct delivery *d, struct room *room, const struct irc_line *line,
			    const struct user *from, const char *client);
void deliver(struct delivery *d, const struct user *user);
/* The same to whom a message is for, who may be the sender: that is no answer, and has no label. */
void deliver_to_target(struct delivery *d, const struct user *user);
/* The same when the tags that he wants are known already. */
void deliver_tagged(struct delivery *d, const struct user *user, uint32_t id, unsigned tags);
bool delivery_is_for(const struct delivery *d, const struct user *user);

/* What of the tags is kept: the account's first, if there is one. buf has TAGGED_LINE_MAX bytes. */
const char *delivery_tags_to_keep(const struct delivery *d, char *buf);

/* Which tags somebody with these capabilities gets: less than TAG_KINDS. */
unsigned tags_wanted(uint32_t caps);

void send_line(struct room *room, const struct user *user, const struct irc_line *line);

/* "time=..." and "msgid=..." of something that was said. Both return buf. */
char *tag_time(uint64_t ms, char buf[TAG_TEXT_MAX]);
char *tag_id(const struct history_id *id, char buf[TAG_TEXT_MAX]);

/* What user is told from now on is the answer to a command with that label, until label_end(). */
void label_begin(struct room *room, struct user *user, const char *label);
void label_end(struct room *room);
/* The answer comes later, by other means: takes the label off the command; "" when it has none. */
void label_take(struct room *room, const struct user *user, char ret[HISTORY_LABEL_MAX]);
/* Here it is, with the label that was taken. */
void label_resume(struct room *room, struct user *user, const char *label);
/* There will be none: says so, if it was taken. */
void label_acknowledge(struct room *room, const struct user *user, const char *label);
/* The user is about to be removed. */
void label_abandon(struct room *room, const struct user *user);

/* --- room-replies.c ----------------------------------------------------------------------- */

/* One line, formatted whole: send_text(room, user, ":%s PONG ...", ...). */
void send_text(struct room *room, const struct user *user, const char *fmt, ...) PRINTF(3, 4);
/* ":server NNN nick " and the text; numeric and fmt come from numerics.h as one macro. */
void reply(struct room *room, const struct user *user, const char *numeric, const char *fmt, ...)
	PRINTF(4, 5);
const char *nick_or_star(const struct user *user);

/* --- room-register.c ---------------------------------------------------------------------- */

void finish_registration(struct room *room, struct user *user);
/* nick is a free one. Tells everybody; without memory the user is removed. */
void change_nick(struct room *room, struct user *user, const char *nick);

/* --- room-join.c, room-info.c ------------------------------------------------------------- */

/* Adds, tells the IRC members and the course. 0 or -ENOMEM. */
int enter_channel(struct room *room, struct user *user, struct channel *channel, uint8_t modes);
/* Removes, after line (PART, KICK) of from was told to the IRC members; and tells the course. */
void leave_channel(struct room *room, struct user *user, struct channel *channel,
		   const struct user *from, const struct irc_line *line);
void send_names(struct room *room, struct user *user, const struct channel *channel);
void send_topic(struct room *room, struct user *user, const struct channel *channel);
void take_invitation(struct user *user, const struct channel *channel);
void send_welcome(struct room *room, struct user *user);
/* "2026-11-23 10:00:00 UTC"; returns buf. */
const char *time_text(uint64_t realtime, char *buf, size_t size);

/* --- room-monitor.c ----------------------------------------------------------------------- */

/* Somebody with that name has come, or has it no more. */
void monitor_online(struct room *room, const struct user *user);
void monitor_offline(struct room *room, const char *nick);
void monitor_forget(struct room *room, struct user *user); /* its own list */

/* --- room-whowas.c ------------------------------------------------------------------------ */

/* Under this name the user is no more. */
void whowas_note(struct room *room, const struct user *user);
void whowas_free(struct room *room);

/* --- room-history.c ----------------------------------------------------------------------- */

bool history_is_for(const struct room *room, const char *channel); /* by the config */
void history_message(const struct delivery *d, const struct channel *channel);
/* An event that is kept gets an id by it. */
void history_event(struct delivery *d, const struct channel *channel);
void history_event_of_user(struct delivery *d, const struct user *user); /* in all its channels */
/* Keeps the event if that is to be, and tells it to the IRC members. */
void channel_event(struct room *room, const struct channel *channel, const struct user *from,
		   const struct irc_line *line);
/* Somebody has come in: tells that there is history, and shows some of it. */
void history_welcome(struct room *room, struct user *user, const struct channel *channel);

/* --- room-say.c --------------------------------------------------------------------------- */

/* What is said in a channel reaches both doors. verb is PRIVMSG or NOTICE; tags may be NULL. */
void say_in_channel(struct room *room, struct user *from, const struct channel *channel,
		    const char *verb, const char *text, const char *tags);
void say_to_user(struct room *room, struct user *from, struct user *to, const char *verb,
		 const char *text, const char *tags);
bool may_speak(const struct channel *channel, const struct user *user);
void away_line(struct irc_line *line, const struct user *user); /* "AWAY :...", or back again */

/* --- room-operators.c --------------------------------------------------------------------- */

#define OPERATORS_LINE_MAX 2048 /* bytes of one line that its voice says; more is cut */

int operators_open(struct room *room);   /* 0 or -errno; nothing when there is to be none */
void operators_begin(struct room *room); /* the time is known now */
void operators_close(struct room *room);
bool operators_may_join(const struct room *room, const struct user *user);
/* The user's account, or who may come in, is another now: who may not goes, and is told why. */
void operators_check(struct room *room, struct user *user, const char *why);
void operators_entered(struct room *room); /* somebody has */
/* Said to the voice in private (channel NULL), or in its channel. */
void operators_heard(struct room *room, const struct user *user, const struct channel *channel,
		     const char *text);

/* --- room-course.c ------------------------------------------------------------------------ */

void course_tell_joined(struct room *room, const struct user *who);
void course_tell_left(struct room *room, const struct user *who, const char *nick);
void course_tell_said(struct room *room, const struct user *who, const char *text);
void course_tell_privately(struct room *room, const struct user *from, const struct user *to,
			   const char *text);
void course_announce(struct room *room, const char *text);
void course_tell_taken(struct room *room, const struct user *user); /* its name, by the owner */
void course_dismiss(struct room *room, struct user *user); /* EXIT; the user stays for now */

#endif
