/* SPDX-License-Identifier: MIT */
/* Lines of the IRC protocol: see irc.h. */
#include "chat/irc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "chat/utf8.h"

#define TEXT_MAX (IRC_LINE_MAX - 2) /* without CR LF */

static char *skip_blanks(char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* Ends the word at p with a NUL and returns what follows it. */
static char *cut_word(char *p)
{
	p += strcspn(p, " ");
	if (*p)
		*p++ = '\0';
	return skip_blanks(p);
}

int irc_parse(char *line, struct irc_message *ret)
{
	struct irc_message m = { .n_params = 0 };
	char *p = skip_blanks(line);

	if (*p == '@') {
		m.tags = p + 1;
		p = cut_word(p);
	}
	if (*p == ':')
		p = cut_word(p);
	if (!*p || *p == ':') /* said to others, it would be read as the last parameter */
		return -ENODATA;
	m.command = p;
	p = cut_word(p);
	while (*p && m.n_params < IRC_PARAMS_MAX) {
		/* The last one that fits takes all the rest, colon or not (RFC 2812, 2.3.1). */
		if (*p == ':' || m.n_params == IRC_PARAMS_MAX - 1) {
			m.params[m.n_params++] = *p == ':' ? p + 1 : p;
			break;
		}
		m.params[m.n_params++] = p;
		p = cut_word(p);
	}
	*ret = m;
	return 0;
}

static void finish(struct irc_line *line)
{
	line->bytes[line->size++] = '\r';
	line->bytes[line->size++] = '\n';
}

static void PRINTF(2, 0) format_head(struct irc_line *line, const char *fmt, va_list ap)
{
	int n = vsnprintf(line->bytes, sizeof(line->bytes), fmt, ap);

	line->size = n < 0 ? 0 : (size_t)n;
	/* vsnprintf has written one byte less than the buffer holds: enough to see whether the
	 * byte after the cut starts a character. */
	if (line->size > TEXT_MAX)
		line->size = utf8_cut(line->bytes, IRC_LINE_MAX - 1, TEXT_MAX);
}

void irc_format(struct irc_line *line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_head(line, fmt, ap);
	va_end(ap);
	finish(line);
}

void irc_words_begin(struct irc_line *line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format_head(line, fmt, ap);
	va_end(ap);
	line->head = line->size;
}

bool irc_words_append(struct irc_line *line, const char *word, size_t size)
{
	size_t blank = line->size > line->head ? 1 : 0;

	if (line->size + blank + size > TEXT_MAX)
		return false;
	if (blank)
		line->bytes[line->size++] = ' ';
	memcpy(line->bytes + line->size, word, size);
	line->size += size;
	return true;
}

void irc_words_end(struct irc_line *line)
{
	finish(line);
}

size_t irc_fit(const char *text, size_t size, size_t head_size)
{
	size_t room = head_size < TEXT_MAX ? TEXT_MAX - head_size : 0, n;
	uint32_t code;

	if (size <= room)
		return size;
	n = utf8_cut(text, size, room);
	for (size_t i = n; i > n - n / 4; i--) {
		if (text[i - 1] == ' ')
			return i;
	}
	if (n == 0) /* a head that leaves no room: irc_format() cuts it */
		n = MAX(utf8_decode(text, size, &code), 1);
	return n;
}

size_t irc_fit_plain(const char *text, size_t size, size_t head_size, size_t *ret_skip)
{
	size_t fit = irc_fit(text, size, head_size), n = fit;

	while (n > 0 && n < size && text[n] == '\1') {
		do
			n--;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80);
	}
	n = n > 0 ? n : fit;
	for (*ret_skip = 0; n + *ret_skip < size && text[n + *ret_skip] == '\1';)
		++*ret_skip;
	return n;
}

bool irc_is_ctcp(const char *text)
{
	return text[0] == '\1' && text[1] && text[1] != '\1';
}

const char *irc_action(const char *text, size_t *ret_size)
{
	static const char head[] = "\1ACTION ";
	size_t size;

	if (strncmp(text, head, sizeof(head) - 1) != 0)
		return NULL;
	text += sizeof(head) - 1;
	size = strlen(text);
	if (size > 0 && text[size - 1] == '\1')
		size--;
	*ret_size = size;
	return text;
}

char *irc_next_item(char **list, char separator)
{
	char *item = *list, *end;

	if (!item || !*item)
		return NULL;
	end = strchr(item, separator);
	if (end)
		*end++ = '\0';
	*list = end;
	return item;
}
