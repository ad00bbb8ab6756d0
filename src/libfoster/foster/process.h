/* SPDX-License-Identifier: MIT */
/*
 * Process objects with the semantics of Python's multiprocessing.Process; see libfoster(3).
 *
 * Times are milliseconds. Functions that return int give 0, or a value named below, or a
 * negative errno; errno itself is left undefined. Three errors mean the same everywhere:
 *
 *	-ECHILD   the object was made by another process, or stands for the calling process
 *	          itself: only the process that made an object starts, joins and signals it
 *	-EINVAL   the object was not started yet, or an argument is out of range
 *	-EBUSY    too late (started before) or too early (still alive)
 *
 * Every function may be called by any thread; two threads may join one object. None may be
 * called from a signal handler. An object is the caller's until foster_process_free().
 * Functions do not block unless it is said.
 */
#ifndef FOSTER_PROCESS_H
#define FOSTER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FOSTER_PUBLIC __attribute__((visibility("default")))
#else
#define FOSTER_PUBLIC
#endif

typedef struct foster_process foster_process;

/* What the child does; the return value is its exit code (the low eight bits of it). */
typedef int foster_process_run(void *arg);

/*
 * A class of process: its own run() and its own state. Set size to
 * sizeof(foster_process_class) and what is not used to zero. The struct is read by
 * foster_process_new_class() only and need not live on; self must live until the free.
 */
typedef struct foster_process_class {
	size_t size;
	const char *name; /* of the class, for default names: "Worker-1"; NULL: "Process" */
	int (*run)(foster_process *process, void *self); /* in the child; as foster_process_run */
	void (*release)(void *self); /* by foster_process_free() in the creator; NULL: none */
} foster_process_class;

/*
 * A process that will call run(arg) in a forked child; NULL run: ends at once with 0. name is
 * copied; NULL or "": "Process-N", where N counts the objects that this process made, and
 * "Process-M:N" within the process that was the M-th of its parent. arg stays the caller's.
 * The daemon flag starts as the calling process's own. NULL with errno ENOMEM.
 */
FOSTER_PUBLIC foster_process *foster_process_new(const char *name, foster_process_run *run,
						 void *arg);

/*
 * A process that will execute argv[0] with argv (NULL-terminated, copied). A name without a
 * slash is looked for in PATH, when it starts. NULL with errno ENOMEM, or EINVAL: empty argv.
 */
FOSTER_PUBLIC foster_process *foster_process_new_exec(const char *name, char *const argv[]);

/* A process of the class. NULL with errno ENOMEM, or EINVAL: no run, or a size too small. */
FOSTER_PUBLIC foster_process *foster_process_new_class(const char *name,
						       const foster_process_class *cls, void *self);

/*
 * A daemonic process ends with the process that made it: at a normal exit it is terminated
 * and joined, and by whatever else the parent dies, SIGKILL included, the kernel kills it. Not
 * a "daemon" in Unix's sense. -EBUSY once started; -ECHILD.
 */
FOSTER_PUBLIC int foster_process_set_daemon(foster_process *process, bool daemon);
FOSTER_PUBLIC bool foster_process_daemon(const foster_process *process);

/*
 * Forks in the calling thread; the child runs there. Where a program is executed, blocks until
 * the exec is done or has failed. After an error the object is as before and may be started
 * again. -EBUSY: started before. -ECHILD. -EPERM: the calling process is daemonic, and such
 * may not have children. -ENOENT, -EACCES and the other errors of execve(2): the program could
 * not be executed. -EAGAIN, -ENOMEM, -EMFILE, -ENFILE: no process or no descriptor to be had.
 * -ESRCH: the child was killed by a third party before it did anything. -ENOSYS: Linux < 5.4.
 */
FOSTER_PUBLIC int foster_process_start(foster_process *process);

/*
 * Blocks until the process has ended, at most timeout_ms; 0 asks only; -1 is for ever. Goes on
 * through signals; a cancellation point. Joining again gives 0 at once. -ETIMEDOUT; -EINVAL:
 * not started, or timeout_ms below -1; -ECHILD.
 */
FOSTER_PUBLIC int foster_process_join(foster_process *process, int timeout_ms);

/*
 * True from a successful start until the end, and for the calling process itself; false for
 * what is another process's.
 */
FOSTER_PUBLIC bool foster_process_is_alive(foster_process *process);

/* 0 before start; stays the same after the end, when the number may be somebody else's. */
FOSTER_PUBLIC pid_t foster_process_pid(const foster_process *process);

/* The object's own; valid until the free. */
FOSTER_PUBLIC const char *foster_process_name(const foster_process *process);

/*
 * The exit status (0 to 255), or the negated number of the signal that killed it. -EAGAIN: it
 * is alive. -ENODATA: it has ended, but somebody else took its status (a wait() of the
 * program's own, SIGCHLD ignored) and the kernel does not tell (it does from Linux 6.15).
 * -EINVAL, -ECHILD. *ret_code is written on success only.
 */
FOSTER_PUBLIC int foster_process_exitcode(foster_process *process, int *ret_code);

/*
 * A pidfd, readable (POLLIN) once the process has ended. The object's own: to be polled, not
 * to be closed; valid until the free. -EINVAL, -ECHILD.
 */
FOSTER_PUBLIC int foster_process_sentinel(const foster_process *process);

/*
 * SIGTERM and SIGKILL, to the process alone: its descendants get nothing. Do not wait. 0 also
 * when it has ended already. -EINVAL, -ECHILD; -EPERM: it has changed to another user.
 */
FOSTER_PUBLIC int foster_process_terminate(foster_process *process);
FOSTER_PUBLIC int foster_process_kill(foster_process *process);

/*
 * Frees the object and closes its sentinel. NULL is allowed. -EBUSY: the process is alive, or
 * a thread is joining it, or it is the calling process itself. In another process than the
 * creator frees the copy and nothing else.
 */
FOSTER_PUBLIC int foster_process_free(foster_process *process);

/*
 * The calling process's children that are alive, in no particular order: at most max are
 * written; returns how many there are, which may be more. Joins those that have ended. NULL is
 * allowed with max 0.
 */
FOSTER_PUBLIC size_t foster_active_children(foster_process **ret_processes, size_t max);

/*
 * The object of the calling process: in a child that foster_process_start() forked, the
 * child's copy of its object; elsewhere one named "MainProcess". Never NULL, never to be freed.
 */
FOSTER_PUBLIC foster_process *foster_current_process(void);

#ifdef __cplusplus
}
#endif

#endif
