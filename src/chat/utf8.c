/* SPDX-License-Identifier: MIT */
/* UTF-8 in byte buffers: see utf8.h. */
#include "chat/utf8.h"

#include <assert.h>
#include <string.h>

#include "base/macro.h"

static size_t size_by_lead(unsigned char lead, uint32_t *ret_code)
{
	if (lead < 0x80) {
		*ret_code = lead;
		return 1;
	}
	if (lead >= 0xc2 && lead < 0xe0) {
		*ret_code = lead & 0x1f;
		return 2;
	}
	if (lead >= 0xe0 && lead < 0xf0) {
		*ret_code = lead & 0x0f;
		return 3;
	}
	if (lead >= 0xf0 && lead < 0xf5) {
		*ret_code = lead & 0x07;
		return 4;
	}
	return 0;
}

size_t utf8_char_size(const char *s, size_t size, uint32_t *ret_code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t n;

	if (size == 0)
		return 0;
	n = size_by_lead((unsigned char)s[0], &code);
	if (n == 0 || n > size)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	if (ret_code)
		*ret_code = code;
	return n;
}

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
		size_t n = utf8_char_size(s + i, size - i, NULL);

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
		size_t n = utf8_char_size(s + i, size - i, NULL);
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
