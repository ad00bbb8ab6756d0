/* SPDX-License-Identifier: MIT */
/*
 * What happened to a service, for those who ask why it is as it is: who wanted last what it is
 * wanted to be, and its last ends. Pure. Most services never end and were started by foster
 * itself: these have no history, and take no memory for one.
 */
#ifndef FOSTER_MANAGER_HISTORY_H
#define FOSTER_MANAGER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/machine.h"

#define ENDS_KEPT 5

/*
 * For whom it was: the process behind the control socket, or that sent a signal; and the
 * service through which it came, which needs this one or is needed by it.
 */
struct asker {
	uint32_t uid;
	int32_t pid; /* 0: foster itself, or nobody knows */
	char command[16];
	char service[CONFIG_NAME_MAX + 1];
};

/* The last of START, STOP and RESTART that changed anything. */
struct wish {
	enum machine_event verb;
	enum reason reason;
	uint64_t when; /* us, monotonic */
	struct asker by;
};

/* One end of the main process, or one start that failed. */
struct end {
	uint64_t when, up; /* us, monotonic; how long it had been there */
	uint16_t status;   /* as wait(2) gives it */
	uint16_t error;    /* of the step; positive errno */
	uint16_t attempts; /* restarts in a row, the one that followed included */
	uint8_t step;      /* STEP_NONE: the program ran */
	uint8_t cause;     /* enum reason: why it ended */
	uint8_t followed;  /* enum service_state; STATE_STOPPING: its tree is still being ended */
	bool unknown;      /* nobody saw the status */
};

struct history {
	struct wish wish;
	struct end ends[ENDS_KEPT]; /* the newest first */
	unsigned n_ends;
};

/*
 * To be called after each step of the machine, with what it was before. Makes the history when
 * there is something to keep; without memory for it nothing is kept.
 */
void history_step(const struct machine *before, struct machine *after, enum machine_event,
		  const struct machine_facts *);

/* Without a history it follows from the machine. */
struct wish history_wish(const struct machine *);

/* "exit 1", "killed by SIGSEGV (core dumped)", "chdir: No such file or directory". Returns buf. */
char *history_end_words(const struct end *, char *buf, size_t size);

#endif
