/* SPDX-License-Identifier: MIT */
/* The last lines of a log as JSON: see control.h. */
#include "manager/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/macro.h"

#define TAIL_BYTES 8192
#define TAIL_LINES 10

/* Takes text. NUL bytes would end it for who reads it. */
static json_t *visible(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		text[i] = text[i] ? text[i] : '?';
	return control_string(text);
}

/* Of one of the logger's objects its text, so that people can read it; else the line as it is. */
static json_t *line_text(char *line, size_t size, bool objects)
{
	json_t *object = objects ? json_loadb(line, size, JSON_ALLOW_NUL, NULL) : NULL;
	const json_t *member = json_object_get(object, "text");
	size_t n = json_string_length(member);
	_cleanup_free_ char *text = json_is_string(member) ? malloc(n + 1) : NULL;

	if (text)
		memcpy(text, json_string_value(member), n + 1);
	json_decref(object);
	return text ? visible(text, n) : visible(line, size);
}

/* Puts the file's last lines in front of those in the array; false: there are more in it. */
static bool add_lines(json_t *array, const char *path, bool objects)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[TAIL_BYTES + 1], *newline;
	struct stat st;
	ssize_t n;
	bool cut;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true;
	cut = st.st_size > TAIL_BYTES;
	n = pread(fd, text, TAIL_BYTES, MAX(st.st_size - TAIL_BYTES, (off_t)0));
	if (n <= 0)
		return true;
	if (text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	while (json_array_size(array) < TAIL_LINES && (newline = memrchr(text, '\n', (size_t)n))) {
		char *line = newline + 1;

		json_array_insert_new(array, 0,
				      line_text(line, (size_t)(text + n - line), objects));
		n = newline - text;
		*newline = '\0';
	}
	if (json_array_size(array) == TAIL_LINES)
		return false;
	/* A line whose beginning is away does not say what it holds: a secret, perhaps. */
	if (!cut)
		json_array_insert_new(array, 0, line_text(text, (size_t)n, objects));
	else if (json_array_size(array) == 0)
		json_array_append_new(array, json_sprintf("(a line of more than %zd bytes)", n));
	return !cut;
}

/* The file that was rotated away last, where that is not compressed. */
static bool find_rotated(const char *path, char *buf, size_t size)
{
	const char *base = strrchr(path, '/') + 1;
	char newest[NAME_MAX + 1] = "";
	const struct dirent *entry;
	enum packing packing;
	DIR *dir;

	snprintf(buf, size, "%.*s", (int)(base - path), path);
	dir = opendir(buf);
	while (dir && (entry = readdir(dir))) {
		if (log_name_is_rotated(entry->d_name, base, &packing) && packing == PACKING_NONE &&
		    strcmp(entry->d_name, newest) > 0)
			snprintf(newest, sizeof(newest), "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return *newest &&
	       snprintf(buf, size, "%.*s%s", (int)(base - path), path, newest) < (int)size;
}

json_t *control_tail(const char *path, bool objects)
{
	json_t *array = json_array();
	char rotated[PATH_MAX];

	if (add_lines(array, path, objects) && json_array_size(array) < TAIL_LINES &&
	    find_rotated(path, rotated, sizeof(rotated)))
		add_lines(array, rotated, objects);
	return array;
}
