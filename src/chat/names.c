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

enum alphabet {
	OF_NO_MATTER, /* digits, signs, other scripts, accents */
	LATIN,
	GREEK,
	CYRILLIC,
	ARMENIAN,
	CHEROKEE,
	IN_DISGUISE, /* Latin letters by another number */
};

static const struct {
	uint32_t first, last;
	enum alphabet alphabet;
} alphabets[] = {
	{ 'A', 'Z', LATIN },
	{ 'a', 'z', LATIN },
	{ 0xaa, 0xaa, LATIN },
	{ 0xba, 0xba, LATIN },
	{ 0xc0, 0xd6, LATIN },
	{ 0xd8, 0xf6, LATIN },
	{ 0xf8, 0x2b8, LATIN },
	{ 0x370, 0x3e1, GREEK },
	{ 0x3f0, 0x3ff, GREEK },
	{ 0x400, 0x52f, CYRILLIC },
	{ 0x531, 0x58a, ARMENIAN },
	{ 0x13a0, 0x13ff, CHEROKEE },
	{ 0x1c80, 0x1c8f, CYRILLIC },
	{ 0x1d00, 0x1d25, LATIN },
	{ 0x1e00, 0x1eff, LATIN },
	{ 0x1f00, 0x1fff, GREEK },
	{ 0x2100, 0x214f, IN_DISGUISE }, /* letterlike */
	{ 0x2160, 0x2188, IN_DISGUISE }, /* Roman numerals */
	{ 0x24b6, 0x24e9, IN_DISGUISE }, /* in circles */
	{ 0x2c60, 0x2c7f, LATIN },
	{ 0x2de0, 0x2dff, CYRILLIC },
	{ 0xa640, 0xa69f, CYRILLIC },
	{ 0xa720, 0xa7ff, LATIN },
	{ 0xab30, 0xab6f, LATIN },
	{ 0xab70, 0xabbf, CHEROKEE },
	{ 0xfb00, 0xfb06, IN_DISGUISE }, /* ligatures */
	{ 0xff21, 0xff3a, IN_DISGUISE }, /* full width */
	{ 0xff41, 0xff5a, IN_DISGUISE },
	{ 0x1d400, 0x1d7cb, IN_DISGUISE }, /* mathematical */
	{ 0x1f110, 0x1f189, IN_DISGUISE }, /* in boxes */
};

static enum alphabet alphabet_of(uint32_t code)
{
	for (size_t i = 0; i < ELEMENTSOF(alphabets); i++) {
		if (code >= alphabets[i].first && code <= alphabets[i].last)
			return alphabets[i].alphabet;
	}
	return OF_NO_MATTER;
}

/* False: the letter does not go with those before it, of which *alphabet is. */
static bool goes_with(enum alphabet *alphabet, uint32_t code)
{
	enum alphabet own = alphabet_of(code);

	if (own == OF_NO_MATTER)
		return true;
	if (own == IN_DISGUISE || (*alphabet != OF_NO_MATTER && *alphabet != own))
		return false;
	*alphabet = own;
	return true;
}

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
	enum alphabet alphabet = OF_NO_MATTER;
	size_t size = strlen(name), i = 0;

	if (size == 0 || size > max || is_digit(name[0]) || name[0] == '-')
		return false;
	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(name + i, size - i, &code);

		if (n == 0 || (n == 1 ? !is_nick_ascii(name[i]) : !is_visible(code)) ||
		    !goes_with(&alphabet, code))
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
