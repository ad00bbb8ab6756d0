/* SPDX-License-Identifier: MIT */
/* A thread for what would hold up the loop: see worker.h. */
#include "config.h"

#include "chat/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

struct queue {
	struct worker_job *first, **end;
};

struct worker {
	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t given, ran; /* tell the thread; tell worker_finish() */
	struct queue waiting, over;
	size_t n_waiting;
	bool stopping;

	/* The loop's alone. */
	struct event *event;
	pthread_t thread;
	size_t max, count;
	bool started;
	char name[16]; /* what the kernel keeps of it */

	int fd; /* an eventfd: there is something in over */
};

static void queue_start(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_put(struct queue *q, struct worker_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct worker_job *queue_take(struct queue *q)
{
	struct worker_job *job = q->first;

	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->end = &q->first;
	return job;
}

/* --- in the thread ------------------------------------------------------------------------ */

/* The next job, or NULL: it is over. */
static struct worker_job *next_job(struct worker *w)
{
	struct worker_job *job = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping && !w->waiting.first)
		pthread_cond_wait(&w->given, &w->lock);
	if (!w->stopping) {
		job = queue_take(&w->waiting);
		w->n_waiting--;
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void hand_back(struct worker *w, struct worker_job *job)
{
	const uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&w->lock);
	queue_put(&w->over, job);
	pthread_cond_signal(&w->ran);
	pthread_mutex_unlock(&w->lock);
	do
		n = write(w->fd, &one, sizeof(one)); /* EAGAIN: it is readable as it can be */
	while (n < 0 && errno == EINTR);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct worker_job *job;

	while ((job = next_job(w)) != NULL) {
		job->run(job);
		hand_back(w, job);
	}
	return NULL;
}

/* --- in the loop -------------------------------------------------------------------------- */

/* done() may give new jobs, which come into another queue than this one. */
static void do_done(struct worker *w)
{
	struct worker_job *job, *next;

	pthread_mutex_lock(&w->lock);
	job = w->over.first;
	queue_start(&w->over);
	pthread_mutex_unlock(&w->lock);
	for (; job; job = next) {
		next = job->next;
		w->count--;
		job->done(job);
	}
}

static void on_readable(int fd, short what, void *arg)
{
	uint64_t n;

	/* Emptied first: what is handed back from now on makes it readable again. */
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
		return;
	do_done(arg);
}

int worker_new(struct event_base *base, const char *name, size_t max, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->given, NULL);
	pthread_cond_init(&w->ran, NULL);
	queue_start(&w->waiting);
	queue_start(&w->over);
	w->max = max;
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->fd < 0 ? -errno : 0;
	if (r == 0)
		w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	if (r == 0 && (!w->event || event_add(w->event, NULL) < 0))
		r = -ENOMEM;
	if (r < 0) {
		worker_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* The thread inherits the mask: with all signals blocked it takes none. */
static int start_thread(struct worker *w)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	pthread_setname_np(w->thread, w->name);
	w->started = true;
	return 0;
}

int worker_give(struct worker *w, struct worker_job *job)
{
	int r = 0;

	if (!w->started)
		r = start_thread(w);
	if (r < 0)
		return r;
	pthread_mutex_lock(&w->lock);
	if (w->n_waiting == w->max) {
		r = -EAGAIN;
	} else {
		job->cancelled = false;
		queue_put(&w->waiting, job);
		w->n_waiting++;
		pthread_cond_signal(&w->given);
	}
	pthread_mutex_unlock(&w->lock);
	if (r == 0)
		w->count++;
	return r;
}

size_t worker_count(const struct worker *w)
{
	return w->count;
}

void worker_finish(struct worker *w)
{
	while (w->count > 0) {
		pthread_mutex_lock(&w->lock);
		while (!w->over.first)
			pthread_cond_wait(&w->ran, &w->lock);
		pthread_mutex_unlock(&w->lock);
		do_done(w);
	}
}

static void stop_thread(struct worker *w)
{
	struct worker_job *job;

	if (!w->started)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	while ((job = queue_take(&w->waiting)) != NULL) {
		job->cancelled = true;
		queue_put(&w->over, job);
	}
	w->n_waiting = w->max; /* done() can give nothing more */
	do_done(w);
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	stop_thread(w);
	if (w->event)
		event_free(w->event);
	fd_close(w->fd);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->given);
	pthread_cond_destroy(&w->ran);
	free(w);
}
