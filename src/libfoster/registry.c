/* SPDX-License-Identifier: MIT */
/*
 * The list of children and the lock. Three things keep a fork()ed copy of the process from
 * meddling with children that are not its own: the fork handlers here empty its lists and close
 * its copies of the descriptors; each object remembers the generation it was made in; and a
 * copy made behind the handlers' back (clone(2)) is found out by its pid at its first call.
 */
#include "config.h"

#include <pthread.h>
#include <unistd.h>

#include "base/macro.h"
#include "libfoster/kernel.h"
#include "libfoster/registry.h"

static foster_process main_process = {
	.name = (char *)"MainProcess",
	.identity = (char *)"",
	.state = PROCESS_RUNNING,
	.pidfd = -1,
	.guard = { -1, -1 },
	.gate = { -1, -1 },
	.link = { &main_process.link, &main_process.link },
};

static struct registry the_registry = {
	.active = { &the_registry.active, &the_registry.active },
	.ended = { &the_registry.ended, &the_registry.ended },
	.generation = 1,
	.current = &main_process,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int cancel_state; /* of the thread that holds the lock */
static pid_t owner;      /* the process that the lists belong to; 0 before the first call */

/* The object that this thread is starting, between its fork() and what follows. */
static __thread foster_process *starting;

static void forget_children(struct link *head)
{
	while (!list_empty(head)) {
		foster_process *p = CONTAINER_OF(head->next, foster_process, link);

		list_remove(&p->link);
		object_drop_fds(p, p == starting);
		p->joining = 0;
	}
}

static void disown(void)
{
	forget_children(&the_registry.active);
	forget_children(&the_registry.ended);
	the_registry.generation++;
	owner = getpid();
}

struct registry *registry_lock(void)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_mutex_lock(&lock);
	cancel_state = old;
	if (owner == 0)
		owner = getpid();
	else if (owner != getpid())
		disown();
	return &the_registry;
}

void registry_unlock(void)
{
	int old = cancel_state;

	pthread_mutex_unlock(&lock);
	pthread_setcancelstate(old, NULL);
}

bool registry_owns(const struct registry *registry, const foster_process *process)
{
	return process->origin == registry->generation && process != registry->current;
}

void registry_set_starting(foster_process *process)
{
	starting = process;
}

void registry_become(foster_process *process)
{
	struct registry *registry = registry_lock();

	registry->current = process;
	registry->created = 0;
	process->state = PROCESS_RUNNING;
	process->pid = getpid();
	starting = NULL;
	registry_unlock();
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	if (owner != 0)
		disown();
	pthread_mutex_unlock(&lock);
}

/*
 * When the library is loaded, so before the program sets handlers of its own: handlers that run
 * before the fork do so last set first, so this lock is taken after the program's locks, the
 * order in which its threads take them when they call the library.
 */
__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
