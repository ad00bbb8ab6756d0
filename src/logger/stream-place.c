/* SPDX-License-Identifier: MIT */
/* Where the last logger stopped in a file, be it that it was killed there: see stream.h. */
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "logger/intent.h"
#include "logger/lines.h"
#include "logger/stream.h"

#define TAIL_MAX 4096 /* of a line that is compared */
#define CUT_AT   4096 /* bytes of the smallest page there is */

/*
 * The file ends within a line, and it is not known what the last logger was at. Has it written a
 * part of what the pipe still holds, all of which comes again? Then its torn line ends here, lest
 * it run into the whole one. Otherwise the service has said a part of a line, and goes on.
 */
static bool is_torn(const struct stream *s, const struct line_style *style, const char *data,
		    size_t n)
{
	size_t head = strlen(style->stamp) + (style->stamp[0] ? 1 : 0) + strlen(style->prefix);
	char tail[TAIL_MAX];
	size_t size = log_file_line(&s->file, s->file.size, tail, sizeof(tail));

	if (style->json || (size > 0 && size <= head))
		return true;
	return size > head && size - head <= n && memcmp(tail + head, data, size - head) == 0;
}

/* The pipe holds the rest of a line once more, and so the line begins once more. */
static int begin_again(struct stream *s, uint64_t before)
{
	char line[1 + TAIL_MAX] = "\n";
	size_t size = log_file_line(&s->file, before, line + 1, TAIL_MAX);
	int error = log_file_write(&s->file, line, 1 + size);

	s->inside = error < 0 || size > 0;
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
static size_t overlap(const char *a, const char *b, size_t n)
{
	_cleanup_free_ uint32_t *fallback = calloc(n + 1, sizeof(*fallback));
	size_t k = 0;

	if (!fallback)
		return 0;
	for (size_t i = 1; i < n; i++) {
		while (k > 0 && b[i] != b[k])
			k = fallback[k];
		k += b[i] == b[k];
		fallback[i + 1] = (uint32_t)k;
	}
	k = 0;
	for (size_t i = 0; i < n; i++) {
		while (k > 0 && (k == n || a[i] != b[k]))
			k = fallback[k];
		k += a[i] == b[k];
	}
	return k;
}

/*
 * Of a logger that died with all who knew what it was at: where its last write began, if a kill
 * ended that early, which Linux does at the border of a page only. UINT64_MAX: it did not, as far
 * as one can see, or each line has something in front of it that the pipe has not.
 */
static uint64_t cut_write_began(const struct stream *s, const struct line_style *style,
				const char *data, size_t n)
{
	uint64_t size = s->file.size;
	size_t window = size < n ? (size_t)size : n, same;
	_cleanup_free_ char *end = NULL;

	if (size % CUT_AT != 0 || style->json || style->stamp[0] || *style->prefix)
		return UINT64_MAX;
	end = malloc(window + 1);
	if (!end || !log_file_read(&s->file, size - window, end, window))
		return UINT64_MAX;
	same = overlap(end, data, window);
	return same > 0 ? size - same : UINT64_MAX;
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
	if (s->inside && intent == INTENT_UNKNOWN) {
		before = cut_write_began(s, style, data, n);
		intent = before < UINT64_MAX ? INTENT_AGAIN : INTENT_UNKNOWN;
	}
	if (s->inside && (style->json || (intent == INTENT_UNKNOWN && is_torn(s, style, data, n))))
		error = end_torn_line(s);
	else if (s->inside && intent == INTENT_AGAIN)
		error = begin_again(s, before);
	s->placed = error == 0;
	return error;
}
