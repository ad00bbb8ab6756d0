/* SPDX-License-Identifier: MIT */
/*
 * Numbers for Prometheus: see control.h. All lines of one metric stand together, so each is a walk
 * over the services; a name, once given, means the same for ever. foster-control(7) says what each
 * one is, and what makes it begin anew.
 */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/units.h"
#include "manager/exposition.h"
#include "manager/logs.h"
#include "manager/proc.h"
#include "manager/service.h"

#define LABEL_ROOM  (2 * CONFIG_NAME_MAX + 1)
#define NUMBER_ROOM 32

struct page {
	const struct manager *manager;
	struct evbuffer *text;
	bool failed; /* out of memory */
};

/* One of these tells the values. */
struct metric {
	const char *name, *type, *help;
	void (*print)(struct page *, const struct metric *);
	uint64_t (*of_foster)(const struct manager *);
	bool (*of_service)(const struct service *, uint64_t *ret); /* false: it has none */
	uint64_t (*of_stream)(const struct logger_count *);
	bool is_time; /* the value is in us */
};

/* labels: with their braces, or "". */
static void put(struct page *page, const struct metric *metric, const char *labels, uint64_t value)
{
	char number[NUMBER_ROOM];

	if (metric->is_time)
		exposition_seconds(number, sizeof(number), value);
	else
		snprintf(number, sizeof(number), "%" PRIu64, value);
	if (evbuffer_add_printf(page->text, "%s%s %s\n", metric->name, labels, number) < 0)
		page->failed = true;
}

/* more: further labels, each with a comma in front. */
static void put_service(struct page *page, const struct metric *metric, const struct service *s,
			const char *more, uint64_t value)
{
	char name[LABEL_ROOM], labels[2 * LABEL_ROOM];

	snprintf(labels, sizeof(labels), "{service=\"%s\"%s}",
		 exposition_escape(name, sizeof(name), s->config->name), more);
	put(page, metric, labels, value);
}

/* --- foster itself ---------------------------------------------------------------------- */

static void print_version(struct page *page, const struct metric *metric)
{
	char version[LABEL_ROOM], labels[2 * LABEL_ROOM];

	snprintf(labels, sizeof(labels), "{version=\"%s\"}",
		 exposition_escape(version, sizeof(version), PACKAGE_VERSION));
	put(page, metric, labels, 1);
}

static uint64_t wall_clock(uint64_t ago)
{
	return now_realtime() - ago;
}

static uint64_t supervisor_start(const struct manager *m)
{
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;
	struct proc_life life;
	uint64_t born;

	if (proc_life(m->supervisor_pid, &life) < 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return 0;
	born = life.born * USEC_PER_SEC / per_second;
	return wall_clock((uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000 -
			  born);
}

static uint64_t managers(const struct manager *m)
{
	return m->generation;
}

static uint64_t upgrades(const struct manager *m)
{
	return m->hello.upgrades;
}

static uint64_t orphans(const struct manager *m)
{
	return m->orphans.total;
}

static uint64_t logger_restarts(const struct manager *m)
{
	return logs_service(m)->machine.restarts;
}

static void print_states(struct page *page, const struct metric *metric)
{
	uint64_t n[STATE_COUNT] = { 0 };
	char labels[64];

	for (size_t i = 0; i < page->manager->n_services; i++)
		n[page->manager->services[i]->machine.state]++;
	for (int state = 0; state < STATE_COUNT; state++) {
		snprintf(labels, sizeof(labels), "{state=\"%s\"}",
			 service_state_to_string((enum service_state)state));
		put(page, metric, labels, n[state]);
	}
}

/* --- services --------------------------------------------------------------------------- */

/* The others would be seven more lines of each service, all 0. */
static void print_state(struct page *page, const struct metric *metric)
{
	for (size_t i = 0; i < page->manager->n_services; i++) {
		const struct service *s = page->manager->services[i];
		char more[64];

		snprintf(more, sizeof(more), ",state=\"%s\"",
			 service_state_to_string(s->machine.state));
		put_service(page, metric, s, more, 1);
	}
}

static bool ready(const struct service *s, uint64_t *ret)
{
	*ret = s->machine.state == STATE_RUNNING || service_has_run(s);
	return true;
}

static bool wanted(const struct service *s, uint64_t *ret)
{
	*ret = s->machine.desired_up;
	return true;
}

static bool started(const struct service *s, uint64_t *ret)
{
	bool up = s->pid > 0 && s->machine.started;

	*ret = up ? wall_clock(now_monotonic() - s->machine.started) : 0;
	return up;
}

static bool restarts(const struct service *s, uint64_t *ret)
{
	*ret = s->machine.restarts;
	return true;
}

static void print_ends(struct page *page, const struct metric *metric)
{
	static const char *const labels[] = {
		[END_SUCCESS] = ",result=\"success\"",
		[END_FAILURE] = ",result=\"failure\"",
		[END_SIGNAL] = ",result=\"signal\"",
		[END_UNKNOWN] = ",result=\"unknown\"",
	};

	for (size_t i = 0; i < page->manager->n_services; i++) {
		const struct service *s = page->manager->services[i];

		for (int kind = 0; kind < END_KINDS; kind++)
			put_service(page, metric, s, labels[kind], s->machine.ends[kind]);
	}
}

/* --- logs ------------------------------------------------------------------------------- */

/* Calls put() for each pipe, with the label that says which it is. */
static void each_stream(struct page *page, const struct metric *metric,
			void (*print)(struct page *, const struct metric *, const struct service *,
				      const char *label, const struct logger_count *))
{
	for (size_t i = 0; i < page->manager->n_services; i++) {
		const struct service *s = page->manager->services[i];
		struct logger_count out, err;
		bool has_err = logs_count(s, true, &err);

		if (logs_count(s, false, &out))
			print(page, metric, s,
			      has_err ? ",stream=\"stdout\"" : ",stream=\"output\"", &out);
		if (has_err)
			print(page, metric, s, ",stream=\"stderr\"", &err);
	}
}

static void print_stream(struct page *page, const struct metric *metric, const struct service *s,
			 const char *label, const struct logger_count *count)
{
	put_service(page, metric, s, label, metric->of_stream(count));
}

static void print_lost(struct page *page, const struct metric *metric, const struct service *s,
		       const char *label, const struct logger_count *count)
{
	static const char *const reasons[] = {
		[LOGGER_LOSS_FULL] = "full",
		[LOGGER_LOSS_RATE] = "rate",
	};

	for (int i = 0; i < _LOGGER_LOSSES; i++) {
		char more[64];

		snprintf(more, sizeof(more), "%s,reason=\"%s\"", label, reasons[i]);
		put_service(page, metric, s, more, count->lost[i]);
	}
}

static void print_dropped(struct page *page, const struct metric *metric)
{
	each_stream(page, metric, print_lost);
}

static uint64_t lines(const struct logger_count *count)
{
	return count->lines;
}

static uint64_t bytes(const struct logger_count *count)
{
	return count->bytes;
}

static uint64_t blocked(const struct logger_count *count)
{
	return count->blocked;
}

/* --- all of them ------------------------------------------------------------------------ */

#define COUNTER "counter"
#define GAUGE   "gauge"

/* clang-format off */
static const struct metric metrics[] = {
	{ "foster_info", GAUGE, "The version of foster; always 1.", .print = print_version },
	{ "foster_start_time_seconds", GAUGE, "When fosterd was started, in seconds since 1970.", .of_foster = supervisor_start, .is_time = true },
	{ "foster_manager_starts_total", COUNTER, "Managers that fosterd has started.", .of_foster = managers },
	{ "foster_upgrades_total", COUNTER, "How often another fosterd was to take over in place.", .of_foster = upgrades },
	{ "foster_logger_restarts_total", COUNTER, "How often foster-log was started again.", .of_foster = logger_restarts },
	{ "foster_orphans_reaped_total", COUNTER, "Processes that were orphaned, adopted and reaped.", .of_foster = orphans },
	{ "foster_services", GAUGE, "Services in each state.", .print = print_states },

	{ "foster_service_state", GAUGE, "The state that the service is in; always 1.", .print = print_state },
	{ "foster_service_ready", GAUGE, "Whether it is running, or oneshot and has run.", .of_service = ready },
	{ "foster_service_wanted", GAUGE, "Whether it is wanted up.", .of_service = wanted },
	{ "foster_service_start_time_seconds", GAUGE, "When its process was started, in seconds since 1970; of those that have one.", .of_service = started, .is_time = true },
	{ "foster_service_restarts_total", COUNTER, "How often it was restarted by itself.", .of_service = restarts },
	{ "foster_service_exits_total", COUNTER, "Ends of its main process, and starts that failed.", .print = print_ends },

	{ "foster_service_log_lines_total", COUNTER, "Lines of its output that were written.", .of_stream = lines },
	{ "foster_service_log_bytes_total", COUNTER, "Bytes of its output that were written.", .of_stream = bytes },
	{ "foster_service_log_dropped_lines_total", COUNTER, "Lines of its output that were dropped.", .print = print_dropped },
	{ "foster_service_log_blocked", GAUGE, "Whether its output cannot be written at the moment.", .of_stream = blocked },
};
/* clang-format on */

static void print_services(struct page *page, const struct metric *metric)
{
	for (size_t i = 0; i < page->manager->n_services; i++) {
		const struct service *s = page->manager->services[i];
		uint64_t value;

		if (metric->of_service(s, &value))
			put_service(page, metric, s, "", value);
	}
}

static void print_metric(struct page *page, const struct metric *metric)
{
	if (evbuffer_add_printf(page->text, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
				metric->help, metric->name, metric->type) < 0)
		page->failed = true;
	if (metric->print)
		metric->print(page, metric);
	else if (metric->of_foster)
		put(page, metric, "", metric->of_foster(page->manager));
	else if (metric->of_service)
		print_services(page, metric);
	else
		each_stream(page, metric, print_stream);
}

void control_metrics(struct call *call)
{
	struct page page = { .manager = call->manager, .text = evbuffer_new() };

	for (size_t i = 0; page.text && !page.failed && i < ELEMENTSOF(metrics); i++)
		print_metric(&page, &metrics[i]);
	if (!page.text || page.failed) {
		control_out_of_memory(call, page.text);
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(call->request), "Content-Type",
			  EXPOSITION_TYPE);
	control_reply_text(call, HTTP_OK, page.text);
}
