/* SPDX-License-Identifier: MIT */
/*
 * What is written for what a service has said: each line with a time and a prefix in front, or as
 * an object of JSON. Pure. Nothing that was said is lost in it: text is kept byte for byte; JSON
 * can be turned back, see below.
 *
 * As text a line may come in pieces: what follows a piece without a newline goes on behind it. As
 * JSON a line waits until it is whole, at most LINES_PIECE bytes of it. A longer one becomes
 * several objects, of which all but the last say "partial": true; so does the last line of a
 * service that ended without a newline. A line that is not UTF-8 has U+FFFD for each byte that is
 * none in "text", and all of its bytes in "base64".
 */
#ifndef FOSTER_LOGGER_LINES_H
#define FOSTER_LOGGER_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_PIECE      ((size_t)24 * 1024) /* bytes of a line in one object or message */
#define LINES_PREFIX_MAX 255
#define LINES_ROOM       ((size_t)256 * 1024) /* that always holds one piece, formatted */

enum line_stamps {
	LINE_STAMPS_NONE,
	LINE_STAMPS_UTC,
	LINE_STAMPS_LOCAL
};

struct line_style {
	bool json;
	const char *prefix;  /* of text; at most LINES_PREFIX_MAX bytes */
	const char *members; /* of JSON: "\"service\":\"web\",": each with its comma */
	char stamp[40]; /* in front of all that is formatted; empty: none. JSON has one always */
};

/* "2026-11-25T13:40:00.123456Z", or with an offset as "+01:00" for local time. */
void lines_stamp(struct line_style *style, enum line_stamps stamps, uint64_t realtime);

/*
 * Formats what is in [in, in + n) into out, which has LINES_ROOM bytes, of which room may be
 * filled. *inside: whether in begins in the middle of a line; set anew for what follows. last:
 * nothing will follow, an unfinished line is due. one: a line at most, or a piece. Returns how
 * many bytes of in are done: what remains did not fit, or waits for its end; 0 with room of at
 * least LINES_ROOM means the latter.
 */
size_t lines_format(const struct line_style *style, bool *inside, const char *in, size_t n,
		    bool last, bool one, char *out, size_t room, size_t *ret_size);

/*
 * The same for text that nothing is put in front of: how many bytes to write as they are, at most
 * room. Up to the end of the last line where anything of whole lines fits and it is cut at all.
 */
size_t lines_cut(const char *in, size_t n, bool one, size_t room);

/* The next piece of a line for JSON, or for a message: at most LINES_PIECE bytes. */
struct line_piece {
	size_t size; /* of its text */
	size_t used; /* with the newline */
	bool partial;
};
/* False when there is none yet: the line is not whole. */
bool lines_piece(const char *in, size_t n, bool last, struct line_piece *ret);

size_t lines_count(const char *in, size_t n); /* newlines */

/* Appends the text as the inside of a string of JSON; what is no UTF-8 as U+FFFD. The new end. */
char *lines_escape(char *to, const char *text, size_t n);

#endif
