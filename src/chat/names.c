/* SPDX-License-Identifier: MIT */
/* The names of users and channels: see names.h. */
#include "chat/names.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "chat/letters.h"
#include "chat/utf8.h"

bool name_equal(const char *a, const char *b)
{
	while (*a && name_fold(*a) == name_fold(*b)) {
		a++;
		b++;
	}
	return name_fold(*a) == name_fold(*b);
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

/* "管理員" is the same in the characters of Taiwan. */
bool name_is_reserved(const char *name)
{
	return strstr(name, NAME_ADMIN) || strstr(name, "管理員");
}

bool name_is_nick(const char *name, size_t max)
{
	size_t size = strlen(name);
	bool ascii = true;

	if (size == 0 || size > max || is_digit(name[0]) || name[0] == '-')
		return false;
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)name[i] >= 0x80)
			ascii = false;
		else if (!is_nick_ascii(name[i]))
			return false;
	}
	return ascii || letters_are_plain(name, size, LETTERS_OF_NICK);
}

bool name_is_channel(const char *name, size_t max)
{
	size_t size = strlen(name);
	bool ascii = true;

	if (name[0] != '#' || size < 2 || size > max)
		return false;
	for (size_t i = 1; i < size; i++) {
		unsigned char c = name[i];

		if (c >= 0x80)
			ascii = false;
		else if (c <= ' ' || c == 0x7f || c == ',' || c == ':')
			return false;
	}
	return ascii || letters_are_plain(name + 1, size - 1, LETTERS_OF_CHANNEL);
}

size_t name_key(const char *name, char buf[NAME_KEY_MAX])
{
	size_t n, size = 0;
	bool ascii = true;

	for (n = 0; name[n] && n < NAME_KEY_MAX; n++) {
		buf[n] = name_fold(name[n]);
		ascii = ascii && (unsigned char)name[n] < 0x80;
	}
	if (!ascii && utf8_is_valid(name, n))
		size = letters_fold(buf, NAME_KEY_MAX, name, n);
	if (!ascii && size == 0) { /* buf may hold something else by now */
		for (size = 0; size < n; size++)
			buf[size] = name_fold(name[size]);
	}
	return ascii ? n : size;
}

bool name_alike(const char *a, const char *b)
{
	char key_a[NAME_KEY_MAX], key_b[NAME_KEY_MAX];
	size_t n = name_key(a, key_a);

	return n == name_key(b, key_b) && memcmp(key_a, key_b, n) == 0;
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
