/* SPDX-License-Identifier: MIT */
/*
 * What the tests of logs run.
 *
 *	test-lines write RESULT [SEED] [LIMIT]
 *		numbered lines to standard output, as fast as it can, in writes of random sizes
 *		that end anywhere; at SIGTERM, or after LIMIT lines, it ends the line, leaves the
 *		next number in RESULT and exits
 *	test-lines check NEXT
 *		reads such lines from standard input. Each must be NEXT and so on, or have been
 *		there already; prints the next number, how many were repeated, and how many lines
 *		are none. Exit 1 when a number is missing
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/units.h"

#define LINE  14 /* "N000000000042\n" */
#define BLOCK (64 * 1024)

static volatile sig_atomic_t asked_to_end;
static char lines[BLOCK + LINE];

static void on_term(int signo)
{
	asked_to_end = 1;
}

static uint32_t random_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

static void put_line(char *to, uint64_t number)
{
	to[0] = 'N';
	to[LINE - 1] = '\n';
	for (int i = LINE - 2; i > 0; i--, number /= 10)
		to[i] = (char)('0' + number % 10);
}

static void write_all(const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n < 0 && errno != EINTR)
			_exit(EXIT_FAILURE);
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
}

/* Sizes of all kinds: a line, less than one, a page, as much as a pipe holds. */
static size_t size_of_write(uint64_t *state)
{
	static const size_t kinds[] = { LINE, 5, 100, 4096, 10000, BLOCK };

	return 1 + random_number(state) % kinds[random_number(state) % ELEMENTSOF(kinds)];
}

static int write_lines(const char *result, uint64_t seed, uint64_t limit)
{
	uint64_t state = seed * 2654435761U + 1, next = 0;
	size_t have = 0;
	FILE *f;

	signal(SIGTERM, on_term);
	while (!asked_to_end && next < limit) {
		size_t size = size_of_write(&state);

		for (; have < size && next < limit; have += LINE)
			put_line(lines + have, next++);
		size = MIN(size, have);
		write_all(lines, size);
		have -= size;
		memmove(lines, lines + size, have);
	}
	write_all(lines, have);
	f = fopen(result, "w");
	if (!f || fprintf(f, "%" PRIu64 "\n", next) < 0 || fclose(f) != 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/* False for what is no such line. In front of one may stand a time. */
static bool parse_line(const char *line, size_t size, uint64_t *ret)
{
	line += size > LINE ? size - LINE : 0;
	if (size < LINE || line[0] != 'N')
		return false;
	*ret = 0;
	for (int i = 1; i < LINE - 1; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(line[i] - '0');
	}
	return true;
}

static int check_lines(uint64_t next)
{
	uint64_t repeated = 0, torn = 0, number;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		if (!parse_line(line, (size_t)n, &number)) {
			torn++;
		} else if (number == next) {
			next++;
		} else if (number < next) {
			repeated++;
		} else {
			fprintf(stderr, "%" PRIu64 " is missing: %" PRIu64 " follows\n", next,
				number);
			return EXIT_FAILURE;
		}
	}
	free(line);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", next, repeated, torn);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int64_t seed = 1, limit = INT64_MAX, next = 0;

	if (argc >= 3 && strcmp(argv[1], "write") == 0 &&
	    (argc < 4 || parse_int(argv[3], 0, UINT32_MAX, &seed) == 0) &&
	    (argc < 5 || parse_int(argv[4], 0, INT64_MAX, &limit) == 0))
		return write_lines(argv[2], (uint64_t)seed, (uint64_t)limit);
	if (argc == 3 && strcmp(argv[1], "check") == 0 &&
	    parse_int(argv[2], 0, INT64_MAX, &next) == 0)
		return check_lines((uint64_t)next);
	fprintf(stderr, "test-lines write RESULT [SEED] [LIMIT] | check NEXT\n");
	return EXIT_FAILURE;
}
