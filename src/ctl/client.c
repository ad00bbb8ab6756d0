/* SPDX-License-Identifier: MIT */
/* Single requests: see client.h. */
#include "ctl/client.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/strv.h"

struct call {
	const char *method, *target, *body;
	bool once; /* never a second time */
	bool made;
	bool raw; /* leave a good reply unparsed */
	bool ends_with_fosterd;
};

static int prepare_call(struct exchange *e, bool again)
{
	struct call *call = e->user;

	if (call->once && call->made)
		return -EPIPE; /* it may have been done: who asks must decide */
	call->made = true;
	e->request = http_request(call->method, call->target, call->body, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static enum exchange_next call_done(struct exchange *e)
{
	return EXCHANGE_OVER;
}

void answer_clear(struct answer *a)
{
	json_decref(a->json);
	free(a->body);
	*a = (struct answer){ 0 };
}

static void make_call(const struct ctl *ctl, struct call *call, uint64_t timeout,
		      struct answer *ret)
{
	const struct exchange_ops ops = { .prepare = prepare_call,
					  .done = call_done,
					  .ends_with_fosterd = call->ends_with_fosterd };
	struct exchange e = { .ops = &ops, .user = call };

	exchange_run(ctl->socket_path, &e, 1,
		     timeout == USEC_INFINITY ? 0 : now_monotonic() + timeout);
	*ret = (struct answer){ .status = e.status, .error = e.error, .body = TAKE_PTR(e.body) };
	if (ret->error == 0 && !(call->raw && ret->status == 200))
		ret->json = json_loads(ret->body, 0, NULL);
	exchange_clear(&e);
}

void client_call(const struct ctl *ctl, const char *method, const char *target, const char *body,
		 uint64_t timeout, struct answer *ret)
{
	struct call call = { method, target, body };

	make_call(ctl, &call, timeout, ret);
}

void client_call_once(const struct ctl *ctl, const char *target, const char *body,
		      struct answer *ret)
{
	struct call call = { "POST", target, body, .once = true };

	make_call(ctl, &call, ANSWER_MAX, ret);
}

void client_call_running(const struct ctl *ctl, const char *target, uint64_t timeout,
			 struct answer *ret)
{
	struct call call = { "GET", target, NULL, .ends_with_fosterd = true };

	make_call(ctl, &call, timeout, ret);
}

static int check_error(const struct ctl *ctl, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
		complain("fosterd is not running (no socket %s); start fosterd, or name the "
			 "directory of a running one with --run-directory",
			 ctl->socket_path);
		break;
	case -EACCES:
	case -EPERM:
		complain("you may not speak to fosterd at %s: root, fosterd's own user and the "
			 "control groups may",
			 ctl->socket_path);
		break;
	case -EPIPE:
		complain("the connection to foster-manager broke, and it did not come back");
		break;
	case -ETIMEDOUT: complain("foster-manager does not answer"); break;
	case -EBADMSG: complain("%s does not speak HTTP", ctl->socket_path); break;
	default: complain("%s: %s", ctl->socket_path, strerror(-error)); break;
	}
	return EXIT_FAILED;
}

int client_check(const struct ctl *ctl, const char *subject, int error, int status,
		 const json_t *reply)
{
	const char *text = member_text(reply, "error"), *hint = member_text(reply, "hint");

	if (error < 0)
		return check_error(ctl, error);
	if (status == 200 && reply)
		return EXIT_OK;
	if (status == 200)
		complain("%s%sfoster-manager's answer is not JSON", subject ? subject : "",
			 subject ? ": " : "");
	else if (text && status == 404) /* it names the service itself */
		complain("%s%s%s", text, hint ? "; " : "", hint ? hint : "");
	else if (text)
		complain("%s%s%s%s%s", subject ? subject : "", subject ? ": " : "", text,
			 hint ? "; " : "", hint ? hint : "");
	else
		complain("%s%sfoster-manager answers with status %d", subject ? subject : "",
			 subject ? ": " : "", status);
	return status == 404 && subject ? EXIT_NO_SERVICE : EXIT_FAILED;
}

int client_get(const struct ctl *ctl, const char *target, struct answer *ret)
{
	client_call(ctl, "GET", target, NULL, ANSWER_MAX, ret);
	return client_check(ctl, NULL, ret->error, ret->status, ret->json);
}

int client_fetch(const struct ctl *ctl, const char *target, struct answer *ret)
{
	struct call call = { "GET", target, NULL, .raw = true };

	make_call(ctl, &call, ANSWER_MAX, ret);
	if (ret->error == 0 && ret->status == 200)
		return EXIT_OK;
	return client_check(ctl, NULL, ret->error, ret->status, ret->json);
}

char *client_target(const char *name, const char *rest)
{
	_cleanup_free_ char *escaped = http_escape(name);
	char *target;

	if (!escaped || asprintf(&target, "/v1/services/%s%s", escaped, rest) < 0)
		return NULL;
	return target;
}

static int expand_pattern(const json_t *services, const char *pattern, char ***names)
{
	size_t found = 0, i;
	json_t *service;

	json_array_foreach(services, i, service)
	{
		const char *name = member_text(service, "name");

		if (!name || fnmatch(pattern, name, 0) != 0)
			continue;
		found++;
		if (!strv_contains(*names, name) && strv_push(names, name) < 0)
			return out_of_memory();
	}
	if (found > 0)
		return EXIT_OK;
	complain("no service matches %s", pattern);
	return EXIT_NO_SERVICE;
}

int client_expand_from(const json_t *services, char **words, size_t n, char ***ret_names)
{
	_cleanup_strv_ char **names = NULL;

	for (size_t i = 0; i < n; i++) {
		int r;

		if (!strpbrk(words[i], "*?[")) {
			if (!strv_contains(names, words[i]) && strv_push(&names, words[i]) < 0)
				return out_of_memory();
			continue;
		}
		r = expand_pattern(services, words[i], &names);
		if (r != EXIT_OK)
			return r;
	}
	*ret_names = TAKE_PTR(names);
	return EXIT_OK;
}

int client_expand(const struct ctl *ctl, char **words, size_t n, char ***ret_names)
{
	_cleanup_answer_ struct answer list = { 0 };
	bool patterns = false;
	int r = EXIT_OK;

	for (size_t i = 0; i < n; i++)
		patterns |= strpbrk(words[i], "*?[") != NULL;
	if (patterns)
		r = client_get(ctl, "/v1/services", &list);
	if (r != EXIT_OK)
		return r;
	return client_expand_from(json_object_get(list.json, "services"), words, n, ret_names);
}

int out_of_memory(void)
{
	complain("out of memory");
	return EXIT_FAILED;
}
