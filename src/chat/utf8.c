/* SPDX-License-Identifier: MIT */
/* UTF-8 in byte buffers: see utf8.h. */
#include "chat/utf8.h"

#include <assert.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"

/* Chat is mostly ASCII: eight bytes a step while there is nothing else. */
static size_t skip_ascii(const char *s, size_t size)
{
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	return i;
}

bool utf8_is_valid(const char *s, size_t size)
{
	size_t i = skip_ascii(s, size);

	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(s + i, size - i, &code);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t utf8_cut(const char *s, size_t size, size_t max)
{
	size_t n = MIN(size, max);

	while (n > 0 && n < size && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

size_t utf8_repair(char *buf, size_t room, const char *s, size_t size)
{
	size_t used = 0, i = 0;

	assert(room > 0);
	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(s + i, size - i, &code);
		const char *from = n ? s + i : UTF8_REPLACEMENT;
		size_t piece = n ? n : strlen(UTF8_REPLACEMENT);

		if (used + piece >= room)
			break;
		memcpy(buf + used, from, piece);
		used += piece;
		i += n ? n : 1;
	}
	buf[used] = '\0';
	return used;
}
