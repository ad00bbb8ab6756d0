/* SPDX-License-Identifier: MIT */
/* fosterctl join, is-alive, pid. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/strv.h"
#include "base/units.h"
#include "ctl/client.h"

/* --- join --- */

struct join {
	const struct ctl *ctl;
	const char *name;
	uint64_t deadline; /* CLOCK_MONOTONIC; 0: none */
	int code;
};

static int prepare_join(struct exchange *e, bool again)
{
	struct join *j = e->user;
	_cleanup_free_ char *target = NULL, *rest = NULL;
	uint64_t now = now_monotonic(), left = j->deadline > now ? j->deadline - now : 0;

	if (!j->deadline)
		rest = strdup("/join");
	else if (asprintf(&rest, "/join?timeout_us=%" PRIu64, left) < 0)
		rest = NULL;
	target = rest ? client_target(j->name, rest) : NULL;
	if (target)
		e->request = http_request("GET", target, NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static int join_code(const json_t *answer)
{
	const char *result = member_text(answer, "result");
	json_int_t code = member_number(answer, "exit_code");

	if (result && strcmp(result, "timeout") == 0)
		return EXIT_TIMED_OUT;
	if (code >= 0)
		return (int)MIN(code, (json_int_t)255);
	return result && strcmp(result, "ended") == 0 ? EXIT_FAILED : EXIT_NOT_RUNNING;
}

static void print_join(const struct join *j, const json_t *answer)
{
	const char *exit = member_text(answer, "exit");

	if (j->code == EXIT_TIMED_OUT) {
		complain("%s: still running", j->name);
	} else if (!j->ctl->quiet) {
		printf("%s: ", j->name);
		print_disarmed(stdout, exit ? exit : "not running");
		putchar('\n');
		fflush(stdout);
	}
}

static enum exchange_next join_done(struct exchange *e)
{
	struct join *j = e->user;
	_cleanup_json_ json_t *json = e->error == 0 ? json_loads(e->body, 0, NULL) : NULL;

	j->code = client_check(j->ctl, j->name, e->error, e->status, json);
	if (j->code != EXIT_OK)
		return EXCHANGE_OVER;
	j->code = join_code(json);
	if (j->ctl->json)
		puts(e->body);
	else
		print_join(j, json);
	return EXCHANGE_OVER;
}

int verb_join(const struct ctl *ctl, char **args, size_t n_args)
{
	static const struct exchange_ops ops = { .prepare = prepare_join, .done = join_done };
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ struct join *joins = NULL;
	_cleanup_free_ struct exchange *exchanges = NULL;
	uint64_t deadline = ctl->timeout == USEC_INFINITY ? 0 : now_monotonic() + ctl->timeout;
	int code = client_expand(ctl, args, n_args, &names);
	size_t n = strv_length(names);

	if (code != EXIT_OK)
		return code;
	joins = calloc(n, sizeof(*joins));
	exchanges = calloc(n, sizeof(*exchanges));
	if (!joins || !exchanges)
		return out_of_memory();
	for (size_t i = 0; i < n; i++) {
		joins[i] = (struct join){ ctl, names[i], deadline, EXIT_OK };
		exchanges[i] = (struct exchange){ .ops = &ops, .user = &joins[i] };
	}
	exchange_run(ctl->socket_path, exchanges, n, 0);
	for (size_t i = n; i-- > 0;) {
		exchange_clear(&exchanges[i]);
		if (joins[i].code != EXIT_OK)
			code = joins[i].code; /* in the end that of the first name */
	}
	return code;
}

/* --- is-alive, pid --- */

/* The service, when there is a reply; EXIT_OK, or the code after a message. */
static int get_service(const struct ctl *ctl, const char *name, struct answer *ret)
{
	_cleanup_free_ char *target = client_target(name, "");

	if (!target)
		return out_of_memory();
	client_call(ctl, "GET", target, NULL, ANSWER_MAX, ret);
	return client_check(ctl, name, ret->error, ret->status, ret->json);
}

int verb_is_alive(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };
	int code = get_service(ctl, args[0], &answer);
	bool alive;

	if (code != EXIT_OK)
		return code;
	alive = member_number(answer.json, "pid") > 0;
	if (ctl->json)
		puts(answer.body);
	else if (!ctl->quiet)
		puts(alive ? "alive" : "dead");
	return alive ? EXIT_OK : EXIT_NOT_RUNNING;
}

int verb_pid(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };
	int code = get_service(ctl, args[0], &answer);
	json_int_t pid;

	if (code != EXIT_OK)
		return code;
	pid = member_number(answer.json, "pid");
	if (pid <= 0) {
		complain("%s: not running", args[0]);
		return EXIT_NOT_RUNNING;
	}
	if (ctl->json)
		puts(answer.body);
	else
		printf("%" JSON_INTEGER_FORMAT "\n", pid);
	return EXIT_OK;
}
