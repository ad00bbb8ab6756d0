/* SPDX-License-Identifier: MIT */
/* Tables: see table.h. */
#include "ctl/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

#define GAP      2
#define ELLIPSIS "\xe2\x80\xa6"

struct cell {
	char *text;
	size_t width;
	enum colour colour;
};

struct table {
	const struct column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells, room;
};

/* Places of the character at s, and its bytes. */
static size_t next_width(const char *s, size_t size, size_t *ret_bytes)
{
	uint32_t c;

	*ret_bytes = 1;
	if ((unsigned char)*s < 128)
		return 1;
	*ret_bytes = utf8_decode(s, size, &c);
	if (*ret_bytes > 0)
		return utf8_width(c);
	*ret_bytes = 1;
	return 1;
}

size_t text_width(const char *text)
{
	size_t width = 0, size = strlen(text), bytes;

	for (; size > 0; text += bytes, size -= bytes)
		width += next_width(text, size, &bytes);
	return width;
}

size_t text_cut(const char *text, size_t width)
{
	size_t used = 0, size = strlen(text), at = 0, bytes;

	while (at < size) {
		used += next_width(text + at, size - at, &bytes);
		if (used > width)
			break;
		at += bytes;
	}
	return at;
}

void colour_print(FILE *f, bool on, enum colour colour, const char *text)
{
	static const char *const codes[] = {
		[COLOUR_GREEN] = "32", [COLOUR_YELLOW] = "33", [COLOUR_RED] = "31",
		[COLOUR_BOLD] = "1",   [COLOUR_DIM] = "2",
	};

	if (on && colour != COLOUR_NONE)
		fprintf(f, "\033[%sm%s\033[0m", codes[colour], text);
	else
		fputs(text, f);
}

struct table *table_new(const struct column *columns, size_t n)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t) {
		t->columns = columns;
		t->n_columns = n;
	}
	return t;
}

struct table *table_free(struct table *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
	return NULL;
}

int table_add(struct table *t, enum colour colour, const char *text)
{
	struct cell cell = { .colour = colour };

	if (t->n_cells == t->room) {
		size_t room = MAX(t->room * 2, (size_t)64);
		struct cell *bigger = reallocarray(t->cells, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		t->cells = bigger;
		t->room = room;
	}
	cell.text = strdup(text);
	if (!cell.text)
		return -ENOMEM;
	text_disarm(cell.text);
	for (char *p = strchr(cell.text, '\t'); p; p = strchr(p, '\t'))
		*p = ' ';
	cell.width = text_width(cell.text);
	t->cells[t->n_cells++] = cell;
	return 0;
}

static void print_padding(FILE *f, size_t n)
{
	while (n-- > 0)
		putc_unlocked(' ', f);
}

static void print_cut(FILE *f, const struct cell *cell, size_t width, bool colours)
{
	_cleanup_free_ char *cut = NULL;

	if (cell->width <= width) {
		colour_print(f, colours, cell->colour, cell->text);
		return;
	}
	if (width == 0)
		return;
	if (asprintf(&cut, "%.*s%s", (int)text_cut(cell->text, width - 1), cell->text, ELLIPSIS) <
	    0) {
		cut = NULL;
		return;
	}
	colour_print(f, colours, cell->colour, cut);
}

static void print_row(const struct table *t, FILE *f, const struct cell *cells,
		      const size_t *widths, size_t width, bool colours)
{
	size_t used = 0, last = t->n_columns - 1;

	for (size_t i = 0; i < last; i++) {
		size_t padding = widths[i] - cells[i].width;
		/* No spaces at the end of a line whose last cell is empty. */
		bool trailing = i == last - 1 && !*cells[last].text;

		if (t->columns[i].right)
			print_padding(f, padding);
		colour_print(f, colours, cells[i].colour, cells[i].text);
		if (!trailing)
			print_padding(f, (t->columns[i].right ? 0 : padding) + GAP);
		used += widths[i] + GAP;
	}
	if (width == 0)
		colour_print(f, colours, cells[last].colour, cells[last].text);
	else
		print_cut(f, &cells[last], width > used ? width - used : 0, colours);
	putc('\n', f);
}

size_t table_print(const struct table *t, FILE *f, size_t width, bool colours)
{
	size_t rows = t->n_cells / t->n_columns;
	_cleanup_free_ size_t *widths = calloc(t->n_columns, sizeof(size_t));
	_cleanup_free_ struct cell *titles = calloc(t->n_columns, sizeof(*titles));

	if (!widths || !titles)
		return 0;
	for (size_t i = 0; i < t->n_columns; i++) {
		titles[i] = (struct cell){ (char *)t->columns[i].title,
					   text_width(t->columns[i].title), COLOUR_BOLD };
		widths[i] = titles[i].width;
	}
	for (size_t i = 0; i < rows * t->n_columns; i++)
		widths[i % t->n_columns] = MAX(widths[i % t->n_columns], t->cells[i].width);
	print_row(t, f, titles, widths, width, colours);
	for (size_t i = 0; i < rows; i++)
		print_row(t, f, t->cells + i * t->n_columns, widths, width, colours);
	return rows;
}
