/* SPDX-License-Identifier: MIT */
/*
 * Packets, and the one message of the link that is not a plain struct: SPAWN. A fixed head, then
 * the arrays (widest element first, so that all are aligned), then the strings, each with its
 * NUL, then what makes the size a multiple of 8.
 * Used by fosterd: libc only, and nothing here allocates.
 */
#include "base/link.h"

#include <assert.h>
#include <string.h>

#include "base/enum-table.h"
#include "base/macro.h"

static const char *const spawn_step_names[] = {
	[STEP_NONE] = "none",        [STEP_FORK] = "fork",          [STEP_SESSION] = "setsid",
	[STEP_DESCRIPTORS] = "dup2", [STEP_LIMITS] = "setrlimit",   [STEP_NICE] = "setpriority",
	[STEP_GROUPS] = "setgroups", [STEP_GROUP] = "setgid",       [STEP_USER] = "setuid",
	[STEP_DIRECTORY] = "chdir",  [STEP_DEATH_SIGNAL] = "prctl", [STEP_PARENT] = "getppid",
	[STEP_EXEC] = "execve",
};
ENUM_TABLE(spawn_step, enum spawn_step, spawn_step_names)

static_assert(sizeof(struct link_hello) % 8 == 0 && sizeof(struct link_slot) % 8 == 0 &&
		      sizeof(struct link_child) % 8 == 0 && LINK_NEWS_SIZE % 8 == 0 &&
		      sizeof(struct link_note) % 8 == 0 && sizeof(struct link_signal) % 8 == 0 &&
		      sizeof(struct link_place) % 8 == 0 && sizeof(struct link_orphans) % 8 == 0 &&
		      sizeof(struct link_got) % 8 == 0 && sizeof(struct link_exit) % 8 == 0 &&
		      sizeof(struct link_main) % 8 == 0,
	      "messages stand behind one another, each aligned");

/* Mixed (as splitmix64 does), so that a program that sets a great limit of its own hits none. */
uint64_t link_limit_mark(uint64_t run_id, uint64_t instance)
{
	uint64_t mark = run_id + instance * 0x9e3779b97f4a7c15U;

	mark = (mark ^ mark >> 30) * 0xbf58476d1ce4e5b9U;
	mark = (mark ^ mark >> 27) * 0x94d049bb133111ebU;
	mark ^= mark >> 31;
	return LINK_LIMIT_MARK_MIN | (mark & (LINK_LIMIT_MARK_MIN - 1));
}

const struct link_header *link_next(const void *packet, size_t size, size_t *offset)
{
	const struct link_header *header = (const void *)((const char *)packet + *offset);

	if (size - *offset < sizeof(*header) || header->size < sizeof(*header) ||
	    header->size > size - *offset || header->size % 8 != 0)
		return NULL;
	*offset += header->size;
	return header;
}

#define SPAWN_DAEMON      (1U << 0)
#define SPAWN_CHANGE_USER (1U << 1)
#define SPAWN_UMASK       (1U << 2)
#define SPAWN_NICE        (1U << 3)

struct spawn_head {
	struct link_header header;
	uint32_t slot, flags;
	int32_t death_signal;
	uint32_t uid, gid, umask;
	int32_t nice;
	uint32_t stdio[3], cgroup_place;
	uint32_t n_limits, n_groups, n_fds, n_args, n_env, note_size;
	uint32_t ready_place, ready_fd, program_place;
};
static_assert(sizeof(struct spawn_head) % 8 == 0, "the arrays behind it are aligned");

/* Where the next part goes or comes from. */
struct cursor {
	char *p, *end;
};

static bool put(struct cursor *c, const void *data, size_t size)
{
	if ((size_t)(c->end - c->p) < size)
		return false;
	if (size > 0)
		memcpy(c->p, data, size);
	c->p += size;
	return true;
}

static bool put_string(struct cursor *c, const char *s)
{
	return put(c, s, strlen(s) + 1);
}

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v[n])
		n++;
	return n;
}

ssize_t link_encode_spawn(const struct spawn_request *r, void *buf, size_t size)
{
	struct cursor c = { buf, (char *)buf + size };
	struct spawn_head head = {
		.header.type = LINK_SPAWN,
		.slot = r->slot,
		.flags = (r->daemon ? SPAWN_DAEMON : 0) | (r->change_user ? SPAWN_CHANGE_USER : 0) |
			 (r->has_umask ? SPAWN_UMASK : 0) | (r->has_nice ? SPAWN_NICE : 0),
		.death_signal = r->death_signal,
		.uid = r->uid,
		.gid = r->gid,
		.umask = r->umask,
		.nice = r->nice,
		.cgroup_place = r->cgroup_place,
		.n_limits = r->n_limits,
		.n_groups = r->n_groups,
		.n_fds = r->n_fds,
		.n_args = count(r->argv),
		.n_env = count(r->envp),
		.note_size = r->note_size,
		.ready_place = r->ready_place,
		.program_place = r->program_place,
		.ready_fd = r->ready_fd,
	};
	bool fits;

	if (head.n_args + head.n_env > LINK_ARGS_MAX)
		return -E2BIG;
	memcpy(head.stdio, r->stdio, sizeof(head.stdio));
	fits = put(&c, &head, sizeof(head)) &&
	       put(&c, r->limits, r->n_limits * sizeof(*r->limits)) &&
	       put(&c, r->groups, r->n_groups * sizeof(*r->groups)) &&
	       put(&c, r->fds, r->n_fds * sizeof(*r->fds)) && put(&c, r->note, r->note_size) &&
	       put_string(&c, r->name) && put_string(&c, r->directory) &&
	       put_string(&c, r->search) && put_string(&c, r->cgroup ? r->cgroup : "");
	for (char **s = r->argv; fits && *s; s++)
		fits = put_string(&c, *s);
	for (char **s = r->envp; fits && *s; s++)
		fits = put_string(&c, *s);
	fits = fits && put(&c, "\0\0\0\0\0\0\0", -(uintptr_t)(c.p - (char *)buf) % 8);
	if (!fits)
		return -E2BIG;
	((struct spawn_head *)buf)->header.size = c.p - (char *)buf;
	return c.p - (char *)buf;
}

static const void *take(struct cursor *c, size_t size)
{
	const char *p = c->p;

	if ((size_t)(c->end - c->p) < size)
		return NULL;
	c->p += size;
	return p;
}

static char *take_string(struct cursor *c)
{
	char *s = c->p, *nul = memchr(s, '\0', c->end - s);

	if (!nul)
		return NULL;
	c->p = nul + 1;
	return s;
}

/* n strings into pointers, and a NULL behind them. */
static bool take_strings(struct cursor *c, char **pointers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pointers[i] = take_string(c);
		if (!pointers[i])
			return false;
	}
	pointers[n] = NULL;
	return true;
}

static void decode_head(const struct spawn_head *head, struct spawn_request *ret)
{
	*ret = (struct spawn_request){
		.slot = head->slot,
		.daemon = head->flags & SPAWN_DAEMON,
		.death_signal = head->death_signal,
		.change_user = head->flags & SPAWN_CHANGE_USER,
		.uid = head->uid,
		.gid = head->gid,
		.n_groups = head->n_groups,
		.has_umask = head->flags & SPAWN_UMASK,
		.umask = head->umask,
		.has_nice = head->flags & SPAWN_NICE,
		.nice = head->nice,
		.cgroup_place = head->cgroup_place,
		.n_limits = head->n_limits,
		.n_fds = head->n_fds,
		.note_size = head->note_size,
		.ready_place = head->ready_place,
		.program_place = head->program_place,
		.ready_fd = head->ready_fd,
	};
	memcpy(ret->stdio, head->stdio, sizeof(ret->stdio));
}

size_t link_spawn_pointers(const void *buf, size_t size)
{
	const struct spawn_head *head = buf;
	size_t n = size < sizeof(*head) ? 0 : (size_t)head->n_args + head->n_env;

	return MIN(n, (size_t)LINK_ARGS_MAX) + 2;
}

int link_decode_spawn(const void *buf, size_t size, struct spawn_request *ret, char **pointers,
		      size_t n_pointers)
{
	struct cursor c = { (char *)buf, (char *)buf + size };
	const struct spawn_head *head = take(&c, sizeof(*head));

	if (!head || head->header.type != LINK_SPAWN || head->slot >= LINK_SLOTS || size % 8 != 0)
		return -EINVAL;
	if (head->n_limits > LINK_LIMITS_MAX || head->n_groups > LINK_GROUPS_MAX ||
	    head->n_fds > LINK_FDS_MAX || head->n_args < 1 || head->n_args > LINK_ARGS_MAX ||
	    head->n_env > LINK_ARGS_MAX || head->note_size > LINK_NOTE_MAX ||
	    head->n_args + head->n_env + 2 > n_pointers)
		return -E2BIG;
	if (head->ready_fd > LINK_READY_MAX ||
	    (head->ready_fd > 2 && head->ready_fd < 3 + head->n_fds))
		return -EINVAL;
	decode_head(head, ret);
	ret->limits = take(&c, ret->n_limits * sizeof(*ret->limits));
	ret->groups = ret->limits ? take(&c, ret->n_groups * sizeof(*ret->groups)) : NULL;
	ret->fds = ret->groups ? take(&c, ret->n_fds * sizeof(*ret->fds)) : NULL;
	ret->note = ret->fds ? take(&c, ret->note_size) : NULL;
	if (!ret->note)
		return -EINVAL;
	ret->name = take_string(&c);
	ret->directory = ret->name ? take_string(&c) : NULL;
	ret->search = ret->directory ? take_string(&c) : NULL;
	ret->cgroup = ret->search ? take_string(&c) : NULL;
	ret->argv = pointers;
	ret->envp = pointers + head->n_args + 1;
	if (!ret->cgroup || strlen(ret->name) >= LINK_NAME_MAX ||
	    !take_strings(&c, ret->argv, head->n_args) || !take_strings(&c, ret->envp, head->n_env))
		return -EINVAL;
	return 0;
}
