/* SPDX-License-Identifier: MIT */
/* fosterctl why: why services are as they are, and what a shutdown waits for. */
#include <pwd.h>
#include <string.h>

#include "base/strv.h"
#include "ctl/client.h"
#include "ctl/why-text.h"

static const char *name_of_user(uint32_t uid)
{
	struct passwd *entry = getpwuid(uid);

	return entry ? entry->pw_name : NULL;
}

static struct why_text on_stdout(const struct ctl *ctl)
{
	return (struct why_text){ stdout, ctl->colours, name_of_user };
}

static int why_one(const struct ctl *ctl, const char *name, bool first)
{
	_cleanup_free_ char *target = client_target(name, "/why");
	_cleanup_answer_ struct answer answer = { 0 };
	struct why_text w = on_stdout(ctl);
	int code;

	if (!target)
		return out_of_memory();
	client_call(ctl, "GET", target, NULL, ANSWER_MAX, &answer);
	code = client_check(ctl, name, answer.error, answer.status, answer.json);
	if (code != EXIT_OK || ctl->quiet)
		return code;
	if (ctl->json) {
		puts(answer.body);
		return EXIT_OK;
	}
	if (!first)
		putchar('\n');
	why_print(&w, answer.json);
	return EXIT_OK;
}

static int why_named(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_strv_ char **names = NULL;
	int code = client_expand(ctl, args, n, &names);

	STRV_FOREACH(name, names)
		code = worse(code, why_one(ctl, *name, name == names));
	return code;
}

/* All that are not as wanted; none is good news, and said in a line. */
static int why_all(const struct ctl *ctl)
{
	_cleanup_answer_ struct answer answer = { 0 };
	struct why_text w = on_stdout(ctl);
	int code = client_get(ctl, "/v1/why", &answer);
	const json_t *list = json_object_get(answer.json, "services");
	json_t *service;
	size_t i;

	if (code != EXIT_OK)
		return code;
	code = json_array_size(list) > 0 ? EXIT_NOT_RUNNING : EXIT_OK;
	if (ctl->json)
		puts(answer.body);
	if (ctl->json || ctl->quiet)
		return code;
	if (code == EXIT_OK)
		printf("All is as wanted: %" JSON_INTEGER_FORMAT " service%s.\n",
		       member_number(answer.json, "total"),
		       member_number(answer.json, "total") == 1 ? "" : "s");
	json_array_foreach(list, i, service) why_print_short(&w, service);
	return code;
}

static int why_blocking(const struct ctl *ctl)
{
	static const char *const targets[2][2] = {
		{ "/v1/blocking", "/v1/blocking?join=1" },
		{ "/v1/blocking?all=1", "/v1/blocking?all=1&join=1" },
	};
	_cleanup_answer_ struct answer answer = { 0 };
	struct why_text w = on_stdout(ctl);
	int code = client_get(ctl, targets[ctl->all][ctl->join], &answer);

	if (code != EXIT_OK || ctl->quiet)
		return code;
	if (ctl->json)
		puts(answer.body);
	else
		why_print_blocking(&w, answer.json);
	return EXIT_OK;
}

int verb_why(const struct ctl *ctl, char **args, size_t n)
{
	if (ctl->blocking && n > 0) {
		complain("--blocking is about the whole: it takes no name");
		return EXIT_USAGE;
	}
	if (!ctl->blocking && (ctl->all || ctl->join)) {
		complain("--%s belongs to --blocking", ctl->all ? "all" : "join");
		return EXIT_USAGE;
	}
	if (ctl->blocking)
		return why_blocking(ctl);
	return n > 0 ? why_named(ctl, args, n) : why_all(ctl);
}
