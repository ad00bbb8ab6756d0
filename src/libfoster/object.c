/* SPDX-License-Identifier: MIT */
/* Making and freeing process objects, and their attributes. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "libfoster/kernel.h"
#include "libfoster/registry.h"
#include "libfoster/wait.h"

/* The class as of the first release; later ones may only grow it at the end. */
#define CLASS_SIZE_MIN (offsetof(foster_process_class, release) + sizeof(void (*)(void *)))

void object_drop_fds(foster_process *process, bool keep_gate)
{
	fd_drop(&process->pidfd);
	fd_drop(&process->guard[0]);
	fd_drop(&process->guard[1]);
	fd_drop(&process->gate[0]);
	if (!keep_gate)
		fd_drop(&process->gate[1]);
}

static void free_argv(char **argv)
{
	for (char **arg = argv; arg && *arg; arg++)
		free(*arg);
	free(argv);
}

static void destroy(foster_process *process)
{
	if (!process)
		return;
	object_drop_fds(process, false);
	free_argv(process->argv);
	free(process->identity);
	free(process->name);
	free(process);
}

static void destroy_cleanup(foster_process **process)
{
	destroy(*process);
}

static char **copy_argv(char *const argv[])
{
	size_t n = 0;
	char **copy;

	while (argv[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	if (!copy)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(argv[i]);
		if (!copy[i]) {
			free_argv(copy);
			return NULL;
		}
	}
	return copy;
}

/* Counts named objects too, as multiprocessing does: the N of a name is the N-th object. */
static int set_names(foster_process *process, const char *name, const char *class_name)
{
	struct registry *registry = registry_lock();
	const char *parent = registry->current->identity;
	unsigned int n = ++registry->created;

	process->origin = registry->generation;
	process->daemon = registry->current->daemon;
	registry_unlock();

	if (asprintf(&process->identity, "%s%s%u", parent, *parent ? ":" : "", n) < 0) {
		process->identity = NULL;
		return -ENOMEM;
	}
	if (name && *name)
		process->name = strdup(name);
	else if (asprintf(&process->name, "%s-%s", class_name, process->identity) < 0)
		process->name = NULL;
	return process->name ? 0 : -ENOMEM;
}

static foster_process *make(const char *name, const char *class_name)
{
	_cleanup_(destroy_cleanup) foster_process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->pidfd = -1;
	process->guard[0] = process->guard[1] = -1;
	process->gate[0] = process->gate[1] = -1;
	list_init(&process->link);
	if (set_names(process, name, class_name) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	return TAKE_PTR(process);
}

foster_process *foster_process_new(const char *name, foster_process_run *run, void *arg)
{
	foster_process *process = make(name, "Process");

	if (process) {
		process->run = run;
		process->arg = arg;
	}
	return process;
}

foster_process *foster_process_new_exec(const char *name, char *const argv[])
{
	_cleanup_(destroy_cleanup) foster_process *process = NULL;

	if (!argv || !argv[0]) {
		errno = EINVAL;
		return NULL;
	}
	process = make(name, "Process");
	if (!process)
		return NULL;
	process->argv = copy_argv(argv);
	if (!process->argv) {
		errno = ENOMEM;
		return NULL;
	}
	return TAKE_PTR(process);
}

foster_process *foster_process_new_class(const char *name, const foster_process_class *cls,
					 void *self)
{
	foster_process *process;

	if (!cls || cls->size < CLASS_SIZE_MIN || !cls->run) {
		errno = EINVAL;
		return NULL;
	}
	process = make(name, cls->name ? cls->name : "Process");
	if (process) {
		process->class_run = cls->run;
		process->class_release = cls->release;
		process->arg = self;
	}
	return process;
}

int foster_process_free(foster_process *process)
{
	struct registry *registry;
	bool own, busy;

	if (!process)
		return 0;
	registry = registry_lock();
	own = registry_owns(registry, process);
	if (own)
		process_refresh(registry, process);
	/* Origin 0 is MainProcess, which is static, seen from a child of it. */
	busy = process == registry->current || process->origin == 0 || process->joining > 0 ||
	       (own && (process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING));
	if (!busy) {
		list_remove(&process->link);
		/* Under the lock: a concurrent fork() must not copy what no list shows any more. */
		object_drop_fds(process, false);
	}
	registry_unlock();
	if (busy)
		return -EBUSY;
	if (own && process->class_release)
		process->class_release(process->arg);
	destroy(process);
	return 0;
}

int foster_process_set_daemon(foster_process *process, bool daemon)
{
	struct registry *registry = registry_lock();
	int r = 0;

	if (!registry_owns(registry, process))
		r = -ECHILD;
	else if (process->state != PROCESS_NEW)
		r = -EBUSY;
	else
		process->daemon = daemon;
	registry_unlock();
	return r;
}

bool foster_process_daemon(const foster_process *process)
{
	bool daemon;

	registry_lock();
	daemon = process->daemon;
	registry_unlock();
	return daemon;
}

pid_t foster_process_pid(const foster_process *process)
{
	struct registry *registry = registry_lock();
	pid_t pid = process == registry->current ? getpid() : process->pid;

	registry_unlock();
	return pid;
}

const char *foster_process_name(const foster_process *process)
{
	return process->name;
}

int foster_process_sentinel(const foster_process *process)
{
	struct registry *registry = registry_lock();
	int r;

	if (!registry_owns(registry, process))
		r = -ECHILD;
	else if (process->state == PROCESS_NEW || process->state == PROCESS_STARTING)
		r = -EINVAL;
	else
		r = process->pidfd;
	registry_unlock();
	return r;
}

foster_process *foster_current_process(void)
{
	foster_process *current = registry_lock()->current;

	registry_unlock();
	return current;
}
