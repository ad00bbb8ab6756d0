/* SPDX-License-Identifier: MIT */
/* The names of users and channels: see names.h. */
#include "chat/names.h"

#include <stdint.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "chat/utf8.h"

/* What cannot be seen, or passes for a blank: a name made of it would pass for another's. */
static const struct {
	uint32_t first, last;
} invisible[] = {
	{ 0x80, 0xa0 },     { 0xad, 0xad },       { 0x34f, 0x34f },      { 0x61c, 0x61c },
	{ 0x115f, 0x1160 }, { 0x1680, 0x1680 },   { 0x180b, 0x180e },    { 0x2000, 0x200f },
	{ 0x2028, 0x202f }, { 0x205f, 0x206f },   { 0x3000, 0x3000 },    { 0x3164, 0x3164 },
	{ 0xd800, 0xf8ff }, { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },    { 0xffa0, 0xffa0 },
	{ 0xfff0, 0xffff }, { 0xe0000, 0xe0fff }, { 0xf0000, 0x10ffff },
};

bool name_equal(const char *a, const char *b)
{
	while (*a && name_fold(*a) == name_fold(*b)) {
		a++;
		b++;
	}
	return name_fold(*a) == name_fold(*b);
}

static bool is_visible(uint32_t code)
{
	for (size_t i = 0; i < ELEMENTSOF(invisible); i++) {
		if (code >= invisible[i].first && code <= invisible[i].last)
			return false;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_nick_ascii(char c)
{
	c = name_fold(c);
	return (c >= 'a' && c <= 'z') || is_digit(c) || (c && strchr("[]\\`_^{|}-", c));
}

bool name_is_nick(const char *name, size_t max)
{
	size_t size = strlen(name), i = 0;

	if (size == 0 || size > max || is_digit(name[0]) || name[0] == '-')
		return false;
	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(name + i, size - i, &code);

		if (n == 0 || (n == 1 ? !is_nick_ascii(name[i]) : !is_visible(code)))
			return false;
		i += n;
	}
	return true;
}

bool name_is_reserved(const char *name)
{
	return strstr(name, NAME_ADMIN) != NULL;
}

bool name_is_channel(const char *name, size_t max)
{
	size_t size = strlen(name), i = 1;

	if (name[0] != '#' || size < 2 || size > max)
		return false;
	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(name + i, size - i, &code);

		if (n == 0 || code <= ' ' || code == 0x7f || strchr(",:", name[i]) ||
		    (n > 1 && !is_visible(code)))
			return false;
		i += n;
	}
	return true;
}

static const char *next_char(const char *s)
{
	uint32_t code;
	size_t n = utf8_decode(s, strlen(s), &code);

	return s + (n ? n : 1);
}

/* Linear in practice: only the last '*' is ever tried again. */
bool name_matches(const char *mask, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text) {
		if (*mask == '*') {
			star = ++mask;
			retry = text;
		} else if (*mask == '?') {
			mask++;
			text = next_char(text);
		} else if (*mask && name_fold(*mask) == name_fold(*text)) {
			mask++;
			text++;
		} else if (star) {
			mask = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*mask == '*')
		mask++;
	return *mask == '\0';
}
