/* SPDX-License-Identifier: MIT */
/* Strings, comments, braces and statements of a config file: see config-scan.h. */
#include "base/config-scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define NAME_SHOWN "%.64s" /* a file may hold a name of a megabyte; a message shows this much */

enum token {
	TOKEN_BAD, /* a problem was told */
	TOKEN_END,
	TOKEN_WORD, /* quoted or not */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_EQUAL,
	TOKEN_COMMA,
	TOKEN_PLUS_EQUAL,
	TOKEN_PARENTHESIS,
};

struct scanner {
	const char *p, *end;
	int line;
	const struct scan_events *events;
	void *ctx;

	char *out; /* the cleaned copy */
	size_t out_size;

	/* of the token read last */
	int token_line;
	size_t token_out; /* where it begins in the copy */
	const char *word; /* a word's text, without quotes */
	size_t word_size;
};

static PRINTF(3, 4) enum token complain(struct scanner *s, int line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->events->problem(s->ctx, line, text);
	return TOKEN_BAD;
}

static bool looking_at(const struct scanner *s, const char *what)
{
	size_t n = strlen(what);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, what, n) == 0;
}

static void put(struct scanner *s, char c)
{
	s->out[s->out_size++] = c;
}

/* Copies one character and counts lines. */
static void copy(struct scanner *s)
{
	if (*s->p == '\n')
		s->line++;
	put(s, *s->p++);
}

/* Space for everything copied from here on, so that libconfuse does not see it. */
static void blank(struct scanner *s, size_t from)
{
	for (size_t i = from; i < s->out_size; i++) {
		if (s->out[i] != '\n')
			s->out[i] = ' ';
	}
}

static void skip_line_comment(struct scanner *s)
{
	while (s->p < s->end && *s->p != '\n')
		s->p++;
}

static int skip_block_comment(struct scanner *s)
{
	int line = s->line;

	for (s->p += 2; s->p < s->end; s->p++) {
		if (looking_at(s, "*/")) {
			s->p += 2;
			put(s, ' ');
			return 0;
		}
		if (*s->p == '\n') {
			s->line++;
			put(s, '\n');
		}
	}
	complain(s, line, "this comment is not closed: */ is missing");
	return -EINVAL;
}

/* White space and comments. 0, or -EINVAL when a comment does not end. */
static int skip_space(struct scanner *s)
{
	while (s->p < s->end) {
		if (*s->p == ' ' || *s->p == '\t' || *s->p == '\n')
			copy(s);
		else if (looking_at(s, "\r\n"))
			s->p++;
		else if (*s->p == '#' || looking_at(s, "//"))
			skip_line_comment(s);
		else if (!looking_at(s, "/*"))
			break;
		else if (skip_block_comment(s) < 0)
			return -EINVAL;
	}
	return 0;
}

/* \0, \00, \000, \x0 and \x00 stand for a byte that ends every C string. */
static bool escapes_nul(const struct scanner *s)
{
	const char *p = s->p + 1;
	bool hexadecimal = p < s->end && *p == 'x';
	size_t digits = 0, max = hexadecimal ? 2 : 3;

	for (p += hexadecimal; p + digits < s->end && digits < max && p[digits] == '0';)
		digits++;
	return digits > 0 && !(p + digits < s->end && digits < max &&
			       (hexadecimal ? isxdigit((unsigned char)p[digits])
					    : p[digits] >= '1' && p[digits] <= '7'));
}

/* libconfuse would drop the backslash of another one: of "\S" an S is left. */
static bool is_escape(char c)
{
	return strchr("\"\\'$\nnrtbfaevx", c) || (c >= '0' && c <= '7');
}

static enum token unknown_escape(struct scanner *s)
{
	char c = isgraph((unsigned char)s->p[1]) ? s->p[1] : '?';

	return complain(
		s, s->line,
		"\\%c is no escape; a backslash is \\\\ between double quotes, and stands for "
		"itself between single ones",
		c);
}

static enum token scan_string(struct scanner *s)
{
	char quote = *s->p;
	int line = s->line;

	copy(s);
	s->word = s->p;
	while (s->p < s->end && *s->p != quote) {
		if (*s->p == '\\' && quote == '"' && escapes_nul(s))
			return complain(s, s->line, "a string cannot hold a NUL byte (\\0)");
		if (*s->p == '\\' && quote == '"' && s->p + 1 < s->end && !is_escape(s->p[1]))
			return unknown_escape(s);
		if (*s->p == '\\' && s->p + 1 < s->end)
			copy(s);
		else if (quote == '"' && looking_at(s, "${"))
			put(s, '\\'); /* no expansion: a config reads the same everywhere */
		copy(s);
	}
	if (s->p >= s->end)
		return complain(s, line, "this string is not closed: %c is missing", quote);
	s->word_size = s->p - s->word;
	copy(s);
	return TOKEN_WORD;
}

static bool is_word(char c)
{
	return !strchr(" \t\r\n#\"'={}()+,*", c);
}

static enum token scan_word(struct scanner *s)
{
	s->word = s->p;
	put(s, '"');
	while (s->p < s->end && is_word(*s->p)) {
		if (*s->p == '$' && s->p + 1 < s->end && s->p[1] == '{')
			return complain(s, s->line,
					"variables are not expanded; put quotes around the text");
		if (*s->p == '\\')
			put(s, '\\');
		copy(s);
	}
	put(s, '"');
	s->word_size = s->p - s->word;
	return TOKEN_WORD;
}

static enum token next_token(struct scanner *s)
{
	static const struct {
		const char *text;
		enum token token;
	} marks[] = {
		{ "{", TOKEN_OPEN },        { "}", TOKEN_CLOSE },       { "=", TOKEN_EQUAL },
		{ ",", TOKEN_COMMA },       { "+=", TOKEN_PLUS_EQUAL }, { "(", TOKEN_PARENTHESIS },
		{ ")", TOKEN_PARENTHESIS },
	};

	if (skip_space(s) < 0)
		return TOKEN_BAD;
	s->token_line = s->line;
	s->token_out = s->out_size;
	if (s->p >= s->end)
		return TOKEN_END;
	for (size_t i = 0; i < ELEMENTSOF(marks); i++) {
		if (!looking_at(s, marks[i].text))
			continue;
		for (size_t n = strlen(marks[i].text); n > 0; n--)
			copy(s);
		return marks[i].token;
	}
	if (*s->p == '"' || *s->p == '\'')
		return scan_string(s);
	if (is_word(*s->p))
		return scan_word(s);
	return complain(s, s->line, "a '%c' must stand in quotes", *s->p == '\r' ? '?' : *s->p);
}

/* The opening brace has been read. false after a problem. */
static bool scan_list(struct scanner *s, const char *name)
{
	int line = s->token_line;

	for (;;) {
		enum token token = next_token(s);

		if (token == TOKEN_CLOSE)
			return true;
		if (token == TOKEN_WORD)
			token = next_token(s);
		else if (token != TOKEN_BAD && token != TOKEN_END)
			token = complain(s, s->token_line,
					 "in the list of " NAME_SHOWN " a value is missing", name);
		if (token == TOKEN_CLOSE)
			return true;
		if (token == TOKEN_COMMA)
			continue;
		if (token == TOKEN_END)
			complain(s, line, "the list of " NAME_SHOWN " is not closed: } is missing",
				 name);
		else if (token != TOKEN_BAD)
			complain(s, s->token_line,
				 "in the list of " NAME_SHOWN " a comma or } is missing", name);
		return false;
	}
}

/* "NAME =" has been read; its copy begins at from. */
static bool scan_option(struct scanner *s, const char *name, int line, size_t from)
{
	enum token token = next_token(s);

	if (token == TOKEN_BAD)
		return false;
	if (token == TOKEN_OPEN) {
		if (!scan_list(s, name))
			return false;
	} else if (token != TOKEN_WORD) {
		complain(s, s->token_line, "the value of " NAME_SHOWN " is missing", name);
		return false;
	}
	if (!s->events->option(s->ctx, line, name, token == TOKEN_OPEN))
		blank(s, from);
	return true;
}

/* Up to the brace that closes the one just read. */
static bool skip_section(struct scanner *s, const char *name, int line, size_t from)
{
	size_t depth = 1;

	while (depth > 0) {
		enum token token = next_token(s);

		if (token == TOKEN_BAD)
			return false;
		if (token == TOKEN_END) {
			complain(s, line, "section " NAME_SHOWN " is not closed: } is missing",
				 name);
			return false;
		}
		depth += token == TOKEN_OPEN;
		depth -= token == TOKEN_CLOSE;
	}
	blank(s, from);
	return true;
}

struct statement {
	char *name, *title;
	int line;
	size_t out;
	enum token after; /* the name, or the title when there is one */
};

static void statement_clear(struct statement *st)
{
	free(st->name);
	free(st->title);
}

/* The name has been read: reads what follows it, up to "=" or "{". */
static bool scan_head(struct scanner *s, struct statement *st)
{
	st->line = s->token_line;
	st->out = s->token_out;
	st->name = strndup(s->word, s->word_size);
	st->after = next_token(s);
	if (st->after == TOKEN_WORD) {
		st->title = strndup(s->word, s->word_size);
		st->after = next_token(s);
	}
	if (!st->name || st->after == TOKEN_BAD)
		return false;
	if (st->after == TOKEN_OPEN || (st->after == TOKEN_EQUAL && !st->title))
		return true;
	if (st->after == TOKEN_PLUS_EQUAL)
		complain(s, s->token_line,
			 "+= is not supported: write " NAME_SHOWN " = and the whole list",
			 st->name);
	else if (st->after == TOKEN_PARENTHESIS)
		complain(s, s->token_line,
			 "there are no functions here: write " NAME_SHOWN " = and the value",
			 st->name);
	else
		complain(s, st->line, "after " NAME_SHOWN " an = or a { is missing", st->name);
	return false;
}

/* The statements of a section, up to its closing brace; those of the file when name is NULL. */
static bool scan_statements(struct scanner *s, const char *name, int line)
{
	for (;;) {
		_cleanup_(statement_clear) struct statement st = { 0 };
		enum token token = next_token(s);

		if (token == TOKEN_END && name)
			complain(s, line, "section " NAME_SHOWN " is not closed: } is missing",
				 name);
		if (token == TOKEN_END || token == TOKEN_BAD)
			return token == TOKEN_END && !name;
		if (token == TOKEN_CLOSE && name)
			return true;
		if (token != TOKEN_WORD) {
			complain(s, s->token_line, "here the name of an option is expected%s",
				 token == TOKEN_CLOSE ? "; this } closes nothing" : "");
			return false;
		}
		if (!scan_head(s, &st))
			return false;
		if (st.after == TOKEN_EQUAL) {
			if (!scan_option(s, st.name, st.line, st.out))
				return false;
		} else if (!s->events->begin(s->ctx, st.line, st.name, st.title) || name) {
			/* name: sections do not nest, begin() has refused it */
			if (!skip_section(s, st.name, st.line, st.out))
				return false;
		} else {
			/* One level of recursion: what nests in a section is skipped. */
			if (!scan_statements(s, st.name, st.line))
				return false;
			s->events->end(s->ctx);
		}
	}
}

int config_scan(const char *text, size_t size, const struct scan_events *events, void *ctx,
		char **ret_clean)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	/* The worst text is one-letter words, each of which gains two quotes. */
	_cleanup_free_ char *out = malloc(3 * size + 1);
	struct scanner s = { text, text + size, 1, events, ctx, out };
	const char *nul = memchr(text, '\0', size);

	if (!out)
		return -ENOMEM;
	if (nul) {
		for (const char *p = text; p < nul; p++)
			s.line += *p == '\n';
		complain(&s, s.line, "this is not text: it holds a NUL byte");
		return -EINVAL;
	}
	if (looking_at(&s, byte_order_mark))
		s.p += strlen(byte_order_mark);
	if (!scan_statements(&s, NULL, 0))
		return -EINVAL;
	put(&s, '\0');
	*ret_clean = TAKE_PTR(out);
	return 0;
}
