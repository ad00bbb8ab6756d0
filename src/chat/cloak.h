/* SPDX-License-Identifier: MIT */
/*
 * Cloaks: what is shown of a user's address in its place, so that nobody learns where he is, and
 * yet he can be banned, with his network or without. The same address has the same cloak, as long
 * as the key is the same.
 *
 *	192.0.2.7	HHHHHHHHHH.hhhhhhhh.hhhhhh.ip	of all of it, of 192.0.2, of 192.0
 *	2001:db8::7	HHHHHHHHHH.hhhhhhhh.hhhhhh.ip6	of its /64, its /48, its /32
 *
 * Each part is the beginning of an HMAC-SHA-256 in hexadecimal digits.
 */
#ifndef FOSTER_CHAT_CLOAK_H
#define FOSTER_CHAT_CLOAK_H

#include <stddef.h>

/* size: 32 at least. What is no address gets one part. */
void cloak_address(const char *key, const char *address, char *buf, size_t size);

#endif
