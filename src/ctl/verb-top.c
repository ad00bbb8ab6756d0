/* SPDX-License-Identifier: MIT */
/*
 * fosterctl top: what services use, as a table that is made anew from time to time. The manager
 * counts CPU time from the start of each process; what it used in a while is the difference of
 * two answers.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/client.h"
#include "ctl/show.h"
#include "ctl/table.h"

#define INTERVAL       (2 * USEC_PER_SEC)
#define INTERVAL_MIN   (100 * USEC_PER_MSEC)
#define FIRST_INTERVAL (500 * USEC_PER_MSEC) /* who asks wants to see something soon */
#define LINES_ABOVE    3                     /* what the table leaves of the terminal's height */

struct top {
	const struct ctl *ctl;
	uint64_t interval;
	int64_t left;         /* tables; -1: no end */
	json_int_t time;      /* of the last answer; -1: there was none */
	json_t *cpu;          /* {name: CPU time} of that answer */
	struct answer answer; /* the newest one */
};

/* --- samples ---------------------------------------------------------------------------- */

/* The share of a CPU since the last answer, into each service of the new one. */
static void add_percents(struct top *top, json_t *services, double passed)
{
	json_t *service;
	size_t i;

	json_array_foreach(services, i, service)
	{
		const char *name = member_text(service, "name");
		json_int_t now = member_number(service, "cpu_us");
		json_int_t before = name ? member_number(top->cpu, name) : -1;
		/* Less than before: these are other processes. A new service began at nothing. */
		json_int_t used = before >= 0 && now >= before ? now - before : now;

		json_object_set_new(service, "cpu_percent",
				    json_real(passed > 0 ? 100.0 * (double)used / passed : 0));
	}
}

static void remember(struct top *top, const json_t *services)
{
	json_t *service;
	size_t i;

	json_decref(top->cpu);
	top->cpu = json_object();
	json_array_foreach(services, i, service)
	{
		const char *name = member_text(service, "name");

		if (name)
			json_object_set(top->cpu, name, json_object_get(service, "cpu_us"));
	}
}

static int sample(struct top *top)
{
	json_int_t before = top->time;
	json_t *services;
	int code;

	answer_clear(&top->answer);
	code = client_get(top->ctl, "/v1/usage", &top->answer);
	if (code != EXIT_OK)
		return code;
	services = json_object_get(top->answer.json, "services");
	top->time = member_number(top->answer.json, "time_us");
	if (before >= 0)
		add_percents(top, services, (double)(top->time - before));
	remember(top, services);
	return EXIT_OK;
}

/* --- the table -------------------------------------------------------------------------- */

static const struct column columns[] = {
	{ "NAME" },        { "CPU%", true },     { "RSS", true },
	{ "TASKS", true }, { "RESTARTS", true }, { "STATE" },
};

static double percent_of(const json_t *service)
{
	return json_number_value(json_object_get(service, "cpu_percent"));
}

/* The busiest first, then the biggest. */
static int by_use(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	double left = percent_of(x), right = percent_of(y);
	json_int_t small = member_number(x, "rss"), big = member_number(y, "rss");

	return left != right ? (left < right) - (left > right) : (small < big) - (small > big);
}

static int add_row(struct table *table, const json_t *service)
{
	const char *name = member_text(service, "name"), *state = member_text(service, "state");
	char buf[DURATION_TEXT_MAX];
	int r = table_add(table, COLOUR_NONE, name ? name : "?");

	snprintf(buf, sizeof(buf), "%.1f", percent_of(service));
	r |= table_add(table, COLOUR_NONE, buf);
	r |= table_add(table, COLOUR_NONE,
		       size_text(buf, sizeof(buf), member_number(service, "rss")));
	r |= table_add(table, COLOUR_NONE,
		       number_text(buf, sizeof(buf), member_number(service, "tasks")));
	r |= table_add(table, COLOUR_NONE,
		       number_text(buf, sizeof(buf), member_number(service, "restarts")));
	r |= table_add(table, state_colour(state ? state : "?"), state ? state : "?");
	return r;
}

static void table_cleanup(struct table **table)
{
	table_free(*table);
}

static int print_table(const struct ctl *ctl, json_t *const *sorted, size_t n, FILE *f)
{
	_cleanup_(table_cleanup) struct table *table = table_new(columns, ELEMENTSOF(columns));

	for (size_t i = 0; i < n; i++) {
		if (!table || add_row(table, sorted[i]) < 0)
			return out_of_memory();
	}
	if (table)
		table_print(table, f, ctl->width, ctl->colours);
	return EXIT_OK;
}

static void print_sums(const json_t *services, FILE *f)
{
	json_int_t rss = 0, tasks = 0;
	double percent = 0;
	char buf[DURATION_TEXT_MAX];
	json_t *service;
	size_t i;

	json_array_foreach(services, i, service)
	{
		rss += member_number(service, "rss");
		tasks += member_number(service, "tasks");
		percent += percent_of(service);
	}
	fprintf(f, "%zu services: CPU %.1f%%, RSS %s, %" JSON_INTEGER_FORMAT " tasks\n\n",
		json_array_size(services), percent, size_text(buf, sizeof(buf), rss), tasks);
}

/* How many services can be shown. */
static size_t room_for(size_t n)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
	    size.ws_row <= LINES_ABOVE)
		return n;
	return MIN(n, (size_t)size.ws_row - LINES_ABOVE - 1);
}

static int print_answer(const struct top *top)
{
	const json_t *services = json_object_get(top->answer.json, "services");
	size_t n = json_array_size(services);
	_cleanup_free_ json_t **sorted = calloc(n + 1, sizeof(*sorted));

	if (!sorted)
		return out_of_memory();
	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(services, i);
	qsort(sorted, n, sizeof(*sorted), by_use);
	if (isatty(STDOUT_FILENO)) {
		fputs("\033[H\033[2J", stdout);
		print_sums(services, stdout);
	}
	return print_table(top->ctl, sorted, room_for(n), stdout);
}

static int show(const struct top *top)
{
	int code = EXIT_OK;

	if (top->ctl->json) {
		json_dumpf(top->answer.json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else if (!top->ctl->quiet) {
		code = print_answer(top);
	}
	return code != EXIT_OK || fflush(stdout) == 0 ? code : EXIT_FAILED;
}

/* --- the loop --------------------------------------------------------------------------- */

/* false: nobody reads any more. */
static bool pass_time(uint64_t usec)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, (int)MIN(usec / USEC_PER_MSEC, (uint64_t)INT32_MAX)) <= 0;
}

static int run(struct top *top)
{
	uint64_t interval = MIN(top->interval, FIRST_INTERVAL);
	int code = sample(top);

	while (code == EXIT_OK && top->left != 0 && pass_time(interval)) {
		code = sample(top);
		if (code == EXIT_OK)
			code = show(top);
		interval = top->interval;
		if (top->left > 0)
			top->left--;
	}
	return code;
}

static int read_options(struct top *top)
{
	const struct ctl *ctl = top->ctl;

	top->interval = ctl->interval == USEC_INFINITY ? INTERVAL : ctl->interval;
	if (top->interval < INTERVAL_MIN) {
		complain("--interval must be at least 100ms");
		return EXIT_USAGE;
	}
	top->left = isatty(STDOUT_FILENO) ? -1 : 1;
	if (ctl->count && parse_int(ctl->count, 1, INT64_MAX, &top->left) < 0) {
		complain("--count=%s: this takes a number of tables, at least 1", ctl->count);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int verb_top(const struct ctl *ctl, char **args, size_t n)
{
	struct top top = { .ctl = ctl, .time = -1 };
	int code = read_options(&top);

	if (code == EXIT_OK)
		code = run(&top);
	answer_clear(&top.answer);
	json_decref(top.cpu);
	return code;
}
