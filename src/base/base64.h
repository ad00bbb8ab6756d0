/* SPDX-License-Identifier: MIT */
/* Base64 with padding (RFC 4648, section 4). Pure. */
#ifndef FOSTER_BASE_BASE64_H
#define FOSTER_BASE_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4) /* of n bytes, without the NUL */

/* text has room for BASE64_SIZE(size) + 1 bytes; returns its length. */
size_t base64_encode(char *text, const void *data, size_t size);

/*
 * data has room for size / 4 * 3 bytes. Returns how many there are; -EINVAL for what is not
 * exactly one way to write them: other characters, bits behind the end, no padding.
 */
ssize_t base64_decode(void *data, const char *text, size_t size);

#endif
