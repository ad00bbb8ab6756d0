/* SPDX-License-Identifier: MIT */
/*
 * The benchmark of loggers.
 *
 *	bench-lines write BYTES FILE	lines of 100 bytes to standard output, 64 KiB a write;
 *					leaves in FILE how many ns that took
 *	bench-lines copy DIR		the limit: from standard input to a file that is begun anew
 *					every 50 MB; ten are kept. No more than read and write
 *	bench-lines stamp DIR		the same with a time in front of each line: one pass, one
 *					write a buffer
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536
#define LINE  100
#define STAMP 28 /* "2026-11-25T13:40:00.123456Z " */
#define SIZE  50000000
#define KEEP  10

static char in[BLOCK], out[BLOCK / LINE * (LINE + STAMP) + 2 * BLOCK];
static char path[4096];
static int fd = -1, n_files;
static size_t size;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static int write_lines(uint64_t bytes, const char *result)
{
	uint64_t begin, left = bytes;
	size_t at = 0;
	FILE *f;

	memset(in, 'x', sizeof(in));
	begin = now_ns();
	while (left > 0) {
		ssize_t n;

		/* Whole lines: the last write of a block may be short. */
		for (size_t i = LINE - 1 - at % LINE; i < sizeof(in); i += LINE)
			in[i] = '\n';
		n = write(STDOUT_FILENO, in, left < sizeof(in) ? left : sizeof(in));
		if (n <= 0)
			return 1;
		for (size_t i = LINE - 1 - at % LINE; i < sizeof(in); i += LINE)
			in[i] = 'x';
		at = (at + n) % LINE;
		left -= n;
	}
	f = fopen(result, "w");
	return !f || fprintf(f, "%llu\n", (unsigned long long)(now_ns() - begin)) < 0 ||
	       fclose(f) != 0;
}

static void begin_file(const char *directory)
{
	char old[sizeof(path) + 16];

	snprintf(path, sizeof(path), "%s/current", directory);
	if (fd >= 0) {
		close(fd);
		snprintf(old, sizeof(old), "%s.%d", path, n_files++ % KEEP);
		rename(path, old);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	size = 0;
}

/* What one buffer becomes; the rest of a line that began in the last one has its time there. */
static size_t stamp(size_t n, int *inside)
{
	struct timespec t;
	char text[STAMP + 8], *to = out;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + 19, sizeof(text) - 19, ".%06ldZ ", t.tv_nsec / 1000 % 1000000);
	for (char *p = in, *end = in + n; p < end;) {
		char *newline = memchr(p, '\n', end - p), *next = newline ? newline + 1 : end;

		if (!*inside) {
			memcpy(to, text, STAMP);
			to += STAMP;
		}
		memcpy(to, p, next - p);
		to += next - p;
		*inside = !newline;
		p = next;
	}
	return to - out;
}

static int copy(const char *directory, int stamped)
{
	int inside = 0;
	ssize_t n;

	begin_file(directory);
	while ((n = read(STDIN_FILENO, in, sizeof(in))) > 0) {
		size_t wanted = stamped ? stamp(n, &inside) : (size_t)n;

		if (write(fd, stamped ? out : in, wanted) != (ssize_t)wanted)
			return 1;
		size += wanted;
		if (size >= SIZE)
			begin_file(directory);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return write_lines(strtoull(argv[2], NULL, 10), argv[3]);
	if (argc == 3 && strcmp(argv[1], "copy") == 0)
		return copy(argv[2], 0);
	if (argc == 3 && strcmp(argv[1], "stamp") == 0)
		return copy(argv[2], 1);
	fprintf(stderr, "usage: bench-lines write BYTES FILE | copy DIR | stamp DIR\n");
	return 2;
}
