/* SPDX-License-Identifier: MIT */
/*
 * Reading a config: files and what they include, sections to structs. See config.h and
 * config-load.h.
 */
#include "manager/config-load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "manager/config-object.h"
#include "manager/config-parse.h"
#include "manager/config-source.h"

/* One file while it is read. */
struct reading {
	struct loader *l;
	const char *path;
	size_t depth;
	struct place include_place; /* of its option include */
};

static void load_file(struct loader *l, const char *path, const struct place *from, size_t depth);

void loader_complain(struct loader *l, const struct place *place, const struct option_table *table,
		     const char *option, const char *fmt, ...)
{
	int i = option ? option_find(table, option) : -ENOENT;
	bool set = i >= 0 && (place->set & UINT64_C(1) << i);
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0) {
		text = NULL;
		l->out_of_memory = true;
		return;
	}
	config_problem_add(l->problems, place->file, set ? place->lines[i] : place->line, "%s",
			   text);
}

bool loader_make_room(struct loader *l, void *array, size_t n, size_t *room, size_t size)
{
	size_t bigger = *room ? *room * 2 : 16;
	void *p;

	if (n < *room)
		return true;
	p = reallocarray(*(void **)array, bigger, size);
	if (!p) {
		l->out_of_memory = true;
		return false;
	}
	*(void **)array = p;
	*room = bigger;
	return true;
}

/* --- files --- */

/* path relative to the directory of base; backslashes before what a pattern would take. */
static char *join_path(const char *base, const char *path, bool escape)
{
	const char *slash = strrchr(base, '/');
	size_t n = path[0] == '/' || !slash ? 0 : (size_t)(slash + 1 - base);
	char *joined = malloc(2 * n + strlen(path) + 1), *p = joined;

	if (!joined)
		return NULL;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	for (size_t i = 0; i < n; i++) {
		if (escape && strchr("*?[\\", base[i]))
			*p++ = '\\';
		*p++ = base[i];
	}
	strcpy(p, path);
	return joined;
}

static void include_pattern(struct reading *r, const char *pattern, const struct place *from)
{
	bool is_pattern = strpbrk(pattern, "*?[") != NULL;
	_cleanup_free_ char *path = join_path(r->path, pattern, is_pattern);
	_cleanup_strv_ char **found = NULL;
	int error;

	if (!path) {
		r->l->out_of_memory = true;
	} else if (!is_pattern) {
		load_file(r->l, path, from, r->depth + 1);
	} else {
		error = config_source_glob(r->l->source, path, &found);
		if (error == -ENOMEM)
			r->l->out_of_memory = true;
		else if (error < 0)
			loader_complain(r->l, from, &top_options, "include",
					"cannot look for %.256s: %s", pattern, strerror(-error));
		STRV_FOREACH(file, found)
			load_file(r->l, *file, from, r->depth + 1);
	}
}

/* The path, kept for as long as the loader. NULL after a problem. */
static const char *note_file(struct loader *l, const char *path, const struct place *from,
			     size_t depth)
{
	size_t position;
	char *copy;

	if (depth > CONFIG_DEPTH_MAX) {
		loader_complain(l, from, &top_options, "include",
				"includes are nested deeper than %d files: do they include one "
				"another?",
				CONFIG_DEPTH_MAX);
		return NULL;
	}
	if (name_index_find(l->file_index, path, &position) == 0) {
		loader_complain(l, from, &top_options, "include",
				"%.256s is included a second time", path);
		return NULL;
	}
	copy = strdup(path);
	if (!copy ||
	    !loader_make_room(l, &l->files, l->n_files, &l->files_room, sizeof(*l->files)) ||
	    name_index_add(l->file_index, copy, l->n_files) < 0) {
		free(copy);
		l->out_of_memory = true;
		return NULL;
	}
	l->files[l->n_files++] = copy;
	return copy;
}

static const char *read_error_text(int error)
{
	switch (error) {
	case -EFBIG: return "it is larger than 8 MiB";
	case -EISDIR: return "it is a directory";
	case -EMEDIUMTYPE: return "it is not a regular file";
	default: return strerror(-error);
	}
}

/* from: the include that names it; NULL for the main file. */
static void load_file(struct loader *l, const char *path, const struct place *from, size_t depth)
{
	struct reading reading = { .l = l, .depth = depth };
	_cleanup_strv_ char **include = NULL;
	const char *data;
	size_t size;
	int r;

	reading.path = note_file(l, path, from, depth);
	if (!reading.path)
		return;
	r = config_source_read(l->source, path, CONFIG_FILE_MAX, &data, &size);
	if (r == -ENOMEM) {
		l->out_of_memory = true;
	} else if (r < 0 && from) {
		loader_complain(l, from, &top_options, "include", "cannot read %.256s: %s", path,
				read_error_text(r));
	} else if (r < 0) {
		config_problem_add(l->problems, path, 0, "cannot read it: %s", read_error_text(r));
	} else {
		r = config_parse(reading.path, data, size, l->problems, config_take_section, l);
		l->out_of_memory |= r == -ENOMEM;
	}
	reading.include_place = l->top_places[option_find(&top_options, "include")];
	include = TAKE_PTR(l->top.include);
	STRV_FOREACH(pattern, include)
		include_pattern(&reading, *pattern, &reading.include_place);
}

/* --- the whole --- */

static bool loader_init(struct loader *l, const char *path)
{
	char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);

	l->config = config_new();
	l->identities = identities_new();
	l->file_index = name_index_new();
	l->defaults = calloc(1, sizeof(*l->defaults));
	if (l->config && asprintf(&l->config->path, "%s%s%s", directory ? directory : "",
				  directory ? "/" : "", path) < 0)
		l->config->path = NULL;
	free(directory);
	if (!l->config || !l->identities || !l->file_index || !l->defaults || !l->config->path)
		return false;
	l->directory_size = strrchr(l->config->path, '/') + 1 - l->config->path;
	for (size_t i = 0; i < service_options.n; i++) {
		if (option_set_fallback(&service_options.options[i], l->defaults) < 0)
			return false;
	}
	return true;
}

static void loader_clear(struct loader *l)
{
	for (size_t i = 0; i < l->n_files; i++)
		free(l->files[i]);
	free(l->files);
	name_index_free(l->file_index);
	identities_free(l->identities);
	service_config_free(l->defaults);
	for (size_t i = 0; i < top_options.n; i++)
		option_clear(&top_options.options[i], &l->top);
	free(l->services);
	free(l->socket_places);
	config_free(l->config);
}

struct config *config_load(const char *path, struct config_source *source,
			   struct config_problems *problems)
{
	_cleanup_(loader_clear) struct loader l = { .source = source, .problems = problems };

	*problems = (struct config_problems){ 0 };
	if (!loader_init(&l, path)) {
		l.out_of_memory = true;
	} else {
		load_file(&l, l.config->path, NULL, 1);
		l.config->log_directory = TAKE_PTR(l.top.log_directory);
		l.config->control_group = TAKE_PTR(l.top.control_group);
		l.config->control_read_group = TAKE_PTR(l.top.control_read_group);
		l.config->cgroup = TAKE_PTR(l.top.cgroup);
		config_resolve(&l);
		config_check(&l);
	}
	if (l.out_of_memory)
		config_problem_add(problems, path, 0, "out of memory");
	config_problems_sort(problems);
	return problems->n > 0 || l.out_of_memory ? NULL : TAKE_PTR(l.config);
}
