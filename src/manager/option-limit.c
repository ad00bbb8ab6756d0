/* SPDX-License-Identifier: MIT */
/* Resource limits as options: see option-limit.h. */
#include "manager/option-limit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "manager/config.h"

static int parse_limit(enum limit_unit unit, const char *text, rlim_t *ret)
{
	int64_t number;
	uint64_t value;

	if (strcmp(text, "infinity") == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	if (unit == LIMIT_BYTES) {
		if (parse_size(text, &value) < 0)
			return -EINVAL;
	} else if (unit == LIMIT_NUMBER) {
		if (parse_int(text, 0, INT64_MAX, &number) < 0)
			return -EINVAL;
		value = (uint64_t)number;
	} else {
		if (parse_duration(text, &value) < 0)
			return -EINVAL;
		if (unit == LIMIT_SECONDS) {
			if (value % USEC_PER_SEC)
				return -EINVAL;
			value /= USEC_PER_SEC;
		}
	}
	*ret = value;
	return 0;
}

static struct service_limit *find_limit(const struct option *o, const void *object)
{
	const struct service_config *s = object;

	for (size_t i = 0; i < s->n_limits; i++) {
		if (s->limits[i].resource == o->resource)
			return &s->limits[i];
	}
	return NULL;
}

bool limit_option_is_set(const struct option *o, const void *object)
{
	return find_limit(o, object) != NULL;
}

static int put_limit(const struct option *o, void *object, struct rlimit limit)
{
	struct service_config *s = object;
	struct service_limit *slot = find_limit(o, s);

	if (!slot) {
		slot = reallocarray(s->limits, s->n_limits + 1, sizeof(*slot));
		if (!slot)
			return -ENOMEM;
		s->limits = slot;
		slot += s->n_limits++;
	}
	*slot = (struct service_limit){ o->resource, limit };
	return 0;
}

int limit_option_set(const struct option *o, void *object, char *const *values, size_t n,
		     struct error *e)
{
	_cleanup_free_ char *soft = strdup(values[0]);
	struct rlimit limit;
	char *hard;

	if (!soft)
		return -ENOMEM;
	hard = strchr(soft, ':');
	if (hard)
		*hard++ = '\0';
	if (parse_limit(o->unit, soft, &limit.rlim_cur) < 0 ||
	    parse_limit(o->unit, hard ? hard : soft, &limit.rlim_max) < 0)
		return option_refuse(o, values[0], e);
	if (limit.rlim_cur > limit.rlim_max)
		return error_set(e, -EINVAL,
				 "%s = \"%.64s\" is not possible: the soft limit is above the hard",
				 o->name, values[0]);
	return put_limit(o, object, limit);
}

int limit_option_copy(const struct option *o, void *to, const void *from)
{
	const struct service_limit *limit = find_limit(o, from);

	return limit ? put_limit(o, to, limit->limit) : 0;
}

bool limit_option_equal(const struct option *o, const void *a, const void *b)
{
	const struct service_limit *x = find_limit(o, a), *y = find_limit(o, b);

	if (!x || !y)
		return x == y;
	return x->limit.rlim_cur == y->limit.rlim_cur && x->limit.rlim_max == y->limit.rlim_max;
}

void limit_option_clear(const struct option *o, void *object)
{
	struct service_config *s = object;

	free(s->limits); /* all of them: limits live together */
	s->limits = NULL;
	s->n_limits = 0;
}

void limit_option_print(const struct option *o, const void *object, FILE *f)
{
	static const char *const units[] = {
		[LIMIT_NUMBER] = "",
		[LIMIT_BYTES] = "",
		[LIMIT_SECONDS] = "s",
		[LIMIT_MICROSECONDS] = "us",
	};
	const struct service_limit *limit = find_limit(o, object);
	rlim_t values[2];

	if (!limit)
		return;
	values[0] = limit->limit.rlim_cur;
	values[1] = limit->limit.rlim_max;
	for (size_t i = 0; i < 2; i++) {
		fputs(i ? ":" : "\"", f);
		if (values[i] == RLIM_INFINITY)
			fputs("infinity", f);
		else
			fprintf(f, "%" PRIu64 "%s", (uint64_t)values[i], units[o->unit]);
	}
	putc('"', f);
}
