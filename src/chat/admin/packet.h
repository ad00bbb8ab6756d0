/* SPDX-License-Identifier: MIT */
/*
 * What foster-chatd and its admin child say to each other: one packet each, over a pair of
 * SOCK_SEQPACKET. Both are one program, so a packet is a struct, of which only the used part of the
 * text is sent.
 */
#ifndef FOSTER_CHAT_ADMIN_PACKET_H
#define FOSTER_CHAT_ADMIN_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/macro.h"
#include "chat/room.h"

#define PACKET_TEXT_MAX   8192
#define PACKET_TAGS_MAX   512
#define PACKET_SOURCE_MAX (2 * ROOM_NICK_MAX + ROOM_HOST_MAX)

enum packet_kind {
	PACKET_ANNOUNCEMENT, /* from the child: text, to everybody */
	PACKET_EVENT,        /* from the child: text with tags, to the operators' channel */
	PACKET_ANSWER,       /* from the child: text, to who asked */
	PACKET_HELLO,        /* from the child: it leads, and asks for PACKET_STATE */
	PACKET_STAND_IN, /* from the child: id is the pid of a new stand-in, its guard comes along */
	PACKET_STATE,    /* to the child: seq and number as they last came from one of them */
	PACKET_QUESTION, /* to the child: nick, source, account and text of who asks */
	PACKET_RELOAD,   /* to the child: the configuration is to be read again */
};

struct packet {
	uint32_t kind;
	uint32_t id; /* of who asks, as in struct room_command; or a pid */
	uint64_t since;
	uint64_t seq;    /* from the child: up to this number all events were told; 0: as before */
	uint64_t number; /* from the child: that of the last event that it has seen */
	bool in_channel;
	char nick[ROOM_NICK_MAX + 1], account[ROOM_NICK_MAX + 1];
	char source[PACKET_SOURCE_MAX + 1];
	char tags[PACKET_TAGS_MAX];
	char text[PACKET_TEXT_MAX + 1];
};

static inline size_t packet_size(const struct packet *p)
{
	return offsetof(struct packet, text) + strlen(p->text) + 1;
}

/* Of n bytes that were read into p: is it one? */
static inline bool packet_is_whole(const struct packet *p, ssize_t n)
{
	return n > (ssize_t)offsetof(struct packet, text) && n <= (ssize_t)sizeof(*p) &&
	       ((const char *)p)[n - 1] == '\0';
}

#endif
