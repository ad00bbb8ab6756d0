/* SPDX-License-Identifier: MIT */
/* The last lines of a log file as JSON: see control.h. */
#include "manager/control.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define TAIL_BYTES 8192
#define TAIL_LINES 10

/* Of one of the logger's objects its text, so that people can read it; else the line as it is. */
static json_t *line_text(const char *line)
{
	json_t *object = *line == '{' ? json_loads(line, 0, NULL) : NULL;
	json_t *text = json_object_get(object, "text");

	json_incref(text);
	json_decref(object);
	if (json_is_string(text))
		return text;
	json_decref(text);
	return control_string(line);
}

json_t *control_tail(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[TAIL_BYTES + 1], *line, *lines[TAIL_LINES];
	bool cut;
	json_t *array = json_array();
	size_t n_lines = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return array;
	cut = st.st_size > TAIL_BYTES;
	n = pread(fd, text, TAIL_BYTES, MAX(st.st_size - TAIL_BYTES, (off_t)0));
	if (n <= 0)
		return array;
	text[n] = '\0';
	if (text[n - 1] == '\n')
		text[n - 1] = '\0';
	while (n_lines < TAIL_LINES && (line = strrchr(text, '\n'))) {
		lines[n_lines++] = line + 1;
		*line = '\0';
	}
	/* A line whose beginning is away does not say what it holds: a secret, perhaps. */
	if (n_lines < TAIL_LINES && !cut)
		lines[n_lines++] = text;
	while (n_lines > 0)
		json_array_append_new(array, line_text(lines[--n_lines]));
	return array;
}
