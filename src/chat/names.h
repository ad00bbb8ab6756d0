/* SPDX-License-Identifier: MIT */
/*
 * The names of users and channels: which are allowed, when two are the same, masks. Letters
 * are folded in ASCII only (CASEMAPPING=ascii); all other characters count byte by byte. Pure.
 */
#ifndef FOSTER_CHAT_NAMES_H
#define FOSTER_CHAT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The name under which the server's operators speak. Nobody from the network gets it. */
#define NAME_ADMIN "管理员"

static inline char name_fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool name_equal(const char *a, const char *b);

/*
 * A nick, from whichever door: letters, digits, []\`_^{|}- and characters beyond ASCII that can
 * be seen; no digit or '-' first. At most max bytes.
 *
 * Some alphabets have letters that look like each other's: "а" is Cyrillic. So letters of two of
 * Latin, Greek, Cyrillic, Armenian and Cherokee do not stand in one nick, and letters that only
 * are another way to write Latin ones (full width, mathematical) in none.
 */
bool name_is_nick(const char *name, size_t max);

/* Contains the operators' name. */
bool name_is_reserved(const char *name);

/* "#" and anything but controls, blanks, commas and colons. At most max bytes. */
bool name_is_channel(const char *name, size_t max);

/* A mask with '*' and '?' (one character, not one byte), folded. */
bool name_matches(const char *mask, const char *text);

#endif
