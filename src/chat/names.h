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
 * Do they differ in the case of letters alone, beyond ASCII too? Clients, who know CASEMAPPING,
 * take "É" and "é" for two names; so does the room, and lets nobody have the second of them.
 */
bool name_alike(const char *a, const char *b);

/* What is the same for names that are alike; not NUL-terminated. Returns its size. */
#define NAME_KEY_MAX 512
size_t name_key(const char *name, char buf[NAME_KEY_MAX]);

/*
 * A nick, from whichever door: letters, digits, []\`_^{|}- and letters, digits and emoji beyond
 * ASCII; no digit or '-' first. At most max bytes.
 *
 * What would be drawn as another nick is none: see letters.h.
 */
bool name_is_nick(const char *name, size_t max);

/* Contains the operators' name. */
bool name_is_reserved(const char *name);

/* "#" and anything that is drawn, but commas and colons. At most max bytes. */
bool name_is_channel(const char *name, size_t max);

/* A mask with '*' and '?' (one character, not one byte), folded. */
bool name_matches(const char *mask, const char *text);

#endif
