/* SPDX-License-Identifier: MIT */
/* What is read of /proc, see proc(5): without allocating, whatever is too long is read in parts. */
#ifndef FOSTER_SUPERVISOR_PROC_H
#define FOSTER_SUPERVISOR_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_state {
	char state; /* R S D T t Z X */
	pid_t parent;
	int threads;
};

typedef void proc_visit(int number, void *arg);

/* There is a /proc, and its numbers are those of our PID namespace. */
bool proc_usable(void);

/* Calls visit with each number that is a name in the directory. 0 or -errno. */
int proc_each_entry(const char *directory, proc_visit *visit, void *arg);

/* Calls visit with each of the numbers in the file, which have blanks behind them. 0 or -errno. */
int proc_each_number(const char *file, proc_visit *visit, void *arg);

/* 0 or -errno: -ENOENT and -ESRCH when there is no such process. */
int proc_state(pid_t pid, struct proc_state *ret);

/* A field of /proc/PID/stat, counted from 1 as in proc(5); at least 3. 0 when it cannot be read. */
uint64_t proc_stat_field(pid_t pid, int number);

#endif
