/* SPDX-License-Identifier: MIT */
/*
 * Tables for people: columns as wide as their widest cell on a terminal, where a Chinese
 * character takes two places and a combining one none. Pure but for the C library's table of
 * widths.
 */
#ifndef FOSTER_CTL_TABLE_H
#define FOSTER_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/macro.h"

enum colour {
	COLOUR_NONE,
	COLOUR_GREEN,
	COLOUR_YELLOW,
	COLOUR_RED,
	COLOUR_BOLD,
	COLOUR_DIM,
};

struct column {
	const char *title;
	bool right; /* numbers */
};

/* How many places a text takes. What is not UTF-8 counts one a byte. */
size_t text_width(const char *text);

/* The bytes of text that take at most width places. */
size_t text_cut(const char *text, size_t width);

/* Prints text, coloured when on is true. */
void colour_print(FILE *f, bool on, enum colour colour, const char *text);

struct table;
struct table *table_new(const struct column *columns, size_t n); /* columns must outlive it */
struct table *table_free(struct table *);                        /* always NULL */

/*
 * The next cell, from left to right, row by row. text is copied, control characters and what
 * is not UTF-8 replaced by '?'. 0 or -ENOMEM; a failed table prints nothing more.
 */
int table_add(struct table *table, enum colour colour, const char *text);

/*
 * width: places on a line, where the last column is cut; 0 cuts nothing. The number of rows
 * printed, the title not counted.
 */
size_t table_print(const struct table *table, FILE *f, size_t width, bool colours);

#endif
