/* SPDX-License-Identifier: MIT */
/*
 * fosterctl upgrade: has the installed foster take over from the running one. The first manager of
 * the new fosterd says what became of it: the connection to the old one ends with that.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/client.h"
#include "base/http.h"

#define UPGRADE_MAX (90 * USEC_PER_SEC) /* longer than a manager may take to come up */
#define BROKEN_MAX  (25 * USEC_PER_SEC) /* longer than a rehearsal may take */
#define LOOK_AGAIN  (20 * USEC_PER_MSEC)

/* The upgrades that foster has tried so far, or a negative number after an error was printed. */
static json_int_t ask_state(const struct ctl *ctl, struct answer *ret)
{
	int code;

	client_call_running(ctl, "/v1/upgrade", UPGRADE_MAX, ret);
	code = client_check(ctl, NULL, ret->error, ret->status, ret->json);
	return code == EXIT_OK ? member_number(ret->json, "upgrades") : -1;
}

/* "/v1/upgrade", with the program's absolute path where one is named; the caller's. */
static char *make_target(const char *program)
{
	char path[PATH_MAX];
	_cleanup_free_ char *escaped = NULL;
	char *target;

	if (!program)
		return strdup("/v1/upgrade");
	/* Not resolved: a symbolic link may be meant to lead elsewhere the next time. */
	if (program[0] == '/')
		snprintf(path, sizeof(path), "%s", program);
	else if (!getcwd(path, sizeof(path)) || strlen(path) + strlen(program) + 2 > sizeof(path))
		return NULL;
	else
		sprintf(path + strlen(path), "/%s",
			program + (strncmp(program, "./", 2) == 0 ? 2 : 0));
	escaped = http_escape(path);
	return escaped && asprintf(&target, "/v1/upgrade?program=%s", escaped) > 0 ? target : NULL;
}

static int tell(const struct ctl *ctl, const struct answer *before, const struct answer *after,
		uint64_t took)
{
	const char *outcome = member_text(after->json, "outcome");
	const char *reason = member_text(after->json, "reason");
	const char *old = member_text(before->json, "version");
	const char *new = member_text(after->json, "version");
	bool good = outcome && strcmp(outcome, "taken-over") == 0;

	if (ctl->json)
		puts(after->body);
	if (!good)
		complain("no upgrade: %s; foster %s goes on, and no service was touched",
			 reason ? reason : "the new fosterd did not take over", old ? old : "?");
	else if (!ctl->quiet && !ctl->json)
		printf("foster %s has taken over from %s in %llu ms; no service was touched\n",
		       new ? new : "?", old ? old : "?",
		       (unsigned long long)(took / USEC_PER_MSEC));
	return good ? EXIT_OK : EXIT_FAILED;
}

/* Waits for the next manager, and whether there was one upgrade more; an exit code. */
static int await_next(const struct ctl *ctl, const struct answer *before, uint64_t deadline,
		      struct answer *ret)
{
	json_int_t count = member_number(before->json, "upgrades"), now;

	for (;;) {
		answer_clear(ret);
		now = ask_state(ctl, ret);
		if (now < 0 || now > count)
			return now < 0 ? EXIT_FAILED : EXIT_OK;
		if (now_monotonic() > deadline ||
		    member_number(ret->json, "manager_pid") !=
			    member_number(before->json, "manager_pid")) {
			complain("no upgrade: fosterd or its manager was replaced in the middle of "
				 "it; ask again");
			return EXIT_FAILED;
		}
		usleep(LOOK_AGAIN);
	}
}

int verb_upgrade(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_free_ char *target = make_target(n > 0 ? args[0] : NULL);
	struct answer before = { 0 }, done = { 0 }, after = { 0 };
	uint64_t begin = now_monotonic();
	bool broken;
	int code;

	if (!target)
		return out_of_memory();
	if (ask_state(ctl, &before) < 0)
		return answer_clear(&before), EXIT_FAILED;
	client_call_once(ctl, target, NULL, &done);
	broken = done.error == -EPIPE; /* the state tells */
	code = broken ? EXIT_OK : client_check(ctl, NULL, done.error, done.status, done.json);
	if (code == EXIT_OK)
		code = await_next(ctl, &before, begin + (broken ? BROKEN_MAX : UPGRADE_MAX),
				  &after);
	if (code == EXIT_OK)
		code = tell(ctl, &before, &after, now_monotonic() - begin);
	answer_clear(&before);
	answer_clear(&done);
	answer_clear(&after);
	return code;
}
