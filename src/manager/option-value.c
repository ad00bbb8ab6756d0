/* SPDX-License-Identifier: MIT */
/*
 * Values of options: reading, copying, comparing, printing and freeing them, one row a type in
 * the table at the end. See option.h.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/signals.h"
#include "base/strv.h"
#include "base/text.h"
#include "base/units.h"
#include "manager/config.h"
#include "manager/option-limit.h"
#include "manager/option.h"

struct option_kind {
	int (*set)(const struct option *, void *object, char *const *values, size_t n,
		   struct error *);
	int (*copy)(const struct option *, void *to, const void *from); /* NULL: by size */
	bool (*equal)(const struct option *, const void *a, const void *b);
	void (*clear)(const struct option *, void *object);
	void (*print)(const struct option *, const void *object, FILE *);
	size_t size;
};

static void *field(const struct option *o, const void *object)
{
	return (char *)object + o->offset;
}

int option_refuse(const struct option *o, const char *value, struct error *e)
{
	return error_set(e, -EINVAL, "%s = \"%.64s\" is not possible; it takes %s", o->name, value,
			 o->allowed);
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if (iscntrl((unsigned char)*s))
			return true;
	}
	return false;
}

/* --- strings and lists --- */

static int set_text(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	char **text = field(o, object), *copy;

	if (!*values[0] && !(o->flags & OPTION_EMPTY))
		return error_set(e, -EINVAL, "%s is empty; it takes %s", o->name, o->allowed);
	if (has_control(values[0]))
		return error_set(e, -EINVAL, "%s holds a control character; it takes %s", o->name,
				 o->allowed);
	copy = strdup(values[0]);
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static int set_path(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	const char *path = values[0];

	if ((o->flags & OPTION_MAY_MISS) && *path == '-')
		path++;
	if (*path != '/')
		return option_refuse(o, values[0], e);
	return set_text(o, object, values, n, e);
}

static int copy_text(const struct option *o, void *to, const void *from)
{
	char *const *text = field(o, from);
	char *copy = *text ? strdup(*text) : NULL;

	if (*text && !copy)
		return -ENOMEM;
	free(*(char **)field(o, to));
	*(char **)field(o, to) = copy;
	return 0;
}

static bool equal_text(const struct option *o, const void *a, const void *b)
{
	const char *x = *(char **)field(o, a), *y = *(char **)field(o, b);

	return x && y ? strcmp(x, y) == 0 : x == y;
}

static void clear_text(const struct option *o, void *object)
{
	char **text = field(o, object);

	free(*text);
	*text = NULL;
}

static void print_quoted(const char *s, FILE *f)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ' || *s == 127)
			fprintf(f, "\\x%02x", (unsigned char)*s);
		else
			putc(*s, f);
	}
	putc('"', f);
}

static void print_text(const struct option *o, const void *object, FILE *f)
{
	const char *text = *(char **)field(o, object);

	if (text)
		print_quoted(text, f);
}

static int take_list(const struct option *o, void *object, char *const *values, size_t n)
{
	_cleanup_strv_ char **list = calloc(n + 1, sizeof(char *));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		list[i] = strdup(values[i]);
		if (!list[i])
			return -ENOMEM;
	}
	strv_free(*(char ***)field(o, object));
	*(char ***)field(o, object) = TAKE_PTR(list);
	return 0;
}

static int set_list(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		if (!*values[i])
			return error_set(e, -EINVAL, "%s: element %zu is empty; it takes %s",
					 o->name, i + 1, o->allowed);
	}
	return take_list(o, object, values, n);
}

static int set_command(const struct option *o, void *object, char *const *values, size_t n,
		       struct error *e)
{
	size_t bytes = 0;

	if (n == 0 || !*values[0])
		return error_set(e, -EINVAL, "%s is empty; it takes %s", o->name, o->allowed);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(values[i]) + 1;
	if (bytes > CONFIG_COMMAND_MAX)
		return error_set(e, -EINVAL, "%s is %zu bytes long; %d are possible", o->name,
				 bytes, CONFIG_COMMAND_MAX);
	return take_list(o, object, values, n);
}

static void clear_list(const struct option *o, void *object)
{
	char ***list = field(o, object);

	*list = strv_free(*list);
}

static int copy_list(const struct option *o, void *to, const void *from)
{
	char **list = *(char ***)field(o, from);

	if (list)
		return take_list(o, to, list, strv_length(list));
	clear_list(o, to);
	return 0;
}

static bool equal_list(const struct option *o, const void *a, const void *b)
{
	return strv_equal(*(char ***)field(o, a), *(char ***)field(o, b));
}

static void print_list(const struct option *o, const void *object, FILE *f)
{
	char **list = *(char ***)field(o, object);

	putc('{', f);
	STRV_FOREACH(s, list) {
		if (s != list)
			fputs(", ", f);
		print_quoted(*s, f);
	}
	putc('}', f);
}

/* --- single values --- */

static int set_bool(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {
		{ "true", true }, { "false", false }, { "yes", true },
		{ "no", false },  { "on", true },     { "off", false },
	};

	for (size_t i = 0; i < ELEMENTSOF(words); i++) {
		if (strcmp(values[0], words[i].text) == 0) {
			*(bool *)field(o, object) = words[i].value;
			return 0;
		}
	}
	return option_refuse(o, values[0], e);
}

static void print_bool(const struct option *o, const void *object, FILE *f)
{
	fputs(*(bool *)field(o, object) ? "true" : "false", f);
}

static int set_duration(const struct option *o, void *object, char *const *values, size_t n,
			struct error *e)
{
	uint64_t usec;

	if (parse_duration(values[0], &usec) < 0)
		return option_refuse(o, values[0], e);
	if ((o->flags & OPTION_FINITE) && usec == USEC_INFINITY)
		return option_refuse(o, values[0], e);
	*(uint64_t *)field(o, object) = usec;
	return 0;
}

/* Exact, unlike format_duration(): what is printed can be read back. */
static void print_duration(const struct option *o, const void *object, FILE *f)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
		{ "h", 3600 * USEC_PER_SEC },
		{ "min", 60 * USEC_PER_SEC },
		{ "s", USEC_PER_SEC },
		{ "ms", USEC_PER_MSEC },
		{ "us", 1 },
	};
	uint64_t usec = *(uint64_t *)field(o, object);

	if (usec == USEC_INFINITY || usec == 0) {
		fputs(usec ? "\"infinity\"" : "\"0\"", f);
		return;
	}
	for (size_t i = 0; i < ELEMENTSOF(units); i++) {
		if (usec % units[i].factor == 0) {
			fprintf(f, "\"%" PRIu64 "%s\"", usec / units[i].factor, units[i].name);
			return;
		}
	}
}

static int set_number(const struct option *o, void *object, char *const *values, size_t n,
		      struct error *e)
{
	int64_t number;

	if (parse_int(values[0], o->min, o->max, &number) < 0)
		return option_refuse(o, values[0], e);
	*(int *)field(o, object) = (int)number; /* also of the type unsigned: OPTION_COUNT */
	return 0;
}

static void print_number(const struct option *o, const void *object, FILE *f)
{
	fprintf(f, "%d", *(int *)field(o, object));
}

static int set_mode(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	const char *p = values[0];
	mode_t mode = 0;

	if (!*p || strlen(p) > 5)
		return option_refuse(o, values[0], e);
	for (; *p; p++) {
		if (*p < '0' || *p > '7')
			return option_refuse(o, values[0], e);
		mode = mode * 8 + (mode_t)(*p - '0');
	}
	if (mode > (mode_t)o->max)
		return option_refuse(o, values[0], e);
	*(mode_t *)field(o, object) = mode;
	return 0;
}

static void print_mode(const struct option *o, const void *object, FILE *f)
{
	fprintf(f, "\"%04o\"", *(mode_t *)field(o, object));
}

/* By signal(7); real-time signals end a process too. */
static bool is_lethal(int signo)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
					SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH };

	for (size_t i = 0; i < ELEMENTSOF(harmless); i++) {
		if (harmless[i] == signo)
			return false;
	}
	return true;
}

static int set_signal(const struct option *o, void *object, char *const *values, size_t n,
		      struct error *e)
{
	int signo = signal_from_string(values[0]);

	if (signo < 0)
		return option_refuse(o, values[0], e);
	if ((o->flags & OPTION_LETHAL) && !is_lethal(signo))
		return error_set(e, -EINVAL,
				 "%s = %s is not possible: that signal does not end a process; "
				 "KILL, TERM or HUP do",
				 o->name, signal_to_string(signo));
	*(int *)field(o, object) = signo;
	return 0;
}

static void print_signal(const struct option *o, const void *object, FILE *f)
{
	fprintf(f, "\"%s\"", signal_to_string(*(int *)field(o, object)));
}

static int set_enum(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	int value = o->from_string(values[0]);

	if (value < 0)
		return option_refuse(o, values[0], e);
	*(int *)field(o, object) = value;
	return 0;
}

static void print_enum(const struct option *o, const void *object, FILE *f)
{
	fputs(o->to_string(*(int *)field(o, object)), f);
}

static int set_size(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	uint64_t size;

	if (parse_size(values[0], &size) < 0 || size > INT64_MAX ||
	    (size > 0 && size < (uint64_t)o->min) || (o->max > 0 && size > (uint64_t)o->max))
		return option_refuse(o, values[0], e);
	*(uint64_t *)field(o, object) = size;
	return 0;
}

/* Exact: what is printed can be read back. */
static void print_size(const struct option *o, const void *object, FILE *f)
{
	static const char units[] = "TGMK";
	uint64_t size = *(uint64_t *)field(o, object);

	for (int i = 0; units[i] && size > 0; i++) {
		uint64_t factor = UINT64_C(1) << (40 - 10 * i);

		if (size % factor == 0) {
			fprintf(f, "\"%" PRIu64 "%c\"", size / factor, units[i]);
			return;
		}
	}
	fprintf(f, "\"%" PRIu64 "\"", size);
}

/* "1000/s": a number, and what it is counted in. */
static const struct {
	const char *name;
	uint64_t period;
} rate_units[] = {
	{ "s", USEC_PER_SEC },
	{ "min", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
};

static int set_rate(const struct option *o, void *object, char *const *values, size_t n,
		    struct error *e)
{
	struct log_rate *rate = field(o, object);
	const char *slash = strchr(values[0], '/');
	char number[16];
	int64_t lines;

	if (strcmp(values[0], "0") == 0) {
		*rate = (struct log_rate){ 0 };
		return 0;
	}
	if (!slash || (size_t)(slash - values[0]) >= sizeof(number))
		return option_refuse(o, values[0], e);
	snprintf(number, sizeof(number), "%.*s", (int)(slash - values[0]), values[0]);
	for (size_t i = 0; i < ELEMENTSOF(rate_units); i++) {
		if (strcmp(slash + 1, rate_units[i].name) != 0 ||
		    parse_int(number, 1, o->max, &lines) < 0)
			continue;
		*rate = (struct log_rate){ (uint64_t)lines, rate_units[i].period };
		return 0;
	}
	return option_refuse(o, values[0], e);
}

static void print_rate(const struct option *o, const void *object, FILE *f)
{
	const struct log_rate *rate = field(o, object);

	for (size_t i = 0; rate->lines > 0 && i < ELEMENTSOF(rate_units); i++) {
		if (rate->period == rate_units[i].period) {
			fprintf(f, "\"%" PRIu64 "/%s\"", rate->lines, rate_units[i].name);
			return;
		}
	}
	fputs("\"0\"", f);
}

/* --- the types --- */

/* clang-format off */
static const struct option_kind kinds[] = {
	[OPTION_TEXT]     = { set_text,     copy_text,  equal_text,  clear_text,  print_text,     0 },
	[OPTION_PATH]     = { set_path,     copy_text,  equal_text,  clear_text,  print_text,     0 },
	[OPTION_LIST]     = { set_list,     copy_list,  equal_list,  clear_list,  print_list,     0 },
	[OPTION_COMMAND]  = { set_command,  copy_list,  equal_list,  clear_list,  print_list,     0 },
	[OPTION_BOOL]     = { set_bool,     NULL,       NULL,        NULL,        print_bool,     sizeof(bool) },
	[OPTION_DURATION] = { set_duration, NULL,       NULL,        NULL,        print_duration, sizeof(uint64_t) },
	[OPTION_NUMBER]   = { set_number,   NULL,       NULL,        NULL,        print_number,   sizeof(int) },
	[OPTION_COUNT]    = { set_number,   NULL,       NULL,        NULL,        print_number,   sizeof(unsigned) },
	[OPTION_MODE]     = { set_mode,     NULL,       NULL,        NULL,        print_mode,     sizeof(mode_t) },
	[OPTION_SIGNAL]   = { set_signal,   NULL,       NULL,        NULL,        print_signal,   sizeof(int) },
	[OPTION_ENUM]     = { set_enum,     NULL,       NULL,        NULL,        print_enum,     sizeof(int) },
	[OPTION_SIZE]     = { set_size,     NULL,       NULL,        NULL,        print_size,     sizeof(uint64_t) },
	[OPTION_RATE]     = { set_rate,     NULL,       NULL,        NULL,        print_rate,     sizeof(struct log_rate) },
	[OPTION_LIMIT]    = { limit_option_set,    limit_option_copy, limit_option_equal, limit_option_clear, limit_option_print,    0 },
};
/* clang-format on */
static_assert(ELEMENTSOF(kinds) == _OPTION_TYPES, "every type has its row");
static_assert(sizeof(enum restart_policy) == sizeof(int), "enums are set through an int");

static bool *has_field(const struct option *o, const void *object)
{
	return o->has ? (bool *)((char *)object + o->has) : NULL;
}

int option_set(const struct option *o, void *object, char *const *values, size_t n, struct error *e)
{
	int r;

	assert(n == 1 || option_is_list(o));
	for (size_t i = 0; i < n; i++) {
		if (!utf8_valid(values[i]))
			return error_set(e, -EINVAL, "%s is not UTF-8", o->name);
	}
	r = kinds[o->type].set(o, object, values, n, e);
	if (r == -ENOMEM)
		error_set(e, r, "out of memory");
	if (r == 0 && o->has)
		*has_field(o, object) = true;
	return r;
}

int option_set_fallback(const struct option *o, void *object)
{
	char *value = (char *)o->fallback;
	int r = value ? option_set(o, object, &value, 1, NULL) : 0;

	assert(r == 0 || r == -ENOMEM);
	return r;
}

int option_copy(const struct option *o, void *to, const void *from)
{
	const struct option_kind *kind = &kinds[o->type];

	if (o->has)
		*has_field(o, to) = *has_field(o, from);
	if (kind->copy)
		return kind->copy(o, to, from);
	memcpy(field(o, to), field(o, from), kind->size);
	return 0;
}

bool option_equal(const struct option *o, const void *a, const void *b)
{
	const struct option_kind *kind = &kinds[o->type];

	if (o->has && *has_field(o, a) != *has_field(o, b))
		return false;
	if (kind->equal)
		return kind->equal(o, a, b);
	return memcmp(field(o, a), field(o, b), kind->size) == 0;
}

void option_clear(const struct option *o, void *object)
{
	if (kinds[o->type].clear)
		kinds[o->type].clear(o, object);
}

static bool is_set(const struct option *o, const void *object)
{
	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_LIST:
	case OPTION_COMMAND: return *(void **)field(o, object) != NULL;
	case OPTION_LIMIT: return limit_option_is_set(o, object);
	default: return !o->has || *has_field(o, object);
	}
}

void option_print(const struct option *o, const void *object, const char *indent, FILE *f)
{
	if (!is_set(o, object))
		return;
	fprintf(f, "%s%s = ", indent, o->name);
	kinds[o->type].print(o, object, f);
	putc('\n', f);
}
