/* SPDX-License-Identifier: MIT */
/* Environment lists and files: see config-environment.h. */
#include "manager/config-environment.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/strv.h"

static size_t name_size(const char *entry)
{
	size_t n = 0;

	while (isalnum((unsigned char)entry[n]) || entry[n] == '_')
		n++;
	return n;
}

bool environment_valid(const char *entry)
{
	size_t n = name_size(entry);

	return n > 0 && !isdigit((unsigned char)entry[0]) && entry[n] == '=';
}

struct reader {
	const char *p, *end;
	int line;
	char *out; /* as large as the file */
	size_t size;
	struct error *e;
};

static void put(struct reader *r, char c)
{
	r->out[r->size++] = c;
}

/* The opening quote is at p. */
static int read_quoted(struct reader *r)
{
	char quote = *r->p++;
	int line = r->line;

	for (; r->p < r->end && *r->p != quote; r->p++) {
		if (quote == '"' && *r->p == '\\' && r->p + 1 < r->end && strchr("\"\\$`", r->p[1]))
			r->p++;
		r->line += *r->p == '\n';
		put(r, *r->p);
	}
	if (r->p == r->end) {
		r->line = line;
		return error_set(r->e, -EINVAL, "a quote (%c) is not closed", quote);
	}
	r->p++;
	return 0;
}

static int read_value(struct reader *r)
{
	size_t keep; /* what trailing white space must not be cut from */

	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
	keep = r->size;
	while (r->p < r->end && *r->p != '\n') {
		if (*r->p == '"' || *r->p == '\'') {
			int error = read_quoted(r);

			if (error < 0)
				return error;
			keep = r->size;
		} else {
			if (*r->p == '\\' && r->p + 1 < r->end && r->p[1] != '\n')
				r->p++;
			put(r, *r->p++);
			if (!isspace((unsigned char)r->out[r->size - 1]))
				keep = r->size;
		}
	}
	r->size = keep;
	return 0;
}

/* One "NAME=value", into out. */
static int read_entry(struct reader *r)
{
	r->size = 0;
	while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '_'))
		put(r, *r->p++);
	if (r->p < r->end && *r->p == '=')
		put(r, *r->p++);
	r->out[r->size] = '\0';
	if (!environment_valid(r->out))
		return error_set(r->e, -EINVAL, "this is not NAME=value");
	return read_value(r);
}

static void skip_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

int environment_file_parse(const char *text, size_t size, char ***list, int *ret_line,
			   struct error *e)
{
	_cleanup_free_ char *out = malloc(size + 1);
	struct reader r = { text, text + size, 1, out, 0, e };

	if (!out)
		return error_set(e, -ENOMEM, "out of memory");
	while (r.p < r.end) {
		if (*r.p == '\n') {
			r.line++;
			r.p++;
		} else if (isspace((unsigned char)*r.p)) {
			r.p++;
		} else if (*r.p == '#' || *r.p == ';') {
			skip_line(&r);
		} else {
			int error = read_entry(&r);

			if (error == 0 && memchr(out, '\0', r.size))
				error = error_set(e, -EINVAL, "this holds a NUL byte");
			*ret_line = r.line;
			if (error < 0)
				return error;
			out[r.size] = '\0';
			if (strv_push(list, out) < 0)
				return error_set(e, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

void environment_unify(char **list)
{
	size_t n = 0;

	for (size_t i = 0; list && list[i]; i++) {
		size_t size = name_size(list[i]) + 1, k = 0;

		while (k < n && strncmp(list[k], list[i], size) != 0)
			k++;
		if (k == n) {
			list[n++] = list[i];
		} else {
			free(list[k]);
			list[k] = list[i];
		}
	}
	if (list)
		list[n] = NULL;
}

size_t environment_size(char *const *list)
{
	size_t size = 0;

	for (; list && *list; list++)
		size += strlen(*list) + 1;
	return size;
}
