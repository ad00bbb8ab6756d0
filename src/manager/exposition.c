/* SPDX-License-Identifier: MIT */
/* Text for Prometheus: see exposition.h. */
#include "manager/exposition.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"

char *exposition_escape(char *to, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		char escaped = *text == '\n' ? 'n' : *text == '"' || *text == '\\' ? *text : '\0';

		if (n + (escaped ? 2 : 1) >= room)
			break;
		if (escaped)
			to[n++] = '\\';
		to[n++] = escaped ? escaped : *text;
	}
	to[n] = '\0';
	return to;
}

char *exposition_seconds(char *to, size_t room, uint64_t usec)
{
	snprintf(to, room, "%" PRIu64 ".%02u", usec / USEC_PER_SEC,
		 (unsigned)(usec % USEC_PER_SEC / (USEC_PER_SEC / 100)));
	return to;
}
