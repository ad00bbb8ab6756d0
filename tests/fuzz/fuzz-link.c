/* SPDX-License-Identifier: MIT */
/*
 * What supervisor and manager read of one another, decoded from any bytes: packets, the SPAWN
 * message (base/link.h) and a manager's note. The first byte chooses. What is taken must lie within
 * the input and come out the same when it is encoded and decoded again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/link.h"
#include "base/macro.h"
#include "manager/history.h"
#include "manager/machine.h"
#include "manager/note.h"
#include "sweep.h"

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static char *pointers[LINK_ARGS_MAX + 2], *pointers_again[LINK_ARGS_MAX + 2];
static char encoded[LINK_MESSAGE_MAX] __attribute__((aligned(8)));

static void check_inside(const void *part, size_t part_size, const char *data, size_t size)
{
	const char *p = part;

	MUST(p >= data && p <= data + size && part_size <= (size_t)(data + size - p));
}

static void check_strings(char **v, const char *data, size_t size)
{
	for (; *v; v++)
		check_inside(*v, strlen(*v) + 1, data, size);
}

static void check_parts(const struct spawn_request *r, const char *data, size_t size)
{
	MUST(r->slot < LINK_SLOTS && r->n_limits <= LINK_LIMITS_MAX);
	MUST(r->n_groups <= LINK_GROUPS_MAX && r->n_fds <= LINK_FDS_MAX);
	MUST(r->note_size <= LINK_NOTE_MAX && strlen(r->name) < LINK_NAME_MAX && r->argv[0]);
	check_inside(r->limits, r->n_limits * sizeof(*r->limits), data, size);
	check_inside(r->groups, r->n_groups * sizeof(*r->groups), data, size);
	check_inside(r->fds, r->n_fds * sizeof(*r->fds), data, size);
	check_inside(r->note, r->note_size, data, size);
	check_inside(r->name, strlen(r->name) + 1, data, size);
	check_inside(r->directory, strlen(r->directory) + 1, data, size);
	check_inside(r->search, strlen(r->search) + 1, data, size);
	check_inside(r->cgroup, strlen(r->cgroup) + 1, data, size);
	check_strings(r->argv, data, size);
	check_strings(r->envp, data, size);
}

static void check_same(const struct spawn_request *a, const struct spawn_request *b)
{
	MUST(a->slot == b->slot && a->daemon == b->daemon && a->change_user == b->change_user);
	MUST(a->has_umask == b->has_umask && a->has_nice == b->has_nice && a->nice == b->nice);
	MUST(a->uid == b->uid && a->gid == b->gid && a->death_signal == b->death_signal);
	MUST(strcmp(a->name, b->name) == 0 && strcmp(a->search, b->search) == 0);
	MUST(strcmp(a->cgroup, b->cgroup) == 0 && a->cgroup_place == b->cgroup_place &&
	     a->program_place == b->program_place);
	MUST(strcmp(a->directory, b->directory) == 0 && a->note_size == b->note_size);
	MUST(memcmp(a->note, b->note, a->note_size) == 0);
	for (size_t i = 0; a->argv[i] || b->argv[i]; i++)
		MUST(a->argv[i] && b->argv[i] && strcmp(a->argv[i], b->argv[i]) == 0);
	for (size_t i = 0; a->envp[i] || b->envp[i]; i++)
		MUST(a->envp[i] && b->envp[i] && strcmp(a->envp[i], b->envp[i]) == 0);
}

static void decode_spawn(const uint8_t *data, size_t size)
{
	/* The link's buffers are aligned; malloc's are, and have the input's size. */
	_cleanup_free_ char *copy = malloc(size ? size : 1);
	struct spawn_request r, again;
	ssize_t n;

	MUST(copy);
	if (size > 0)
		memcpy(copy, data, size);
	if (link_decode_spawn(copy, size, &r, pointers, ELEMENTSOF(pointers)) < 0)
		return;
	check_parts(&r, copy, size);
	n = link_encode_spawn(&r, encoded, sizeof(encoded));
	MUST(n > 0 ? (size_t)n <= size : size > sizeof(encoded));
	if (n < 0)
		return;
	MUST(link_decode_spawn(encoded, n, &again, pointers_again, ELEMENTSOF(pointers_again)) ==
	     0);
	check_same(&r, &again);
}

/* Each message lies within the packet, and behind the one before it. */
static void walk_packet(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = malloc(size ? size : 1);
	const struct link_header *header;
	size_t offset = 0, before = 0;

	MUST(copy);
	if (size > 0)
		memcpy(copy, data, size);
	while ((header = link_next(copy, size, &offset))) {
		check_inside(header, header->size, copy, size);
		MUST((const char *)header == copy + before && offset == before + header->size);
		before = offset;
	}
	MUST(offset == before && offset <= size);
}

static void decode_note(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *status = NULL, *pending = NULL, *status_again = NULL,
			    *pending_again = NULL;
	struct machine m, again;
	_cleanup_free_ struct history *history = NULL, *history_again = NULL;
	uint8_t note[LINK_NOTE_MAX];
	size_t n;

	if (note_decode(data, size, &m, &status, &pending) < 0)
		return;
	history = m.history;
	MUST(service_state_to_string(m.state) && reason_to_string(m.reason));
	MUST(machine_exit_code(&m) >= -1);
	n = note_encode(&m, status, pending, note);
	MUST(n == size && note_decode(note, n, &again, &status_again, &pending_again) == 0);
	history_again = again.history;
	MUST(!history == !history_again);
	/* What the texts left no room for are the oldest ends. */
	MUST(!history || history_again->n_ends <= history->n_ends);
	MUST(!history || history->wish.by.pid == history_again->wish.by.pid);
	MUST(m.state == again.state && m.reason == again.reason && m.since == again.since);
	MUST(m.desired_up == again.desired_up && m.restart_wanted == again.restart_wanted);
	MUST(m.attempts == again.attempts && m.deadline == again.deadline);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		decode_note(data + 1, size - 1);
	else if (data[0] & 2)
		walk_packet(data + 1, size - 1);
	else
		decode_spawn(data + 1, size - 1);
	return 0;
}

#ifndef FUZZING
static void sweep_spawn(const char *name)
{
	static char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"true", NULL };
	static char *envp[] = { (char *)"A=1", NULL };
	static const uint32_t numbers[] = { 1, 2, 3 };
	static const struct spawn_limit limits[] = { { 7, 0, 10, 20 } };
	static const uint8_t note[] = { 1, 2, 3, 4, 5 };
	struct spawn_request r = {
		.slot = 3,
		.daemon = true,
		.death_signal = 9,
		.groups = numbers,
		.n_groups = 3,
		.limits = limits,
		.n_limits = 1,
		.fds = numbers,
		.n_fds = 2,
		.name = name,
		.directory = "/srv",
		.search = "/bin",
		.cgroup = "web.service",
		.argv = argv,
		.envp = envp,
		.note = note,
		.note_size = sizeof(note),
	};
	_cleanup_free_ uint8_t *seed = calloc(1, 1 + sizeof(encoded));
	ssize_t n = link_encode_spawn(&r, encoded, sizeof(encoded));

	MUST(seed && n > 0);
	memcpy(seed + 1, encoded, n);
	sweep(seed, 1 + n, 100000);
}

static void sweep_packet(void)
{
	uint8_t seed[1 + 64] = { 2 };

	for (uint32_t at = 0, size = 8; at < 64; at += size, size = 24)
		memcpy(seed + 1 + at, &(struct link_header){ LINK_RUNNING, size }, 8);
	sweep(seed, sizeof(seed), 100000);
}

static void sweep_note(void)
{
	uint8_t seed[1 + LINK_NOTE_MAX] = { 1 };
	struct history h = { .wish = { .verb = EVENT_STOP,
				       .reason = REASON_COMMAND,
				       .when = 7,
				       .by = { 1000, 4711, "fosterctl", "db" } },
			     .ends = { { .when = 3000000,
					 .up = 5,
					 .status = 256,
					 .cause = REASON_ENDED,
					 .followed = STATE_BACKOFF } },
			     .n_ends = 1 };
	struct machine m;
	size_t n;

	machine_init(&m, 12345);
	m.state = STATE_BACKOFF;
	m.attempts = 3;
	m.history = &h;
	n = note_encode(&m, "3 users", "command", seed + 1);
	sweep(seed, 1 + n, 100000);
}

int main(void)
{
	char longest[LINK_NAME_MAX];

	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	sweep_spawn("web");
	sweep_spawn(longest);
	sweep_packet();
	sweep_note();
	return 0;
}
#endif
