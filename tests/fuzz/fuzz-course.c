/* SPDX-License-Identifier: MIT */
/*
 * The course protocol's datagrams, of any bytes, against a second reading of the protocol; and
 * what is made for sending: UTF-8, at most 1024 bytes, cut at a character's border and no earlier
 * than need be, without what a terminal would obey.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "chat/course.h"
#include "chat/utf8.h"
#include "naive.h"
#include "sweep.h"

#define INPUT_MAX 4096 /* more than any datagram has */

/* --- what arrives ----------------------------------------------------------------------- */

struct reading {
	enum course_verb verb;
	struct piece name, text;
};

static bool is_around_a_name(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct piece stripped(struct piece p)
{
	while (p.size > 0 && is_around_a_name(p.at[0])) {
		p.at++;
		p.size--;
	}
	while (p.size > 0 && is_around_a_name(p.at[p.size - 1]))
		p.size--;
	return p;
}

/* "C name text": split at the first two blanks. */
static bool read_say(struct piece rest, struct reading *r)
{
	for (size_t i = 0; i < rest.size; i++) {
		if (rest.at[i] != ' ')
			continue;
		r->name = (struct piece){ rest.at, i };
		r->text = (struct piece){ rest.at + i + 1, rest.size - i - 1 };
		return i > 0;
	}
	return false;
}

static bool read_datagram(const char *data, size_t size, struct reading *r)
{
	struct piece rest = { data, size };
	bool blank;
	char verb;

	*r = (struct reading){ .verb = COURSE_LOGIN };
	while (rest.size > 0 && rest.at[0] == ' ') {
		rest.at++;
		rest.size--;
	}
	if (rest.size == 0)
		return false;
	verb = rest.at[0];
	blank = rest.size > 1 && rest.at[1] == ' ';
	if (!memchr("LCQE", verb, 4) || (!blank && verb != 'Q'))
		return false;
	rest.at += blank ? 2 : 1;
	rest.size -= blank ? 2 : 1;
	if (verb == 'C') {
		r->verb = COURSE_SAY;
		return read_say(rest, r);
	}
	r->verb = verb == 'L' ? COURSE_LOGIN : COURSE_LEAVE;
	r->name = stripped(rest);
	return r->name.size > 0;
}

static bool same(const struct piece *p, const char *at, size_t size)
{
	return p->size == size && (size == 0 || memcmp(p->at, at, size) == 0);
}

/* As a client sends it: read again it says the same. A NUL would end what is formatted. */
static void check_written(const struct course_request *r)
{
	bool say = r->verb == COURSE_SAY;
	struct course_request again;
	struct course_datagram d;

	if (memchr(r->name, '\0', r->name_size) || (say && memchr(r->text, '\0', r->text_size)))
		return;
	course_format(&d, "%c %.*s%s%.*s",
		      say                       ? 'C'
		      : r->verb == COURSE_LOGIN ? 'L'
						: 'Q',
		      (int)r->name_size, r->name, say ? " " : "", say ? (int)r->text_size : 0,
		      say ? r->text : "");
	if (r->name_size + (say ? r->text_size + 1 : 0) + 2 > COURSE_DATAGRAM_MAX)
		return;
	MUST(course_parse(d.bytes, d.size, &again) == 0 && again.verb == r->verb);
	MUST(again.name_size == r->name_size && memcmp(again.name, r->name, r->name_size) == 0);
	MUST(!say ||
	     (again.text_size == r->text_size && memcmp(again.text, r->text, r->text_size) == 0));
}

static void check_parse(const char *data, size_t size)
{
	struct course_request r = { .name = NULL };
	struct reading expected;
	int result = course_parse(data, size, &r);

	MUST((result == 0) == read_datagram(data, size, &expected));
	if (result < 0)
		return;
	MUST(r.verb == expected.verb && same(&expected.name, r.name, r.name_size));
	MUST(r.name >= data && r.name + r.name_size <= data + size);
	if (r.verb == COURSE_SAY) {
		MUST(same(&expected.text, r.text, r.text_size));
		MUST(r.text > r.name && r.text + r.text_size == data + size);
	}
	check_written(&r);
}

/* Two rooms whose answers were requests would answer each other for ever. */
static void check_answers_are_no_requests(void)
{
	static const char *const answers[] = {
		COURSE_OK,        COURSE_EXIT,     COURSE_TAKEN,     COURSE_BAD_NAME,
		COURSE_LONG_NAME, COURSE_FULL,     COURSE_CLOSED,    COURSE_STRANGER,
		COURSE_TOO_FAST,  COURSE_SILENCED, COURSE_RECLAIMED, COURSE_SHUTDOWN,
	};
	struct course_request r;

	for (size_t i = 0; i < ELEMENTSOF(answers); i++)
		MUST(course_parse(answers[i], strlen(answers[i]), &r) < 0);
}

/* --- what is made ----------------------------------------------------------------------- */

static size_t count_digits(const char *s, size_t size, size_t most, const char *which)
{
	size_t n = 0;

	while (n < size && n < most && s[n] && strchr(which, s[n]))
		n++;
	return n;
}

/* A format at s, and the numbers that belong to it; 0: none. */
static size_t format_size(const char *s, size_t size)
{
	bool hex = s[0] == 4;
	const char *which = hex ? "0123456789ABCDEFabcdef" : "0123456789";
	size_t most = hex ? 6 : 2, first, second;

	switch (s[0]) {
	case 0x01: /* CTCP */
	case 0x02: /* bold */
	case 0x0f: /* plain */
	case 0x11: /* monospace */
	case 0x16: /* reverse */
	case 0x1d: /* italic */
	case 0x1e: /* struck */
	case 0x1f: /* underlined */ return 1;
	case 0x03:
	case 0x04: break;
	default: return 0;
	}
	first = count_digits(s + 1, size - 1, most, which);
	if (first == 0 || 1 + first >= size || s[1 + first] != ',')
		return 1 + first;
	second = count_digits(s + first + 2, size - first - 2, most, which);
	return second > 0 ? first + second + 2 : 1 + first;
}

/* All of it, however long, NUL-terminated: to be freed. */
static char *make_plain(const char *text, size_t size)
{
	char *plain = malloc(size * 3 + 1), *end = plain;
	size_t n;

	MUST(plain);
	for (; size > 0; text += n, size -= n) {
		n = format_size(text, size);
		if (n > 0)
			continue;
		n = naive_character(text, size);
		if (n == 0) {
			memcpy(end, "\xef\xbf\xbd", 3);
			end += 3;
			n = 1;
		} else if (naive_is_control(text, n)) {
			*end++ = ' ';
		} else {
			memcpy(end, text, n);
			end += n;
		}
	}
	*end = '\0';
	return plain;
}

/* Sizes of buffers: the least, those near to what fits, and some between. */
static size_t next_room(size_t room, size_t all)
{
	return room < 8 || room + 8 > all ? room + 1 : MIN(room + 61 + all / 8, all - 7);
}

static void check_plain(const char *text, size_t size)
{
	_cleanup_free_ char *plain = make_plain(text, size);
	size_t all = strlen(plain);

	for (size_t room = 1; room <= all + 2; room = next_room(room, all)) {
		_cleanup_free_ char *buf = malloc(room), *again = malloc(room);
		size_t expected = naive_cut(plain, all, room - 1), n;

		MUST(buf && again);
		n = course_plain(buf, room, text, size);
		MUST(n == expected && memcmp(buf, plain, n) == 0 && buf[n] == '\0');
		MUST(course_plain(again, room, buf, n) == n && memcmp(again, buf, n) == 0);
	}
}

/* What is told of somebody: one line of text that is shown as it is. */
static void check_said(const char *text, size_t size)
{
	char plain[COURSE_DATAGRAM_MAX];
	struct course_request r;
	struct course_datagram d;
	size_t used, n;

	course_plain(plain, sizeof(plain), text, size);
	course_format(&d, "\n%s : %s", "张三", plain);
	MUST(d.size > 0 && d.size <= COURSE_DATAGRAM_MAX && d.bytes[0] == '\n');
	for (used = 1; used < d.size; used += n) {
		n = naive_character(d.bytes + used, d.size - used);
		MUST(n > 0 && !naive_is_control(d.bytes + used, n));
	}
	MUST(course_parse(d.bytes, d.size, &r) < 0);
}

/* text is UTF-8. */
static void check_format(const char *text)
{
	size_t size = naive_cut(text, strlen(text), COURSE_DATAGRAM_MAX);
	struct course_datagram d;

	course_format(&d, "%s", text);
	MUST(d.size == size && memcmp(d.bytes, text, size) == 0);
}

static void check_utf8(const char *data, size_t size)
{
	_cleanup_free_ char *valid = naive_repair(data, size);
	size_t all = strlen(valid);

	MUST(utf8_is_valid(data, size) == naive_is_utf8(data, size));
	if (memchr(data, '\0', size))
		return;
	for (size_t room = 1; room <= all + 2; room = next_room(room, all)) {
		_cleanup_free_ char *buf = malloc(room);
		size_t expected = naive_cut(valid, all, room - 1);

		MUST(buf && utf8_repair(buf, room, data, size) == expected);
		MUST(memcmp(buf, valid, expected) == 0 && buf[expected] == '\0');
		MUST(utf8_cut(valid, all, room - 1) == expected);
	}
	check_format(valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	size = MIN(size, INPUT_MAX);
	check_parse(text, size);
	check_plain(text, size);
	check_said(text, size);
	check_utf8(text, size);
	check_answers_are_no_requests();
	return 0;
}

#ifndef FUZZING
static void sweep_long(const char *piece, size_t shift)
{
	char text[COURSE_DATAGRAM_MAX + 16];
	size_t n = shift;

	memset(text, 'x', shift);
	for (size_t size = strlen(piece); n + size < sizeof(text); n += size)
		memcpy(text + n, piece, size);
	for (size_t cut = n - 24; cut <= n; cut++)
		LLVMFuzzerTestOneInput((const uint8_t *)text, cut);
}

int main(void)
{
	static const char *const seeds[] = {
		"L 张三",
		"C 张三 你好  世界 ",
		"  Q 张三",
		"Qa",
		"E a\n",
		"EXIT",
		"C a \x03"
		"04,12red\x04"
		"00ff00,abcdef\x02\x0f\x1d x\x03,",
		"C  a",
		"\xed\xa0\x80\xc2\x9b\xf4\x90\x80\x80 😀\x7f\x1b[2J",
	};
	static const char *const pieces[] = { "x",
					      "ü",
					      "中",
					      "😀",
					      "\xff",
					      "\x03"
					      "12" };

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++)
		sweep((const uint8_t *)seeds[i], strlen(seeds[i]), 5000);
	for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
		for (size_t shift = 0; shift < 4; shift++)
			sweep_long(pieces[i], shift);
	}
	return 0;
}
#endif
