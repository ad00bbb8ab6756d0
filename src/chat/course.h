/* SPDX-License-Identifier: MIT */
/*
 * The course protocol's datagrams, taken apart and put together; see foster-chatd(8). UTF-8,
 * one datagram each, no terminator. Pure functions over buffers.
 */
#ifndef FOSTER_CHAT_COURSE_H
#define FOSTER_CHAT_COURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define COURSE_DATAGRAM_MAX 1024 /* what the smallest client reads at once */

#define COURSE_OK   "OK"
#define COURSE_EXIT "EXIT"

/*
 * What strangers are told. At most 18 bytes: in an Ethernet frame of the least size, so that a
 * forged request makes no larger one.
 */
#define COURSE_TAKEN     "该用户存在"
#define COURSE_BAD_NAME  "名字无效"
#define COURSE_LONG_NAME "名字太长"
#define COURSE_FULL      "聊天室已满"
#define COURSE_CLOSED    "不能进入"
#define COURSE_STRANGER  "\n请先登录"

/* Told to those who are known. */
#define COURSE_TOO_FAST  "\n发言太快"
#define COURSE_SILENCED  "\n不能发言"
#define COURSE_RECLAIMED "\n名字已归还其主人"
#define COURSE_SHUTDOWN  "聊天室关闭"

enum course_verb {
	COURSE_LOGIN,
	COURSE_SAY,
	COURSE_LEAVE
};

struct course_request {
	enum course_verb verb;
	const char *name, *text; /* into the datagram, not NUL-terminated; text of SAY only */
	size_t name_size, text_size;
};

/*
 * "L name", "C name text", "Q name"; blanks in front, blanks and line ends around the name of L and
 * Q, a missing blank after Q, and "E name" are borne, for clients send them. No answer of ours is a
 * request. 0, or -EBADMSG for anything else.
 */
int course_parse(const char *data, size_t size, struct course_request *ret);

/* A datagram to be sent. */
struct course_datagram {
	char bytes[COURSE_DATAGRAM_MAX + 1];
	size_t size;
};

/* What does not fit is cut at a character's border. */
void course_format(struct course_datagram *d, const char *fmt, ...) PRINTF(2, 3);

/*
 * Copies text without what a terminal would obey: IRC's colours and formats go, other controls
 * become blanks, invalid UTF-8 and what turns the direction of writing become U+FFFD.
 * NUL-terminated; cut at a character. Returns the size.
 */
size_t course_plain(char *buf, size_t room, const char *text, size_t size);

#endif
