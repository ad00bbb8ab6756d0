/* SPDX-License-Identifier: MIT */
/* fosterctl shutdown and version: what is about fosterd as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "ctl/client.h"
#include "ctl/lines.h"
#include "ctl/progress.h"

/* --- shutdown --- */

#define LEAVES (10 * USEC_PER_SEC) /* fosterd, after its manager has said goodbye; at most */

struct shutdown {
	const struct ctl *ctl;
	struct progress progress;
	struct json_lines lines;
	bool finished; /* the manager said so */
	bool asked;
	int code;
};

static int prepare(struct exchange *e, bool again)
{
	struct shutdown *s = e->user;
	static const char *const targets[2][2] = {
		{ "/v1/shutdown", "/v1/shutdown?join=1" },
		{ "/v1/shutdown?all=1", "/v1/shutdown?all=1&join=1" },
	};

	json_lines_clear(&s->lines);
	s->asked |= again;
	e->request =
		http_request("POST", targets[s->ctl->all][s->ctl->join], NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static int take_line(void *ctx, const char *line, const json_t *json)
{
	struct shutdown *s = ctx;
	const char *result = member_text(json, "result"), *error = member_text(json, "error");

	if (result)
		s->finished = true;
	if (result || error || s->ctl->json)
		progress_hide(&s->progress);
	if (error || (result && strcmp(result, "ok") != 0)) {
		complain("%s", error ? error : result);
		s->code = EXIT_FAILED;
	}
	/* Its texts are for those who do not look at /v1/blocking, as our progress does. */
	if (s->ctl->json)
		puts(line);
	fflush(stdout);
	return 0;
}

static int take_data(void *ctx, const char *data, size_t size)
{
	struct exchange *e = ctx;
	struct shutdown *s = e->user;

	return json_lines_feed(&s->lines, data, size, take_line, s);
}

static enum exchange_next done(struct exchange *e)
{
	struct shutdown *s = e->user;
	bool gone = e->error == -ENOENT || e->error == -ECONNREFUSED;
	_cleanup_json_ json_t *json = NULL;

	if (s->finished || (gone && s->asked))
		return EXCHANGE_OVER;
	if (e->error == 0 && e->status == 200)
		return EXCHANGE_LATER; /* cut off between two managers: ask the next one */
	json = e->error == 0 ? json_loads(e->body, 0, NULL) : NULL;
	progress_hide(&s->progress);
	s->code = client_check(s->ctl, NULL, e->error, e->status, json);
	return EXCHANGE_OVER;
}

/* The run directory, which fosterd has locked while it lives; -1: there is none. */
static int open_run_directory(const char *socket_path)
{
	const char *slash = strrchr(socket_path, '/');
	_cleanup_free_ char *path = slash ? strndup(socket_path, slash + 1 - socket_path) : NULL;

	return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Whose the lock is; "": nobody knows. */
static void read_owner(int directory, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(directory, "lock", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
}

/*
 * The manager's last word comes a moment before fosterd leaves, and until then the next one would
 * be refused. One that is there already has the lock, too.
 */
static void await_end(int directory, const char *owner)
{
	uint64_t deadline = now_monotonic() + LEAVES;
	char next[16];

	while (flock(directory, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       now_monotonic() < deadline) {
		read_owner(directory, next, sizeof(next));
		if (*next && strcmp(next, owner) != 0)
			return;
		poll(NULL, 0, 1);
	}
}

int verb_shutdown(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_close_ int directory = open_run_directory(ctl->socket_path);
	char owner[16] = "";

	static const struct exchange_ops ops = {
		.prepare = prepare, .data = take_data, .done = done, .ends_with_fosterd = true
	};
	struct shutdown s = { .ctl = ctl };
	struct exchange list[2] = { { .ops = &ops, .user = &s } };

	if (directory >= 0)
		read_owner(directory, owner, sizeof(owner));
	progress_init(&s.progress, ctl, "/v1/blocking", NULL, &list[1]);
	exchange_run(ctl->socket_path, list, ELEMENTSOF(list), 0);
	progress_clear(&s.progress, &list[1]);
	exchange_clear(&list[0]);
	if (directory >= 0 && s.code == EXIT_OK)
		await_end(directory, owner);
	json_lines_clear(&s.lines);
	return s.code;
}

/* --- version --- */

int verb_version(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };
	const char *version;
	int code = client_get(ctl, "/v1/version", &answer);

	if (ctl->json) {
		if (code == EXIT_OK)
			puts(answer.body);
		return code;
	}
	printf("fosterctl %s\n", PACKAGE_VERSION);
	if (code != EXIT_OK)
		return code;
	version = member_text(answer.json, "version");
	printf("foster-manager %s, pid %" JSON_INTEGER_FORMAT "\n", version ? version : "?",
	       member_number(answer.json, "manager_pid"));
	printf("fosterd pid %" JSON_INTEGER_FORMAT "\n", member_number(answer.json, "pid"));
	return EXIT_OK;
}
