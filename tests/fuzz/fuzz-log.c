/* SPDX-License-Identifier: MIT */
/*
 * The logger's pure parts, on any bytes. The first byte chooses: the channel's messages
 * (base/logger.h); the times of lines and of --since; or, for all others, the lines of a service,
 * formatted in pieces of random sizes and turned back: what comes out must be what went in, byte
 * for byte.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log-name.h"
#include "base/logger.h"
#include "base/macro.h"
#include "ctl/log-line.h"
#include "lines-harness.h"
#include "sweep.h"

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void decode_message(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = malloc(size ? size : 1);
	static char again[LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	const struct logger_message *m;
	const struct logger_settings *set;
	const char *texts[LOGGER_TEXTS_MAX];
	struct logger_message head;
	int n;

	MUST(copy);
	if (size > 0)
		memcpy(copy, data, size);
	n = logger_decode(copy, size, &m, &set, texts);
	if (n < 0)
		return;
	MUST((size_t)n <= size && m->number < LOGGER_NUMBERS && (const char *)m == copy);
	MUST(!set || ((const char *)(set + 1) <= copy + n && set->sink < _LOGGER_SINKS));
	for (size_t i = 0; i < LOGGER_TEXTS_MAX; i++)
		MUST(!*texts[i] || (texts[i] > copy && texts[i] + strlen(texts[i]) < copy + n));
	head = *m;
	if (n <= LOGGER_MESSAGE_MAX)
		MUST(logger_encode(&head, set, texts, 0, again, sizeof(again)) > 0);
}

static void parse_times(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	uint64_t time;
	size_t used = 0;
	enum packing packing;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	log_line_time(text, size);
	if (log_time_parse(text, size, &used) != LOG_TIME_NONE)
		MUST(used >= 20 && used <= size);
	if (log_since_parse(text, UINT64_C(1800000000000000), &time) == 0)
		MUST(time > 0 || strlen(text) > 0);
	MUST(log_name_base(text, &packing) < strlen(text) + 1);
}

static void format_and_undo(const uint8_t *data, size_t size)
{
	struct line_style style = { .json = data[0] & 4,
				    .prefix = data[0] & 8 ? "[web] " : "",
				    .members = "\"service\":\"web\"," };
	struct formatted out, back;
	uint64_t random = 0;

	memcpy(&random, data, MIN(size, sizeof(random)));
	lines_stamp(&style, style.json || (data[0] & 16) ? LINE_STAMPS_UTC : LINE_STAMPS_NONE,
		    UINT64_C(1764078000123456));
	out = lines_harness_format(&style, (const char *)data, size, &random);
	back = lines_harness_undo(&style, out.data, out.size);
	MUST(back.size == size && memcmp(back.data, data, size) == 0);
	free(out.data);
	free(back.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] & 3) {
	case 0: decode_message(data + 1, size - 1); break;
	case 1: parse_times(data + 1, size - 1); break;
	default: format_and_undo(data, size);
	}
	return 0;
}

#ifndef FUZZING
static void sweep_message(void)
{
	const struct logger_settings set = { .sink = LOGGER_SINK_SYSLOG, .keep = 3 };
	const char *const texts[] = { "web", "/var/log/foster", "[web] ", "" };
	struct logger_message m = { .type = LOGGER_OPEN, .number = 7 };
	uint8_t seed[1 + 256] = { 0 };
	int n = logger_encode(&m, &set, texts, ELEMENTSOF(texts), (char *)seed + 1, 256);

	MUST(n > 0);
	sweep(seed, 1 + (size_t)n, 20000);
}

static void sweep_times(void)
{
	static const char *const seeds[] = {
		"\1"
		"2026-11-25T13:40:00.123456+01:00 text",
		"\1"
		"{\"time\":\"2026-11-25T13:40:00.123456Z\",\"text\":\"\"}",
		"\1"
		"2026-11-25 13:40",
		"\1"
		"1min 30s",
		"\1"
		"web.log.20261125T134000.123456Z.gz",
	};

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++)
		sweep((const uint8_t *)seeds[i], strlen(seeds[i]), 5000);
}

static void sweep_lines(void)
{
	static const char said[] =
		"?line\n\n\0\x1b[2J\"\\\t\xff\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\n"
		"\xed\xa0\x80 a longer line, of which this is the end\r\nend";

	for (uint8_t style = 0; style < 32; style += 4) {
		uint8_t seed[sizeof(said) - 1];

		memcpy(seed, said, sizeof(seed));
		seed[0] = style | 2;
		sweep(seed, sizeof(seed), 20000);
	}
}

int main(void)
{
	sweep_message();
	sweep_times();
	sweep_lines();
	return 0;
}
#endif
