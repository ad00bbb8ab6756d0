/* SPDX-License-Identifier: MIT */
/* Where the last logger stopped in a file, be it that it was killed there: see stream.h. */
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "logger/intake.h"
#include "logger/intent.h"
#include "logger/lines.h"
#include "logger/stream.h"

#define TAIL_MAX   4096                     /* of a line that is compared */
#define CUT_AT     4096                     /* bytes of the smallest page there is */
#define SURE       64                       /* bytes that are not the same by accident */
#define WINDOW_MAX ((size_t)4 * INTAKE_MAX) /* of a file whose lines have something in front */

/* What stands in front of a line of text. */
static size_t head_size(const struct line_style *style)
{
	return strlen(style->stamp) + (style->stamp[0] ? 1 : 0) + strlen(style->prefix);
}

/*
 * The file ends within a line, and it is not known what the last logger was at. Has it written a
 * part of what the pipe still holds, all of which comes again? Then its torn line ends here, lest
 * it run into the whole one. Otherwise the service has said a part of a line, and goes on.
 */
static bool is_torn(const struct stream *s, const struct line_style *style, const char *data,
		    size_t n)
{
	size_t head = head_size(style);
	char tail[TAIL_MAX];
	size_t size = log_file_line(&s->file, s->file.size, tail, sizeof(tail));

	if (style->json || (size > 0 && size <= head))
		return true;
	return size > head && size - head <= n && memcmp(tail + head, data, size - head) == 0;
}

/*
 * The pipe holds once more what the file has from there on: what that is the rest of begins once
 * more, too.
 */
static int begin_again(struct stream *s, uint64_t before)
{
	char line[1 + TAIL_MAX] = "\n";
	size_t size = log_file_line(&s->file, before, line + 1, TAIL_MAX);
	int error = log_file_write(&s->file, line + !s->inside, s->inside + size);

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
 * Copies the lines in text without the head bytes in front of each, *n bytes at most, and returns
 * how far it came; *n becomes the number that was copied.
 */
static size_t strip(const char *text, size_t size, size_t head, char *to, size_t *n)
{
	const size_t max = *n;
	size_t at = 0;

	*n = 0;
	while (at < size && *n < max) {
		const char *newline = memchr(text + at, '\n', size - at);
		size_t end = newline ? (size_t)(newline + 1 - text) : size;
		size_t begin = MIN(at + head, end), part = MIN(end - begin, max - *n);

		memcpy(to + *n, text + begin, part);
		*n += part;
		at = begin + part;
	}
	return at;
}

/* Whether it is no accident that the pipe begins with as many bytes as the file ends with. */
static bool is_repeated(const struct stream *s, const char *data, size_t same)
{
	if (same >= SURE)
		return true;
	/* Linux ends a write that is killed at the border of a page only. */
	return same > 0 && s->inside &&
	       (s->file.size % CUT_AT == 0 || memchr(data, '\n', same) != NULL);
}

/*
 * Of a logger that died with all who knew what it was at: where in the file that begins which the
 * pipe still holds; it is what was written last. UINT64_MAX: there is no such thing, as far as one
 * can see.
 */
static uint64_t last_write_began(const struct stream *s, const struct line_style *style,
				 const char *data, size_t n)
{
	const size_t head = head_size(style);
	const uint64_t size = s->file.size;
	/* So many bytes of the pipe are not longer in the file, unless all of its lines are short. */
	uint64_t most = head > 0 ? MIN((n + 1) * (head + 1) + TAIL_MAX, WINDOW_MAX) : n;
	size_t window = (size_t)MIN(size, most), skipped = 0, same;
	_cleanup_free_ char *end = malloc(window + 1), *plain = malloc(window + 1);
	size_t n_plain = window;

	if (style->json || !end || !plain || !log_file_read(&s->file, size - window, end, window))
		return UINT64_MAX;
	/* The first of them may be the rest of a line. */
	while (head > 0 && window < size && skipped < window && end[skipped++] != '\n')
		;
	strip(end + skipped, window - skipped, head, plain, &n_plain);
	same = overlap(plain, n_plain, data, n);
	if (!is_repeated(s, data, same))
		return UINT64_MAX;
	n_plain -= same;
	return size - window + skipped +
	       strip(end + skipped, window - skipped, head, plain, &n_plain);
}

int stream_find_place(struct stream *s, const struct line_style *style, const char *data, size_t n)
{
	uint64_t before = 0;
	enum intent intent = intent_left(s, data, n, &before);
	int error = 0;

	/* One that may be appended to and nothing else keeps what comes again. */
	if (intent == INTENT_WRITTEN && s->file.size > before && log_file_cut(&s->file, before) < 0)
		intent = INTENT_AGAIN;
	s->inside = !s->file.ends_line;
	if (intent == INTENT_UNKNOWN) {
		before = last_write_began(s, style, data, n);
		intent = before < UINT64_MAX ? INTENT_AGAIN : INTENT_UNKNOWN;
	}
	if (s->inside && (style->json || (intent == INTENT_UNKNOWN && is_torn(s, style, data, n))))
		error = end_torn_line(s);
	else if (intent == INTENT_AGAIN)
		error = begin_again(s, before);
	s->placed = error == 0;
	return error;
}
