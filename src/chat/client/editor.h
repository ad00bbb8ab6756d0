/* SPDX-License-Identifier: MIT */
/*
 * The line that is being typed on a terminal: bytes of the keyboard in, a line out. Small on
 * purpose: the cursor is always at the end. Pure.
 *
 *   Backspace  the last character        Ctrl-U  all of it         Up, Down  own lines of before
 *   Ctrl-W     the last word             Ctrl-D  the end, when nothing is typed
 *
 * Other keys that send escape sequences do nothing. What is typed is always valid UTF-8.
 */
#ifndef FOSTER_CHAT_CLIENT_EDITOR_H
#define FOSTER_CHAT_CLIENT_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#define EDITOR_LINE_MAX 4096 /* what is typed beyond it is not taken */
#define EDITOR_HISTORY  50

enum editor_event {
	EDITOR_NOTHING,
	EDITOR_CHANGED,
	EDITOR_LINE, /* Enter: take it by editor_text(), then editor_clear() */
	EDITOR_END
};

enum editor_escape {
	ESCAPE_NONE,
	ESCAPE_BEGUN,
	ESCAPE_SEQUENCE /* "ESC [" or "ESC O" */
};

struct editor {
	char text[EDITOR_LINE_MAX + 1];
	size_t size;
	char piece[4]; /* of a character that is not whole yet */
	size_t piece_size;
	enum editor_escape escape;
	char *history[EDITOR_HISTORY]; /* the newest last */
	size_t n_history, at;          /* at: which of them is shown; n_history: none */
};

/* All zero is an empty one. */
enum editor_event editor_key(struct editor *e, unsigned char byte);
const char *editor_text(const struct editor *e);
/* remember: the line can be got back by Up. */
void editor_clear(struct editor *e, bool remember);
void editor_free(struct editor *e);

/* Columns that valid UTF-8 takes on a terminal. */
size_t editor_width(const char *text);
/* The end of text that fits into so many columns. */
const char *editor_tail(const char *text, size_t columns);

#endif
