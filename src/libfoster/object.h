/* SPDX-License-Identifier: MIT */
/*
 * The process object, as the library's own files see it.
 *
 *	         start                    reaped
 *	NEW ----------> STARTING -> RUNNING ------> ENDED
 *	 ^                 |            '---------> LOST   (reaped by somebody else, status unknown)
 *	 '-----------------'  failed
 *
 * All but what never changes after foster_process_new*() is guarded by the registry's lock.
 */
#ifndef FOSTER_LIBFOSTER_OBJECT_H
#define FOSTER_LIBFOSTER_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "foster/process.h"
#include "libfoster/list.h"

enum process_state {
	PROCESS_NEW,
	PROCESS_STARTING,
	PROCESS_RUNNING,
	PROCESS_ENDED,
	PROCESS_LOST,
};

struct foster_process {
	/* never changes */
	char *name;
	char *identity;  /* "3", or "3:1" in a child's child; what default names end with */
	uint64_t origin; /* the registry's generation at the creation: tells whose object it is */
	foster_process_run *run;
	void *arg;
	char **argv; /* executed, if not NULL */
	int (*class_run)(foster_process *process, void *self);
	void (*class_release)(void *self);

	struct link link; /* in one of the registry's lists once started */
	enum process_state state;
	bool daemon;
	pid_t pid;
	int status;           /* as of waitpid(2), in state ENDED */
	unsigned int joining; /* threads in foster_process_join() */
	int pidfd;
	int guard[2]; /* of a daemonic child, see guard.h; [0] and [1] are alike */
	int gate[2];  /* while STARTING: the parent's and the child's end, see start.c */
};

/* Closes all descriptors of the object but, where keep_gate, the child's end of the gate. */
void object_drop_fds(foster_process *process, bool keep_gate);

#endif
