/* SPDX-License-Identifier: MIT */
/*
 * Lines of the IRC protocol, taken apart and put together. Pure functions over buffers.
 */
#ifndef FOSTER_CHAT_IRC_H
#define FOSTER_CHAT_IRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define IRC_LINE_MAX   512  /* bytes of a line, CR LF included, tags not */
#define IRC_TAGS_MAX   4096 /* bytes of the tags that a client may send, '@' and blank included */
#define IRC_PARAMS_MAX 15

struct irc_message {
	char *tags; /* NULL: none; see irc-tags.h */
	char *command;
	char *params[IRC_PARAMS_MAX];
	int n_params;
};

/*
 * Takes line (NUL-terminated, without CR LF) apart in place; the pointers lead into it. A source
 * is skipped: a client has no say in it. A last parameter without colon is as
 * good as one with. 0, or -ENODATA: no command (an empty line, or a second source).
 */
int irc_parse(char *line, struct irc_message *ret);

/* One line, CR LF included, not NUL-terminated. */
struct irc_line {
	char bytes[IRC_LINE_MAX];
	size_t size;
	size_t head; /* irc_words_begin(): where the words begin */
};

/* What does not fit is cut at a character's border. */
void irc_format(struct irc_line *line, const char *fmt, ...) PRINTF(2, 3);

/*
 * A line that is filled word by word (names of a channel, tokens). begin holds what stands in
 * front; append adds a word and a blank before it unless it is the first: false when it does
 * not fit; then the caller sends the line, begins again and appends the word.
 */
void irc_words_begin(struct irc_line *line, const char *fmt, ...) PRINTF(2, 3);
bool irc_words_append(struct irc_line *line, const char *word, size_t size);
void irc_words_end(struct irc_line *line);

/*
 * How many bytes of text fit behind a head of head_size bytes in one line: all of them, or up
 * to the last blank in the last quarter, or up to a character's border. At least one character.
 */
size_t irc_fit(const char *text, size_t size, size_t head_size);

/*
 * The same for text that is no CTCP, whose rest goes on in another line: that does not begin as
 * CTCP does, which would be a request that nobody has looked at. *ret_skip: bytes to be left out
 * between.
 */
size_t irc_fit_plain(const char *text, size_t size, size_t head_size, size_t *ret_skip);

/* CTCP: "\1WORD rest\1", the second \1 may be missing. */
bool irc_is_ctcp(const char *text);
/* The rest of "\1ACTION rest\1" (not NUL-terminated), else NULL. */
const char *irc_action(const char *text, size_t *ret_size);

/* Takes the first part of *list up to separator off it and NUL-terminates it; NULL at the end. */
char *irc_next_item(char **list, char separator);

#endif
