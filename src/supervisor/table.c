/* SPDX-License-Identifier: MIT */
/*
 * The table: see table.h. The file is sparse; a slot costs memory when it is first used. The
 * index by pid and the heads of the queues are the supervisor's own: they are made anew.
 */
#include "supervisor/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define TABLE_FILE    "children"
#define TABLE_MAGIC   0x666f73746572U
#define TABLE_VERSION 3
#define PID_BUCKETS   8192

struct queue {
	uint32_t first, last; /* + 1; 0: empty */
};

struct table {
	uint64_t magic;
	uint32_t version, size_of_slot;
	char boot_id[40];
	uint64_t run_id;
	uint64_t last_instance;
	uint32_t used_slots, reserved; /* a high-water mark */
	/* The running supervisor's. Here and not in .bss: there each fork would have the next
	 * write copy a page. */
	struct queue untold_slots, untold_places, starting;
	uint64_t used_places[LINK_PLACES / 64]; /* a bit each: holes stay holes of the file */
	struct table_slot slots[LINK_SLOTS];
	struct table_place places[LINK_PLACES];
};

static uint32_t *by_pid; /* PID_BUCKETS of slot + 1 */
static int table_fd = -1;

static void read_boot_id(char *buf, size_t size)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	memset(buf + (n > 0 ? n : 0), 0, size - (n > 0 ? n : 0));
}

static bool believable(const struct table *t, const char *boot_id)
{
	return t->magic == TABLE_MAGIC && t->version == TABLE_VERSION &&
	       t->size_of_slot == sizeof(struct table_slot) &&
	       strncmp(t->boot_id, boot_id, sizeof(t->boot_id)) == 0 && t->used_slots <= LINK_SLOTS;
}

static void make_new(struct table *t, const char *boot_id)
{
	t->version = TABLE_VERSION;
	t->size_of_slot = sizeof(struct table_slot);
	memcpy(t->boot_id, boot_id, sizeof(t->boot_id));
	if (getrandom(&t->run_id, sizeof(t->run_id), GRND_NONBLOCK) != sizeof(t->run_id))
		t->run_id = (uint64_t)getpid() << 32 | (uint32_t)time(NULL);
	/* The magic comes last: a table that was not finished is not believed. */
	atomic_thread_fence(memory_order_release);
	t->magic = TABLE_MAGIC;
}

/*
 * The file is sparse, and a hole that is written to when the file system is full is a SIGBUS: what
 * is used for the first time is allocated first. 0 or -errno.
 */
static int make_room(size_t offset, size_t size)
{
	if (fallocate(table_fd, 0, offset, size) == 0)
		return 0;
	/* A file system that cannot promise has no holes to fall into, or none that we can fill. */
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

struct table *table_open(int dir_fd)
{
	_cleanup_close_ int fd = -1;
	char boot_id[sizeof(((struct table *)0)->boot_id)];
	struct stat st;
	struct table *t;

	fd = openat(dir_fd, TABLE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (st.st_size != sizeof(struct table) &&
	    (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(struct table)) < 0))
		return NULL;
	by_pid = mmap(NULL, PID_BUCKETS * sizeof(*by_pid), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (by_pid == MAP_FAILED)
		return NULL;
	madvise(by_pid, PID_BUCKETS * sizeof(*by_pid), MADV_DONTFORK);
	fd_close(table_fd);
	table_fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_BASE);
	if (table_fd < 0 || make_room(0, offsetof(struct table, slots)) < 0)
		return NULL;
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t == MAP_FAILED)
		return NULL;
	/* A child between fork and exec has no business with it, and forks faster without. */
	madvise(t, sizeof(*t), MADV_DONTFORK);
	read_boot_id(boot_id, sizeof(boot_id));
	if (!believable(t, boot_id)) {
		if (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(struct table)) < 0) {
			munmap(t, sizeof(*t));
			return NULL;
		}
		if (make_room(0, offsetof(struct table, slots)) < 0) {
			munmap(t, sizeof(*t));
			return NULL;
		}
		make_new(t, boot_id);
	}
	t->starting = (struct queue){ 0 };
	return t;
}

void table_remove(int dir_fd)
{
	unlinkat(dir_fd, TABLE_FILE, 0);
}

uint64_t table_run_id(const struct table *t)
{
	return t->run_id;
}

uint64_t table_next_instance(struct table *t)
{
	return ++t->last_instance;
}

struct table_slot *table_slots(struct table *t, uint32_t *n)
{
	*n = t->used_slots;
	return t->slots;
}

struct table_slot *table_slot(struct table *t, uint32_t slot)
{
	if (slot >= LINK_SLOTS)
		return NULL;
	if (t->used_slots <= slot &&
	    make_room(offsetof(struct table, slots) + t->used_slots * sizeof(*t->slots),
		      (slot + 1 - t->used_slots) * sizeof(*t->slots)) < 0)
		return NULL;
	for (; t->used_slots <= slot; t->used_slots++) {
		t->slots[t->used_slots].pidfd = -1;
		t->slots[t->used_slots].exec_fd = -1;
	}
	return &t->slots[slot];
}

struct table_place *table_place(struct table *t, uint32_t place)
{
	uint64_t bit = UINT64_C(1) << place % 64;

	if (place >= LINK_PLACES)
		return NULL;
	if (!(t->used_places[place / 64] & bit)) {
		if (make_room(offsetof(struct table, places) + place * sizeof(*t->places),
			      sizeof(*t->places)) < 0)
			return NULL;
		t->used_places[place / 64] |= bit;
		t->places[place].fd = -1;
	}
	return &t->places[place];
}

int64_t table_next_place(const struct table *t, int64_t after)
{
	for (uint32_t place = after + 1; place < LINK_PLACES; place = (place / 64 + 1) * 64) {
		uint64_t bits = t->used_places[place / 64] >> place % 64;

		if (bits)
			return place + __builtin_ctzll(bits);
	}
	return -1;
}

static void unlink_pid(struct table *t, uint32_t slot, pid_t pid)
{
	for (uint32_t *p = &by_pid[pid % PID_BUCKETS]; *p; p = &t->slots[*p - 1].next_by_pid) {
		if (*p == slot + 1) {
			*p = t->slots[slot].next_by_pid;
			return;
		}
	}
}

void table_set_pid(struct table *t, uint32_t slot, pid_t pid)
{
	struct table_slot *s = &t->slots[slot];

	if (s->child.pid > 0)
		unlink_pid(t, slot, s->child.pid);
	s->child.pid = pid;
	if (pid > 0) {
		s->next_by_pid = by_pid[pid % PID_BUCKETS];
		by_pid[pid % PID_BUCKETS] = slot + 1;
	}
}

struct table_slot *table_find(struct table *t, pid_t pid, uint32_t *ret_slot)
{
	for (uint32_t i = by_pid[pid % PID_BUCKETS]; i; i = t->slots[i - 1].next_by_pid) {
		if (t->slots[i - 1].child.pid == pid) {
			*ret_slot = i - 1;
			return &t->slots[i - 1];
		}
	}
	return NULL;
}

/* A queue through next_untold fields; an element is in it when its tell was not 0. */
static void append(struct queue *q, uint32_t *next_of_last, uint32_t *next, uint32_t index)
{
	*next = 0;
	if (q->last)
		*next_of_last = index + 1;
	else
		q->first = index + 1;
	q->last = index + 1;
}

static void prepend(struct queue *q, uint32_t *next, uint32_t index)
{
	*next = q->first;
	q->first = index + 1;
	if (!q->last)
		q->last = index + 1;
}

static void remove_first(struct queue *q, uint32_t next)
{
	q->first = next;
	if (!next)
		q->last = 0;
}

void table_tell_slot(struct table *t, uint32_t slot, uint32_t what)
{
	struct table_slot *s = &t->slots[slot];
	bool queued = s->tell != 0;

	s->tell |= what;
	if (!queued)
		append(&t->untold_slots,
		       t->untold_slots.last ? &t->slots[t->untold_slots.last - 1].next_untold
					    : NULL,
		       &s->next_untold, slot);
}

int64_t table_pop_slot(struct table *t)
{
	int64_t slot = (int64_t)t->untold_slots.first - 1;

	if (slot >= 0)
		remove_first(&t->untold_slots, t->slots[slot].next_untold);
	return slot;
}

void table_unpop_slot(struct table *t, uint32_t slot)
{
	prepend(&t->untold_slots, &t->slots[slot].next_untold, slot);
}

void table_tell_place(struct table *t, uint32_t place, uint32_t what)
{
	struct table_place *p = &t->places[place];
	bool queued = p->tell != 0;

	p->tell |= what;
	if (!queued)
		append(&t->untold_places,
		       t->untold_places.last ? &t->places[t->untold_places.last - 1].next_untold
					     : NULL,
		       &p->next_untold, place);
}

int64_t table_pop_place(struct table *t)
{
	int64_t place = (int64_t)t->untold_places.first - 1;

	if (place >= 0)
		remove_first(&t->untold_places, t->places[place].next_untold);
	return place;
}

void table_unpop_place(struct table *t, uint32_t place)
{
	prepend(&t->untold_places, &t->places[place].next_untold, place);
}

void table_push_starting(struct table *t, uint32_t slot)
{
	struct table_slot *s = &t->slots[slot];

	if (s->starting)
		return;
	s->starting = true;
	append(&t->starting,
	       t->starting.last ? &t->slots[t->starting.last - 1].next_starting : NULL,
	       &s->next_starting, slot);
}

int64_t table_first_starting(const struct table *t)
{
	return (int64_t)t->starting.first - 1;
}

void table_pop_starting(struct table *t)
{
	struct table_slot *s = &t->slots[t->starting.first - 1];

	s->starting = false;
	remove_first(&t->starting, s->next_starting);
}

void table_tell_all(struct table *t)
{
	t->untold_slots = t->untold_places = (struct queue){ 0 };
	for (uint32_t i = 0; i < t->used_slots; i++) {
		t->slots[i].tell = 0;
		if (t->slots[i].child.name[0])
			table_tell_slot(t, i, TELL_CHILD);
	}
	for (int64_t i = -1; (i = table_next_place(t, i)) >= 0;) {
		t->places[i].tell = 0;
		if (t->places[i].name[0])
			table_tell_place(t, i, 1);
	}
}
