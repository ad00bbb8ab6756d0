/* SPDX-License-Identifier: MIT */
/* Where the last logger stopped in a file, be it that it was killed there: see stream.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "logger/intake.h"
#include "logger/intent.h"
#include "logger/lines.h"
#include "logger/stream.h"

#define CUT_AT         4096                  /* bytes of the smallest page there is */
#define SURE           64                    /* bytes that are not the same by accident */
#define LIKELY         16                    /* the same where something else speaks for it, too */
#define LINE_BEGAN_MAX ((size_t)1024 * 1024) /* of a line whose beginning is written again */
#define WINDOW_MAX     ((size_t)8 * 1024 * 1024) /* of a file whose lines have something in front */
#define PART           ((size_t)4096)            /* read at a time */

/* What stands in front of a line of text. */
static size_t head_size(const struct line_style *style)
{
	return strlen(style->stamp) + (style->stamp[0] ? 1 : 0) + strlen(style->prefix);
}

/* Where the line begins that goes on at end; end: it is too long to look for, or unreadable. */
static uint64_t line_began(const struct stream *s, uint64_t end)
{
	char part[PART];

	for (uint64_t at = end; end - at < LINE_BEGAN_MAX && at > 0;) {
		size_t size = (size_t)MIN(at, PART);
		const char *newline;

		at -= size;
		if (!log_file_read(&s->file, at, part, size))
			return end;
		newline = memrchr(part, '\n', size);
		if (newline)
			return at + (uint64_t)(newline + 1 - part);
		if (at == 0)
			return 0;
	}
	return end;
}

/*
 * The pipe holds once more what the file has from there on: what that is the rest of begins once
 * more, too.
 */
static int begin_again(struct stream *s, uint64_t before)
{
	uint64_t began = line_began(s, before);
	size_t size = (size_t)(before - began);
	_cleanup_free_ char *line = malloc(1 + size);
	int error;

	if (!line)
		return -ENOMEM;
	line[0] = '\n';
	if (!log_file_read(&s->file, began, line + 1, size))
		return -EIO;
	/* All of it or nothing. */
	error = log_file_write(&s->file, line + !s->inside, s->inside + size);
	s->inside = error < 0 ? s->inside : size > 0;
	return error;
}

static int end_torn_line(struct stream *s)
{
	int error = log_file_write(&s->file, "\n", 1);

	s->inside = error < 0;
	return error;
}

/*
 * The most bytes at the end of a that b begins with: the failure function of Knuth, Morris and
 * Pratt over b, and then a as the text. 0 when out of memory, too.
 */
static size_t overlap(const char *a, size_t a_size, const char *b, size_t b_size)
{
	_cleanup_free_ uint32_t *fallback = calloc(b_size + 1, sizeof(*fallback));
	size_t k = 0;

	if (!fallback || b_size == 0)
		return 0;
	for (size_t i = 1; i < b_size; i++) {
		while (k > 0 && b[i] != b[k])
			k = fallback[k];
		k += b[i] == b[k];
		fallback[i + 1] = (uint32_t)k;
	}
	k = 0;
	for (size_t i = 0; i < a_size; i++) {
		while (k > 0 && (k == b_size || a[i] != b[k]))
			k = fallback[k];
		k += a[i] == b[k];
	}
	return k;
}

/*
 * Whether it is no accident that the pipe begins with as many bytes as the file ends with, from
 * whole lines on or not. Linux ends a write that is killed at the border of a page only; but what a
 * program has buffered ends there as well.
 */
static bool is_repeated(const struct stream *s, const char *data, size_t same, bool whole)
{
	if (same < LIKELY)
		return false;
	return same >= SURE || whole || s->file.size % CUT_AT == 0 || memchr(data, '\n', same);
}

/* The end of a file, without what stands in front of its lines. */
struct ending {
	char *text, *plain; /* as it is, and what of it is the service's */
	size_t size, n_plain, head;
	uint64_t from; /* where text begins in the file; if not there, within a line, perhaps */
};

static void ending_cleanup(struct ending *e)
{
	free(e->text);
	free(e->plain);
}

/*
 * Copies to plain what is the service's, n_plain bytes at most, and returns how far it came in
 * text; n_plain becomes the number that was copied.
 */
static size_t ending_strip(struct ending *e)
{
	const size_t max = e->n_plain;
	size_t at = 0;

	e->n_plain = 0;
	while (at < e->size && e->n_plain < max) {
		const char *newline = memchr(e->text + at, '\n', e->size - at);
		size_t end = newline ? (size_t)(newline + 1 - e->text) : e->size;
		size_t begin = at == 0 && e->from > 0 ? 0 : MIN(at + e->head, end);
		size_t part = MIN(end - begin, max - e->n_plain);

		memcpy(e->plain + e->n_plain, e->text + begin, part);
		e->n_plain += part;
		at = begin + part;
	}
	return at;
}

/* As much as n bytes of a pipe may have become, unless its lines are short. False: unreadable. */
static bool ending_read(struct ending *e, const struct stream *s, size_t head, size_t n)
{
	const uint64_t size = s->file.size;
	const size_t most = head > 0 ? MIN((n + 1) * (head + 1) + PART, WINDOW_MAX) : n;

	e->head = head;
	e->size = (size_t)MIN(size, most);
	e->from = size - e->size;
	e->text = malloc(e->size + 1);
	e->plain = malloc(e->size + 1);
	if (!e->text || !e->plain || !log_file_read(&s->file, e->from, e->text, e->size))
		return false;
	e->n_plain = e->size;
	ending_strip(e);
	return true;
}

/* Whether all that the file has comes again: it was begun in the middle of what was written. */
static bool is_all_repeated(const struct stream *s, const struct ending *e, const char *data,
			    size_t n)
{
	return e->from == 0 && is_repeated(s, e->plain, e->n_plain, false) &&
	       memmem(data, n, e->plain, e->n_plain);
}

/*
 * The file ends within a line, and nobody is left who knows what the last logger was at, if it
 * died at all: with a service that lives on, this is as well how an orderly one leaves it. What
 * speaks for a write that was not taken out of the pipe, or not all of it was written, is that it
 * comes again; where that may be by accident, the service has said a part of a line, and goes on.
 * (So a few bytes without a newline, that were all of a write, and were not taken out, stand twice
 * in their line.)
 */
static enum intent judge(const struct stream *s, const struct line_style *style, const char *data,
			 size_t n, uint64_t *ret_before, bool *ret_torn)
{
	_cleanup_(ending_cleanup) struct ending e = { 0 };
	const size_t head = head_size(style);
	const char *newline;
	size_t same, rest, tail;
	bool whole;

	if (!ending_read(&e, s, head, n))
		return INTENT_UNKNOWN;
	newline = memrchr(e.text, '\n', e.size);
	tail = newline ? (size_t)(e.text + e.size - newline - 1) : e.size;
	/* No service has said a part of what is put in front. */
	if ((newline || e.from == 0) && tail <= head) {
		*ret_torn = true;
		return INTENT_UNKNOWN;
	}
	same = overlap(e.plain, e.n_plain, data, n);
	rest = e.n_plain - same;
	whole = rest > 0 ? e.plain[rest - 1] == '\n' : e.from == 0;
	if (!is_repeated(s, data, same, whole)) {
		*ret_torn = is_all_repeated(s, &e, data, n);
		return INTENT_UNKNOWN;
	}
	e.n_plain = rest;
	*ret_before = e.from + ending_strip(&e);
	return INTENT_AGAIN;
}

int stream_find_place(struct stream *s, const struct line_style *style, const char *data, size_t n)
{
	uint64_t before = 0;
	enum intent intent = intent_left(s, data, n, &before);
	bool torn = style->json; /* what is an object of its own ends its line in any case */
	int error = 0;

	/* One that may be appended to and nothing else keeps what comes again. */
	if (intent == INTENT_WRITTEN && s->file.size > before && log_file_cut(&s->file, before) < 0)
		intent = INTENT_AGAIN;
	s->inside = !s->file.ends_line;
	if (s->inside && !torn && intent == INTENT_UNKNOWN)
		intent = judge(s, style, data, n, &before, &torn);
	if (s->inside && torn)
		error = end_torn_line(s);
	else if (intent == INTENT_AGAIN)
		error = begin_again(s, before);
	s->placed = error == 0;
	return error;
}
