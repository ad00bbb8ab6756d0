/* SPDX-License-Identifier: MIT */
/*
 * fosterctl start, stop, restart, signal. Each named service has a connection of its own, and
 * is reported when it is done. When the manager is replaced meanwhile, start and stop are asked
 * for again, for they change nothing that is done already. A restart would happen twice: so the
 * process is remembered from before, and the service followed until it has another one.
 */
#include <errno.h>
#include <string.h>

#include "base/signals.h"
#include "base/strv.h"
#include "ctl/client.h"
#include "ctl/progress.h"

enum phase {
	ASK,    /* GET: which process is it now? Of restart only. */
	ACT,    /* POST */
	FOLLOW, /* GET until it has settled; after a break */
};

struct action {
	const struct ctl *ctl;
	struct progress *progress;
	const char *name; /* NULL: all services */
	char *target;     /* of the POST */
	char *look;       /* of the GET */
	enum phase phase;
	bool once;   /* must not be done twice: signal */
	bool follow; /* a break is followed up: restart */
	bool posted;
	json_int_t pid; /* from before */
	int code;
};

static int prepare(struct exchange *e, bool again)
{
	struct action *a = e->user;

	if (a->phase == ACT && a->posted && a->once)
		return -EPIPE;
	if (a->phase == ACT && a->posted && a->follow)
		a->phase = FOLLOW;
	a->posted |= a->phase == ACT;
	e->request = http_request(a->phase == ACT ? "POST" : "GET",
				  a->phase == ACT ? a->target : a->look, NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

/* One result, or one service: {"name", "result", "state", "reason", "pid"}. */
static int print_result(const struct ctl *ctl, const json_t *result)
{
	const char *name = member_text(result, "name"), *text = member_text(result, "result");
	const char *state = member_text(result, "state"), *reason = member_text(result, "reason");
	json_int_t pid = member_number(result, "pid");
	bool ok = text && strcmp(text, "ok") == 0;

	if (ctl->json || (ok && ctl->quiet))
		return ok ? EXIT_OK : EXIT_FAILED;
	if (!ok) {
		fflush(stdout);
		fputs("fosterctl: ", stderr);
		print_disarmed(stderr, name ? name : "?");
		fprintf(stderr, ": %s",
			text && strcmp(text, "timeout") == 0 ? "not done in time" : "failed");
		for (int i = 0; i < 2; i++) {
			const char *more = i ? reason : state;

			if (more && *more && strcmp(more, "failed") != 0) {
				fputs(i ? ": " : ", it is ", stderr);
				print_disarmed(stderr, more);
			}
		}
		putc('\n', stderr);
		return EXIT_FAILED;
	}
	print_disarmed(stdout, name ? name : "?");
	printf(": %s", state ? state : "done");
	if (pid > 0)
		printf(", pid %" JSON_INTEGER_FORMAT, pid);
	putchar('\n');
	fflush(stdout);
	return EXIT_OK;
}

static int print_results(const struct ctl *ctl, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "services");
	int code = EXIT_OK;
	json_t *result;
	size_t i;

	if (!json_is_array(list))
		return print_result(ctl, answer);
	json_array_foreach(list, i, result) code = worse(code, print_result(ctl, result));
	return code;
}

/* --- after a break --- */

enum settled {
	SETTLED_NOT,
	SETTLED_OK,
	SETTLED_FAILED,
};

static enum settled settled(const json_t *service)
{
	const char *state = member_text(service, "state"),
		   *desired = member_text(service, "desired");

	if (!state)
		return SETTLED_FAILED;
	if (desired && strcmp(desired, "down") == 0 && strcmp(state, "stopping") != 0)
		return SETTLED_OK; /* not of those that are to run */
	if (strcmp(state, "running") == 0)
		return member_true(service, "ready") ? SETTLED_OK : SETTLED_NOT;
	if (strcmp(state, "starting") == 0 || strcmp(state, "stopping") == 0 ||
	    strcmp(state, "waiting") == 0)
		return SETTLED_NOT;
	return SETTLED_FAILED;
}

/* What the service is now, as the result of the action. */
static int print_followed(const struct ctl *ctl, json_t *service, enum settled how)
{
	json_object_set_new(service, "result", json_string(how == SETTLED_OK ? "ok" : "failed"));
	if (ctl->json) {
		json_dumpf(service, stdout, JSON_COMPACT);
		putchar('\n');
	}
	return print_result(ctl, service);
}

static enum exchange_next followed_one(struct action *a, json_t *service)
{
	enum settled how = settled(service);

	if (how == SETTLED_NOT)
		return EXCHANGE_LATER;
	if (how == SETTLED_OK && a->pid > 0 && member_number(service, "pid") == a->pid) {
		/* The manager ended before it did anything: the same process as before. */
		a->phase = ACT;
		a->posted = false;
		return EXCHANGE_LATER;
	}
	a->code = print_followed(a->ctl, service, how);
	return EXCHANGE_OVER;
}

static enum exchange_next followed_all(struct action *a, const json_t *list)
{
	json_t *service;
	size_t i;

	json_array_foreach(list, i, service)
	{
		if (settled(service) == SETTLED_NOT)
			return EXCHANGE_LATER;
	}
	json_array_foreach(list, i, service)
	{
		const char *desired = member_text(service, "desired");

		if (desired && strcmp(desired, "up") == 0)
			a->code = worse(a->code, print_followed(a->ctl, service, settled(service)));
	}
	return EXCHANGE_OVER;
}

/* --- the exchange --- */

static enum exchange_next done(struct exchange *e)
{
	struct action *a = e->user;
	_cleanup_json_ json_t *json = e->error == 0 ? json_loads(e->body, 0, NULL) : NULL;
	int code;

	progress_hide(a->progress);
	code = client_check(a->ctl, a->name, e->error, e->status, json);
	if (code != EXIT_OK) {
		a->code = code;
		return EXCHANGE_OVER;
	}
	switch (a->phase) {
	case ASK:
		a->pid = member_number(json, "pid");
		a->phase = ACT;
		return EXCHANGE_AT_ONCE;
	case FOLLOW:
		return a->name ? followed_one(a, json)
			       : followed_all(a, json_object_get(json, "services"));
	case ACT: break;
	}
	if (a->ctl->json)
		puts(e->body);
	a->code = print_results(a->ctl, json);
	return EXCHANGE_OVER;
}

/* rest: "/start?wait=0". */
static int init_action(struct action *a, const struct ctl *ctl, const char *name, const char *rest)
{
	*a = (struct action){ .ctl = ctl, .name = name, .phase = ACT };
	if (name) {
		a->target = client_target(name, rest);
		a->look = client_target(name, "");
	} else {
		if (asprintf(&a->target, "/v1%s", rest) < 0)
			a->target = NULL;
		a->look = strdup("/v1/services");
	}
	return a->target && a->look ? 0 : -ENOMEM;
}

struct actions {
	struct action *list;
	struct exchange *exchanges; /* the first one tells of the progress */
	size_t n;
	struct progress progress;
};

static void actions_clear(struct actions *actions)
{
	if (actions->exchanges)
		progress_clear(&actions->progress, &actions->exchanges[0]);
	for (size_t i = 0; i < actions->n; i++) {
		exchange_clear(&actions->exchanges[i + 1]);
		free(actions->list[i].target);
		free(actions->list[i].look);
	}
	free(actions->list);
	free(actions->exchanges);
}

/* names NULL: all services at once. */
static int run_actions(const struct ctl *ctl, char **names, const char *rest, bool once,
		       bool follow)
{
	static const struct exchange_ops ops = { .prepare = prepare, .done = done };
	size_t n = names ? strv_length(names) : 1;
	_cleanup_(actions_clear) struct actions actions = {
		.list = calloc(n + 1, sizeof(struct action)),
		.exchanges = calloc(n + 1, sizeof(struct exchange)),
	};
	int code = EXIT_OK;

	if (!actions.list || !actions.exchanges)
		return out_of_memory();
	progress_init(&actions.progress, ctl, "/v1/why", names, &actions.exchanges[0]);
	for (size_t i = 0; i < n; i++) {
		struct action *a = &actions.list[i];

		actions.n++;
		if (init_action(a, ctl, names ? names[i] : NULL, rest) < 0)
			return out_of_memory();
		a->progress = &actions.progress;
		a->once = once;
		a->follow = follow;
		if (follow && a->name)
			a->phase = ASK;
		actions.exchanges[i + 1] = (struct exchange){ .ops = &ops, .user = a };
	}
	exchange_run(ctl->socket_path, actions.exchanges, n + 1, 0);
	progress_hide(&actions.progress);
	for (size_t i = 0; i < n; i++)
		code = worse(code, actions.list[i].code);
	return code;
}

static int act(const struct ctl *ctl, const char *rest, char **args, size_t n, bool follow)
{
	_cleanup_free_ char *target = NULL;
	_cleanup_strv_ char **names = NULL;
	int code = n > 0 ? client_expand(ctl, args, n, &names) : EXIT_OK;

	if (code != EXIT_OK)
		return code;
	if (asprintf(&target, "%s%s", rest, ctl->no_wait ? "?wait=0" : "") < 0) {
		target = NULL;
		return out_of_memory();
	}
	return run_actions(ctl, names, target, false, follow && !ctl->no_wait);
}

int verb_start(const struct ctl *ctl, char **args, size_t n)
{
	return act(ctl, "/start", args, n, false);
}

int verb_stop(const struct ctl *ctl, char **args, size_t n)
{
	return act(ctl, "/stop", args, n, false);
}

int verb_restart(const struct ctl *ctl, char **args, size_t n)
{
	return act(ctl, "/restart", args, n, true);
}

int verb_signal(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *signal = NULL, *rest = NULL;
	int signo = signal_from_string(args[0]), code;

	if (signo < 0) {
		complain("%s is no signal; signals are HUP, SIGTERM, RTMIN+1, 15", args[0]);
		return EXIT_USAGE;
	}
	code = client_expand(ctl, args + 1, n - 1, &names);
	if (code != EXIT_OK)
		return code;
	signal = http_escape(signal_to_string(signo));
	if (!signal ||
	    asprintf(&rest, "/signal?signal=%s%s", signal, ctl->whole ? "&whole=1" : "") < 0) {
		rest = NULL;
		return out_of_memory();
	}
	return run_actions(ctl, names, rest, true, false);
}
