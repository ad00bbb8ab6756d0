/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 in byte buffers that came from the network: checking, repairing and cutting without
 * breaking a character. Sizes are bytes. Pure; nothing allocates, blocks or needs a NUL.
 */
#ifndef FOSTER_CHAT_UTF8_H
#define FOSTER_CHAT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * The size of the character at s, 1 to 4, or 0 when there is no valid one within size bytes:
 * overlong forms, surrogates and what lies above U+10FFFF are not valid. *ret_code may be NULL.
 */
size_t utf8_char_size(const char *s, size_t size, uint32_t *ret_code);

bool utf8_is_valid(const char *s, size_t size);

/* The largest size up to max at which s may be cut. s is valid UTF-8. */
size_t utf8_cut(const char *s, size_t size, size_t max);

/*
 * Copies s to buf, each invalid byte replaced by U+FFFD, and adds a NUL. What does not fit is
 * cut at a character. room counts the NUL. Returns the size without it.
 */
size_t utf8_repair(char *buf, size_t room, const char *s, size_t size);

#endif
