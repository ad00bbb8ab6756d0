/* SPDX-License-Identifier: MIT */
/* What systemd gave to fosterd: see given.h. */
#include "manager/given.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/given.h"
#include "manager/keep.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"

const char *given_name(struct manager *m, uint32_t i)
{
	const char *name = supervisor_link_stored(m, GIVEN_FIRST + i);

	return name ? name + strlen(GIVEN_PREFIX) : NULL;
}

size_t given_places(struct manager *m, const char *wanted, uint32_t *places, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < GIVEN_MAX && n < max; i++) {
		const char *name = given_name(m, i);

		if (name && strcmp(name, wanted) == 0)
			places[n++] = GIVEN_FIRST + i;
	}
	return n;
}

static bool is_first_of_name(struct manager *m, uint32_t i)
{
	uint32_t place;

	return given_places(m, given_name(m, i), &place, 1) == 1 && place == GIVEN_FIRST + i;
}

/* "it gave: http, ssh", each name once. */
static void list_names(struct manager *m, char *buf, size_t size)
{
	size_t n = 0;

	snprintf(buf, size, "it gave none");
	for (uint32_t i = 0; i < GIVEN_MAX && n < size; i++) {
		if (given_name(m, i) && !keep_is_name(given_name(m, i)) && is_first_of_name(m, i))
			n += snprintf(buf + n, size - n, "%s%s",
				      n ? ", " : "it gave: ", given_name(m, i));
	}
}

int given_check(struct manager *m, const struct socket_config *s, struct error *e)
{
	char names[512];
	uint32_t place;

	if (given_places(m, s->from_systemd, &place, 1) > 0)
		return 0;
	list_names(m, names, sizeof(names));
	return error_set(
		e, -EINVAL,
		"%s: socket %s: systemd gave no socket named %s when fosterd was started "
		"(%s); a socket unit with Service=foster.service and FileDescriptorName=%s "
		"gives it, and is to be started before",
		s->file, s->name, s->from_systemd, names, s->from_systemd);
}
