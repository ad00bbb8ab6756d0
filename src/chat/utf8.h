/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 in byte buffers that came from the network: checking, repairing and cutting without
 * breaking a character, on top of base/text.h. Sizes are bytes. Pure; nothing allocates, blocks or
 * needs a NUL.
 */
#ifndef FOSTER_CHAT_UTF8_H
#define FOSTER_CHAT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

bool utf8_is_valid(const char *s, size_t size);

/* The largest size up to max at which s may be cut. s is valid UTF-8. */
size_t utf8_cut(const char *s, size_t size, size_t max);

/*
 * Copies s to buf, each invalid byte replaced by U+FFFD, and adds a NUL. What does not fit is
 * cut at a character. room counts the NUL. Returns the size without it.
 */
size_t utf8_repair(char *buf, size_t room, const char *s, size_t size);

#endif
