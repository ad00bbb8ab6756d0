/* SPDX-License-Identifier: MIT */
/*
 * The history's journal, whatever is in its file: records are whole or none, and what is decoded
 * is encoded to the same bytes again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/history-record.h"
#include "sweep.h"

static void check(const uint8_t *data, size_t size)
{
	char channel[HISTORY_CHANNEL_MAX + 1], again[HISTORY_RECORD_MAX];
	struct history_record record;
	size_t done = 0;
	ssize_t n;

	while ((n = history_record_decode(data + done, size - done, &record, channel)) > 0) {
		if (history_record_encode(&record, again, sizeof(again)) != (size_t)n ||
		    memcmp(again, data + done, n) != 0)
			abort();
		done += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	return 0;
}

#ifndef FUZZING
int main(void)
{
	const struct history_record record = { .channel = "#channel",
					       .id = { 1, 2 },
					       .time = 3,
					       .kind = HISTORY_EVENT,
					       .tags = "a=b",
					       .tags_size = 3,
					       .line = ":a!b@c PRIVMSG #channel :text",
					       .line_size = 29 };
	uint8_t seed[512];
	size_t size = history_record_encode(&record, seed, sizeof(seed));

	size += history_record_encode(&record, seed + size, sizeof(seed) - size);
	sweep(seed, size, 20000);
	return 0;
}
#endif
