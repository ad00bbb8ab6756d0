/* SPDX-License-Identifier: MIT */
/* Base64: see base64.h. */
#include "base/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *text, const void *data, size_t size)
{
	const uint8_t *p = data;
	char *out = text;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
				(left > 2 ? p[i + 2] : 0);

		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		*out++ = left > 1 ? letters[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? letters[bits & 63] : '=';
	}
	*out = '\0';
	return out - text;
}

/* -1: no such letter. */
static int value_of(char c)
{
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? (int)(at - letters) : -1;
}

ssize_t base64_decode(void *data, const char *text, size_t size)
{
	uint8_t *out = data;

	if (size % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i += 4) {
		bool last = i + 4 == size;
		int padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
		uint32_t bits = 0;

		for (int k = 0; k < 4 - padding; k++) {
			int value = value_of(text[i + k]);

			if (value < 0)
				return -EINVAL;
			bits |= (uint32_t)value << (18 - 6 * k);
		}
		if (padding && (bits & (padding == 2 ? 0xffff : 0xff)))
			return -EINVAL;
		*out++ = bits >> 16;
		if (padding < 2)
			*out++ = bits >> 8 & 0xff;
		if (padding < 1)
			*out++ = bits & 0xff;
	}
	return out - (uint8_t *)data;
}
