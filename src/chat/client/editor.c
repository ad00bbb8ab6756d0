/* SPDX-License-Identifier: MIT */
/* The line being typed: see editor.h. */
#include "chat/client/editor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define KEY_CTRL(letter) ((letter) - '@')
#define KEY_ESCAPE       0x1b
#define KEY_DELETE       0x7f

/* --- widths ------------------------------------------------------------------------------- */

static size_t next_width(const char *s, size_t *ret_bytes)
{
	uint32_t c = 0;

	*ret_bytes = utf8_decode(s, strlen(s), &c);
	if (*ret_bytes == 0)
		*ret_bytes = 1;
	return utf8_width(c);
}

size_t editor_width(const char *text)
{
	size_t width = 0, n;

	for (; *text; text += n)
		width += next_width(text, &n);
	return width;
}

const char *editor_tail(const char *text, size_t columns)
{
	size_t width = editor_width(text), n;

	while (width > columns && *text) {
		width -= next_width(text, &n);
		text += n;
	}
	return text;
}

/* --- history ------------------------------------------------------------------------------ */

static void remember(struct editor *e)
{
	char *copy;

	if (e->size == 0 ||
	    (e->n_history > 0 && strcmp(e->history[e->n_history - 1], e->text) == 0))
		return;
	copy = strdup(e->text);
	if (!copy)
		return;
	if (e->n_history == EDITOR_HISTORY) {
		free(e->history[0]);
		memmove(e->history, e->history + 1, (EDITOR_HISTORY - 1) * sizeof(*e->history));
		e->n_history--;
	}
	e->history[e->n_history++] = copy;
}

static enum editor_event show_history(struct editor *e, size_t at)
{
	const char *line = at < e->n_history ? e->history[at] : "";

	e->at = at;
	e->size = strlen(line);
	memcpy(e->text, line, e->size + 1);
	return EDITOR_CHANGED;
}

static enum editor_event end_sequence(struct editor *e, unsigned char final)
{
	if (final == 'A' && e->at > 0)
		return show_history(e, e->at - 1);
	if (final == 'B' && e->at < e->n_history)
		return show_history(e, e->at + 1);
	return EDITOR_NOTHING;
}

void editor_clear(struct editor *e, bool keep)
{
	if (keep)
		remember(e);
	explicit_bzero(e->text, sizeof(e->text));
	e->size = e->piece_size = 0;
	e->at = e->n_history;
}

void editor_free(struct editor *e)
{
	for (size_t i = 0; i < e->n_history; i++)
		free(e->history[i]);
	editor_clear(e, false);
	e->n_history = e->at = 0;
}

const char *editor_text(const struct editor *e)
{
	return e->text;
}

/* --- keys --------------------------------------------------------------------------------- */

/* Takes one character off, with what combines with it: accents have no width of their own. */
static void drop_character(struct editor *e)
{
	size_t width, n;

	do {
		while (e->size > 0 && ((unsigned char)e->text[e->size - 1] & 0xc0) == 0x80)
			e->size--;
		e->size -= e->size > 0 ? 1 : 0;
		width = next_width(e->text + e->size, &n);
		e->text[e->size] = '\0';
	} while (e->size > 0 && width == 0);
}

static void drop_word(struct editor *e)
{
	while (e->size > 0 && e->text[e->size - 1] == ' ')
		e->size--;
	while (e->size > 0 && e->text[e->size - 1] != ' ')
		e->size--;
	e->text[e->size] = '\0';
}

static enum editor_event control_key(struct editor *e, unsigned char byte)
{
	e->piece_size = 0;
	switch (byte) {
	case '\r':
	case '\n': return EDITOR_LINE;
	case KEY_CTRL('D'): return e->size == 0 ? EDITOR_END : EDITOR_NOTHING;
	case KEY_CTRL('H'):
	case KEY_DELETE: drop_character(e); return EDITOR_CHANGED;
	case KEY_CTRL('U'): editor_clear(e, false); return EDITOR_CHANGED;
	case KEY_CTRL('W'): drop_word(e); return EDITOR_CHANGED;
	case KEY_CTRL('L'): return EDITOR_CHANGED; /* drawn again */
	case KEY_ESCAPE: e->escape = ESCAPE_BEGUN; return EDITOR_NOTHING;
	default: return EDITOR_NOTHING;
	}
}

static enum editor_event escape_key(struct editor *e, unsigned char byte)
{
	if (e->escape == ESCAPE_BEGUN) {
		e->escape = byte == '[' || byte == 'O' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
		return EDITOR_NOTHING;
	}
	if (byte >= '@' && byte <= '~') {
		e->escape = ESCAPE_NONE;
		return end_sequence(e, byte);
	}
	if (byte < ' ' || byte >= KEY_DELETE) /* it was none */
		e->escape = ESCAPE_NONE;
	return EDITOR_NOTHING;
}

/* How long a character is that begins so; 0: none does. */
static size_t character_size(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static enum editor_event text_key(struct editor *e, unsigned char byte)
{
	uint32_t code;

	if ((byte & 0xc0) != 0x80)
		e->piece_size = 0;
	else if (e->piece_size == 0)
		return EDITOR_NOTHING; /* the rest of something unknown */
	e->piece[e->piece_size++] = (char)byte;
	if (e->piece_size < character_size((unsigned char)e->piece[0]))
		return EDITOR_NOTHING;
	/* Some of two bytes are controls, too. */
	if (utf8_decode(e->piece, e->piece_size, &code) == e->piece_size &&
	    !(code >= 0x80 && code < 0xa0) && e->size + e->piece_size <= EDITOR_LINE_MAX) {
		memcpy(e->text + e->size, e->piece, e->piece_size);
		e->size += e->piece_size;
		e->text[e->size] = '\0';
	}
	e->piece_size = 0;
	return EDITOR_CHANGED;
}

enum editor_event editor_key(struct editor *e, unsigned char byte)
{
	if (e->escape != ESCAPE_NONE)
		return escape_key(e, byte);
	if (byte == '\t')
		byte = ' ';
	if (byte < ' ' || byte == KEY_DELETE)
		return control_key(e, byte);
	return text_key(e, byte);
}
