/* SPDX-License-Identifier: MIT */
/* A program's own messages: see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *program_name = "foster";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool with_level;

/* JOURNAL_STREAM holds "device:inode" of the stream that systemd connected us to. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *program)
{
	program_name = program;
	with_level = stderr_is_journal();
}

void log_set_level(enum log_level max)
{
	max_level = max;
}

static void PRINTF(3, 0) write_line(enum log_level level, int err, const char *fmt, va_list ap)
{
	char line[2048];
	size_t room = sizeof(line) - 1, n = 0; /* one byte is kept for the newline */

	if (with_level)
		n += snprintf(line, room, "<%d>", level);
	else
		n += snprintf(line, room, "%s: ", program_name);
	if (n < room) {
		int m = vsnprintf(line + n, room - n, fmt, ap);

		n = m < 0 ? n : MIN(n + m, room - 1);
	}
	if (err && n < room) {
		int m = snprintf(line + n, room - n, ": %s", strerror(-err));

		n = m < 0 ? n : MIN(n + m, room - 1);
	}
	for (size_t i = 0; i < n; i++) {
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	}
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. There is nobody to tell
	 * when it fails. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	write_line(level, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}

int log_line_errno(enum log_level level, int err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (level > max_level)
		return err;
	va_start(ap, fmt);
	write_line(level, err, fmt, ap);
	va_end(ap);
	errno = saved;
	return err;
}
