/* SPDX-License-Identifier: MIT */
/*
 * One thread for what would hold up the loop: a password's hash, a write to disk. It does its
 * jobs one after the other, in the order they were given.
 *
 *	given -> waiting -> run (the thread) -> done (the loop)
 *	            `-----> dropped -----------> done (the loop), cancelled
 *
 * Every job that was taken gets its done(), once, in the loop's thread, in the order of the
 * queue. The thread starts with the first job, so that a process without jobs has none, and
 * takes no signals: they stay the loop's. In a forked child there is no thread, only its
 * memory: the child must not touch the worker.
 *
 * All functions are called from the loop's thread.
 */
#ifndef FOSTER_CHAT_WORKER_H
#define FOSTER_CHAT_WORKER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

/* To be the first part of what a job needs, which is the caller's; done() may free it. */
struct worker_job {
	void (*run)(struct worker_job *job);  /* in the thread; may block */
	void (*done)(struct worker_job *job); /* in the loop; may give another job */
	struct worker_job *next;              /* the worker's from worker_give() to done() */
	bool cancelled;                       /* run() was never called */
};

struct worker;

/* name: of the thread, at most 15 bytes. max: jobs that may wait. 0 or -errno. */
int worker_new(struct event_base *base, const char *name, size_t max, struct worker **ret);

/*
 * 0; -EAGAIN: max jobs wait already; or -errno of the thread's start. The job is taken only at 0.
 */
int worker_give(struct worker *worker, struct worker_job *job);

/* How many jobs were taken and have not had their done(). */
size_t worker_count(const struct worker *worker);

/* Waits until all that was given is run, and done. What done() gives then is done, too. */
void worker_finish(struct worker *worker);

/* Waits for the job that is being run, and drops those that wait. NULL is passed over. */
void worker_free(struct worker *worker);

#endif
