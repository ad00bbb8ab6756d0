/* SPDX-License-Identifier: MIT */
/* The room's questions about accounts, and their answers: see accounts.h. */
#include "config.h"

#include "chat/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "chat/authenticate.h"
#include "chat/bucket.h"
#include "chat/hash.h"
#include "chat/list.h"
#include "chat/utf8.h"
#include "chat/worker.h"

#define WAITING_MAX    1024 /* questions; more are answered with "not now" */
#define JOBS_MAX       64   /* of the worker: one question, one refresh, and K-lines */
#define PLACES         1024 /* as many as the room tells apart */
#define FAILURES_RATE  2    /* log-ins that failed and are told, a second, */
#define FAILURES_BURST 100
#define WARN_INTERVAL  (10 * USEC_PER_SEC)

/* A question, and what an exchange of several has to remember between them. */
struct question {
	struct worker_job job;
	struct hash_node by_serial;
	struct list link; /* in waiting, or alone */
	struct accounts *owner;
	enum room_question_kind kind;
	uint32_t id, place;
	uint64_t serial;
	struct sasl_exchange exchange;
	struct step step;
	char *data, *fingerprint;
	char address[ROOM_HOST_MAX + 1]; /* of who asks */
	bool running;                    /* the worker has it */
	bool abandoned;                  /* nobody waits for the answer */
};

struct owned_list {
	struct room_owned *items;
	size_t n, room;
};

struct kline_list {
	struct room_kline *items;
	size_t n;
};

/* Reads anew what another process has changed. */
struct refresh {
	struct worker_job job;
	struct owned_list owned, notes; /* a note's nick is its text, its account who did it */
	struct kline_list klines;
	unsigned kept; /* K-lines that the room had given to be kept when it began */
	bool changed, running, again;
	bool unread_klines; /* they changed, and are not the room's yet */
	struct error error;
};

struct accounts {
	struct room *room;
	struct account_db *db; /* the worker's, once that works */
	struct worker *worker;
	struct hash_table questions;
	struct list waiting;
	size_t n_waiting;
	bool busy;              /* the worker has a question */
	struct event *too_many; /* to answer those that found no place */
	uint64_t turn, served[PLACES];
	struct refresh refresh;
	struct event *changes;
	int inotify_fd;
	char *path, *file; /* the database, and its name in its directory */
	uint64_t warned_at;
	struct bucket failures; /* log-ins that are told one by one; */
	unsigned untold;        /* those that are not */
	unsigned kept;          /* K-lines that the room has given to be kept, in all */
};

static void pump(struct accounts *a);

/* --- errors ------------------------------------------------------------------------------- */

static void warn(struct accounts *a, const struct error *e)
{
	uint64_t now = now_monotonic();

	if (!e->text[0] || (a->warned_at && now - a->warned_at < WARN_INTERVAL))
		return;
	a->warned_at = now;
	log_warning("accounts: %s", e->text);
}

static void tell_room_the_time(struct accounts *a)
{
	room_set_time(a->room, now_monotonic(), now_realtime());
}

/* --- questions ---------------------------------------------------------------------------- */

static const struct hash_key no_secret; /* serials count up: nobody chooses them */

static uint32_t hash_serial(uint64_t serial)
{
	return hash_bytes(&no_secret, &serial, sizeof(serial));
}

static bool serial_is(const struct hash_node *node, const void *key)
{
	return CONTAINER_OF(node, struct question, by_serial)->serial == *(const uint64_t *)key;
}

static struct question *find(struct accounts *a, uint64_t serial)
{
	struct hash_node *node = hash_find(&a->questions, hash_serial(serial), serial_is, &serial);

	return node ? CONTAINER_OF(node, struct question, by_serial) : NULL;
}

static void drop_data(struct question *q)
{
	if (q->data)
		explicit_bzero(q->data, q->step.size);
	free(TAKE_PTR(q->data));
	q->step.data = NULL;
	q->step.size = 0;
}

static void leave_queue(struct question *q)
{
	if (list_is_alone(&q->link))
		return;
	list_leave(&q->link);
	q->owner->n_waiting--;
}

static void question_free(struct question *q)
{
	leave_queue(q);
	if (!q->abandoned)
		hash_remove(&q->owner->questions, &q->by_serial);
	drop_data(q);
	sasl_exchange_clear(&q->exchange);
	free(q->fingerprint);
	free(q);
}

static void run(struct worker_job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	if (q->kind == ROOM_ASKS_REGISTER)
		register_account(q->owner->db, &q->exchange, &q->step,
				 (int64_t)(now_realtime() / USEC_PER_SEC));
	else if (q->kind == ROOM_ASKS_PASSWORD)
		change_password(q->owner->db, &q->exchange, &q->step);
	else
		authenticate(q->owner->db, &q->exchange, &q->step);
}

/* The room may ask the next thing at once: the question is as after its last, or gone. */
static void answer(struct accounts *a, struct question *q)
{
	char account[ROOM_NICK_MAX + 1];
	struct room_answer result = { .serial = q->serial,
				      .id = q->id,
				      .verdict = q->step.verdict,
				      .data = q->step.reply,
				      .size = q->step.reply_size,
				      .account = account };

	snprintf(account, sizeof(account), "%s", q->exchange.account);
	if (q->kind == ROOM_ASKS_REGISTER && result.verdict == ROOM_GRANTED)
		log_notice("accounts: \"%s\" was registered", account);
	if (q->kind == ROOM_ASKS_PASSWORD && result.verdict == ROOM_GRANTED)
		log_notice("accounts: \"%s\" has another password", account);
	if (result.verdict != ROOM_CONTINUE) {
		result.data = NULL;
		result.size = 0;
		question_free(q);
	}
	tell_room_the_time(a);
	room_answer(a->room, &result);
}

/* What others wrote, in a line of ours. */
static void disarm(char *text)
{
	if (!utf8_is_valid(text, strlen(text)))
		*text = '\0';
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == '\x7f' || *text == '"')
			*text = '?';
	}
}

/* For who guards against guessing: so the address comes first, and is ours. */
static void tell_failure(struct accounts *a, struct question *q)
{
	char tried[ROOM_NICK_MAX + 1];

	if (!bucket_take(&a->failures, FAILURES_RATE, FAILURES_BURST, now_monotonic())) {
		a->untold++;
		return;
	}
	if (a->untold > 0)
		log_notice("accounts: %u more log-ins failed, too many to be told", a->untold);
	a->untold = 0;
	snprintf(tried, sizeof(tried), "%s", q->exchange.tried);
	disarm(tried);
	log_notice("accounts: %s: log-in failed, account \"%s\"", q->address, tried);
}

static void on_done(struct worker_job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	struct accounts *a = q->owner;

	a->busy = q->running = false;
	warn(a, &q->step.error);
	drop_data(q);
	/* Also of who did not wait for the answer. */
	if (!job->cancelled && q->kind == ROOM_ASKS_SASL && q->step.verdict == ROOM_REFUSED)
		tell_failure(a, q);
	if (q->abandoned || job->cancelled)
		question_free(q);
	else
		answer(a, q);
	pump(a);
}

/* The first of those whose place was served longest ago. */
static struct question *choose(struct accounts *a)
{
	struct question *best = NULL;

	for (struct list *l = a->waiting.next; l != &a->waiting; l = l->next) {
		struct question *q = CONTAINER_OF(l, struct question, link);

		if (!best || a->served[q->place] < a->served[best->place])
			best = q;
	}
	return best;
}

static void pump(struct accounts *a)
{
	struct question *q = a->busy ? NULL : choose(a);
	int r;

	if (!q)
		return;
	r = worker_give(a->worker, &q->job);
	if (r < 0) {
		event_active(a->too_many, EV_TIMEOUT, 0);
		return;
	}
	leave_queue(q);
	a->busy = q->running = true;
	a->served[q->place] = ++a->turn;
}

/* Some did not find a place, or the thread cannot be started: they are told, from the loop. */
static void on_too_many(int fd, short what, void *arg)
{
	struct accounts *a = arg;

	while (a->n_waiting > (a->busy ? WAITING_MAX : 0)) {
		struct question *q = CONTAINER_OF(a->waiting.previous, struct question, link);

		q->step.verdict = ROOM_UNABLE;
		answer(a, q);
	}
}

static struct question *question_new(struct accounts *a, const struct room_question *asked)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->job = (struct worker_job){ .run = run, .done = on_done };
	q->owner = a;
	q->kind = asked->kind;
	q->id = asked->id;
	q->place = asked->place % PLACES;
	q->serial = asked->serial;
	q->exchange.mechanism = asked->mechanism;
	snprintf(q->address, sizeof(q->address), "%s", room_address(a->room, asked->id));
	list_start(&q->link);
	hash_add(&a->questions, &q->by_serial, hash_serial(q->serial));
	return q;
}

/* Copies what the question says. 0 or -ENOMEM. */
static int take_data(struct question *q, const struct room_question *asked)
{
	bool registers = asked->kind == ROOM_ASKS_REGISTER;
	size_t size = registers ? strlen(asked->password) : asked->size;

	drop_data(q);
	q->data = malloc(size + 1);
	if (!q->data)
		return -ENOMEM;
	memcpy(q->data, registers ? asked->password : asked->data, size);
	q->data[size] = '\0';
	q->step.data = q->data;
	q->step.size = size;
	if (asked->account)
		snprintf(q->exchange.account, sizeof(q->exchange.account), "%s", asked->account);
	if (asked->fingerprint && !q->fingerprint)
		q->fingerprint = strdup(asked->fingerprint);
	q->step.fingerprint = q->fingerprint;
	return 0;
}

static void give_up(struct accounts *a, struct question *q)
{
	if (!q)
		return;
	if (!q->running) {
		question_free(q);
		return;
	}
	q->abandoned = true;
	hash_remove(&a->questions, &q->by_serial);
}

void accounts_ask(struct accounts *a, const struct room_question *asked)
{
	struct question *q = find(a, asked->serial);

	if (asked->kind == ROOM_ASKS_NO_MORE) {
		give_up(a, q);
		return;
	}
	if (!q)
		q = question_new(a, asked);
	if (!q || take_data(q, asked) < 0) {
		log_warning("accounts: out of memory: a login is not answered");
		return; /* the client gives up, or its time is over */
	}
	list_move_last(&a->waiting, &q->link);
	if (++a->n_waiting > WAITING_MAX)
		event_active(a->too_many, EV_TIMEOUT, 0);
	pump(a);
}

/* --- lists of K-lines --------------------------------------------------------------------- */

static void free_kline(struct room_kline *k)
{
	free((char *)k->mask);
	free((char *)k->reason);
	free((char *)k->by);
}

/* Texts are the copy's own. 0 or -ENOMEM. */
static int copy_kline(struct room_kline *to, const struct room_kline *from)
{
	*to = (struct room_kline){ strdup(from->mask), strdup(from->reason), strdup(from->by),
				   from->at, from->until };
	if (to->mask && to->reason && to->by)
		return 0;
	free_kline(to);
	return -ENOMEM;
}

static int add_kline(void *arg, const struct room_kline *k)
{
	struct kline_list *list = arg;
	struct room_kline *more = reallocarray(list->items, list->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	list->items = more;
	if (copy_kline(&list->items[list->n], k) < 0)
		return -ENOMEM;
	list->n++;
	return 0;
}

static void clear_klines(struct kline_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free_kline(&list->items[i]);
	free(list->items);
	*list = (struct kline_list){ .n = 0 };
}

static int read_klines(struct account_db *db, struct kline_list *list, struct error *e)
{
	int r = account_db_list_klines(db, now_realtime(), add_kline, list, e);

	return r == -ENOMEM ? error_set(e, r, "out of memory") : r;
}

/* --- what others change ------------------------------------------------------------------- */

static void clear_list(struct owned_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free((char *)list->items[i].nick);
		free((char *)list->items[i].account);
	}
	free(list->items);
	*list = (struct owned_list){ .n = 0 };
}

static int add_item(void *arg, const char *account, const char *nick)
{
	struct owned_list *list = arg;
	struct room_owned new = { strdup(nick), strdup(account) };

	if (list->n == list->room) {
		size_t n = list->room ? list->room * 2 : 64;
		struct room_owned *more = reallocarray(list->items, n, sizeof(*more));

		if (more) {
			list->items = more;
			list->room = n;
		}
	}
	if (!new.nick || !new.account || list->n == list->room) {
		free((char *)new.nick);
		free((char *)new.account);
		return -ENOMEM;
	}
	list->items[list->n++] = new;
	return 0;
}

static int add_account(void *arg, const char *name, int64_t created)
{
	return add_item(arg, name, name);
}

static int read_owned(struct account_db *db, struct owned_list *list, struct error *e)
{
	int r = account_db_list(db, add_account, list, e);

	if (r == 0)
		r = account_db_list_things(db, ACCOUNT_NICK, NULL, add_item, list, e);
	return r == -ENOMEM ? error_set(e, r, "out of memory") : r;
}

static void log_notes(struct owned_list *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		log_notice("accounts: %s: %s", notes->items[i].account, notes->items[i].nick);
	clear_list(notes);
}

/* Notes first: what they tell of was done before, and so is in the list. */
static int read_all(struct account_db *db, struct refresh *refresh)
{
	int r = account_db_take_notes(db, add_item, &refresh->notes, &refresh->error);

	if (r == 0)
		r = read_owned(db, &refresh->owned, &refresh->error);
	return r < 0 ? r : read_klines(db, &refresh->klines, &refresh->error);
}

static void run_refresh(struct worker_job *job)
{
	struct accounts *a = CONTAINER_OF(job, struct accounts, refresh.job);
	struct refresh *refresh = &a->refresh;

	refresh->error.text[0] = '\0';
	refresh->changed = account_db_has_changed(a->db) || refresh->unread_klines;
	if (refresh->changed && read_all(a->db, refresh) < 0)
		refresh->changed = false;
}

static void start_refresh(struct accounts *a)
{
	if (a->refresh.running) {
		a->refresh.again = true;
		return;
	}
	a->refresh.again = false;
	a->refresh.kept = a->kept;
	a->refresh.running = worker_give(a->worker, &a->refresh.job) == 0;
}

/* What the room has done meanwhile is not in the list: then they are read again. */
static void take_klines(struct accounts *a)
{
	struct refresh *refresh = &a->refresh;

	refresh->unread_klines = refresh->kept != a->kept;
	if (refresh->unread_klines)
		refresh->again = true;
	else if (room_set_klines(a->room, refresh->klines.items, refresh->klines.n) < 0)
		log_warning("accounts: out of memory: not all K-lines hold");
}

static void on_refreshed(struct worker_job *job)
{
	struct accounts *a = CONTAINER_OF(job, struct accounts, refresh.job);
	struct refresh *refresh = &a->refresh;

	refresh->running = false;
	if (!job->cancelled) {
		warn(a, &refresh->error);
		tell_room_the_time(a);
		if (refresh->changed)
			room_set_accounts(a->room, refresh->owned.items, refresh->owned.n);
		if (refresh->changed)
			take_klines(a);
	}
	clear_klines(&refresh->klines);
	clear_list(&refresh->owned);
	log_notes(&refresh->notes);
	if (!job->cancelled && refresh->again)
		start_refresh(a);
}

/*
 * Somebody who could write has closed one of the database's files: whether anything is new it knows
 * itself. That it is written tells too early: a commit can be seen only after that.
 */
static void on_changes(int fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[4096];
	struct accounts *a = arg;
	bool ours = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			struct inotify_event *event = (struct inotify_event *)p;

			ours |= event->len == 0 ||
				strncmp(event->name, a->file, strlen(a->file)) == 0;
			p += sizeof(*event) + event->len;
		}
	}
	if (ours)
		start_refresh(a);
}

static int watch(struct accounts *a, struct event_base *base, const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[4096] = ".";

	if (slash)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	a->file = strdup(slash ? slash + 1 : path);
	a->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!a->file || a->inotify_fd < 0)
		return a->file ? -errno : -ENOMEM;
	if (inotify_add_watch(a->inotify_fd, directory, IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
		return -errno;
	a->changes = event_new(base, a->inotify_fd, EV_READ | EV_PERSIST, on_changes, a);
	return a->changes && event_add(a->changes, NULL) == 0 ? 0 : -ENOMEM;
}

/* --- K-lines ------------------------------------------------------------------------------ */

/* One to be written, or removed. */
struct kept_kline {
	struct worker_job job;
	struct accounts *owner;
	struct room_kline kline;
	bool remove;
	struct error error;
};

static void run_kline(struct worker_job *job)
{
	struct kept_kline *k = CONTAINER_OF(job, struct kept_kline, job);

	bool was_there;

	k->error.text[0] = '\0';
	if (k->remove)
		account_db_remove_kline(k->owner->db, k->kline.mask, &was_there, &k->error);
	else
		account_db_add_kline(k->owner->db, &k->kline, &k->error);
}

static void tell_lost(struct accounts *a, const char *mask, const char *reason)
{
	char text[512];

	snprintf(text, sizeof(text), "What was said of %.100s will not outlive a restart: %.300s",
		 mask, reason);
	log_warning("accounts: %s", text);
	room_tell_opers(a->room, text);
}

static void on_kline_kept(struct worker_job *job)
{
	struct kept_kline *k = CONTAINER_OF(job, struct kept_kline, job);

	if (!job->cancelled && k->error.text[0]) {
		tell_room_the_time(k->owner);
		tell_lost(k->owner, k->kline.mask, k->error.text);
	}
	free_kline(&k->kline);
	free(k);
}

void accounts_keep_kline(struct accounts *a, const struct room_operation *o)
{
	struct room_kline from = { o->target, o->reason ? o->reason : "", o->by, o->at, o->until };
	struct kept_kline *k = calloc(1, sizeof(*k));

	a->kept++;
	if (k && copy_kline(&k->kline, &from) == 0) {
		k->job = (struct worker_job){ .run = run_kline, .done = on_kline_kept };
		k->owner = a;
		k->remove = o->kind == ROOM_UNKLINE;
		if (worker_give(a->worker, &k->job) == 0)
			return;
		free_kline(&k->kline);
	}
	free(k);
	log_warning("accounts: what was said of %s will not outlive a restart: too much to do",
		    o->target);
}

/* --- as a whole --------------------------------------------------------------------------- */

static int first_look(struct accounts *a, struct error *e)
{
	struct refresh *refresh = &a->refresh;
	int r;

	account_db_has_changed(a->db);
	r = read_all(a->db, refresh);
	if (r < 0)
		*e = refresh->error;
	else if (room_set_accounts(a->room, refresh->owned.items, refresh->owned.n) < 0)
		r = error_set(e, -ENOMEM, "out of memory");
	else if (room_set_klines(a->room, refresh->klines.items, refresh->klines.n) < 0)
		r = error_set(e, -ENOMEM, "out of memory");
	clear_klines(&refresh->klines);
	clear_list(&refresh->owned);
	log_notes(&refresh->notes);
	return r;
}

int accounts_new(struct event_base *base, struct room *room, const char *path,
		 struct accounts **ret, struct error *e)
{
	struct accounts *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(e, -ENOMEM, "out of memory");
	a->room = room;
	a->inotify_fd = -1;
	a->refresh.job = (struct worker_job){ .run = run_refresh, .done = on_refreshed };
	list_start(&a->waiting);
	r = account_db_open(path, &a->db, e);
	if (r == 0) {
		a->path = realpath(path, NULL); /* as the kernel calls it */
		if (!a->path)
			r = error_set_errno(e, -errno, "%s", path);
	}
	if (r == 0)
		r = first_look(a, e);
	if (r < 0) {
		accounts_free(a);
		return r;
	}
	a->too_many = event_new(base, -1, 0, on_too_many, a);
	r = a->too_many && hash_init(&a->questions) == 0 ? 0 : -ENOMEM;
	if (r == 0)
		r = watch(a, base, path);
	if (r == 0)
		r = worker_new(base, "accounts", JOBS_MAX, &a->worker);
	if (r < 0) {
		accounts_free(a);
		return error_set_errno(e, r, "%s", path);
	}
	*ret = a;
	return 0;
}

void accounts_free(struct accounts *a)
{
	struct hash_node *node;

	if (!a)
		return;
	/* Nobody is given to the worker any more; on_done() frees the one that it has. */
	while (!list_is_alone(&a->waiting))
		question_free(CONTAINER_OF(a->waiting.next, struct question, link));
	if (a->worker) /* K-lines that wait are to be kept */
		worker_finish(a->worker);
	worker_free(a->worker);
	while ((node = hash_next(&a->questions, NULL)) != NULL)
		question_free(CONTAINER_OF(node, struct question, by_serial));
	hash_clear(&a->questions);
	if (a->changes)
		event_free(a->changes);
	if (a->too_many)
		event_free(a->too_many);
	fd_close(a->inotify_fd);
	account_db_close(a->db);
	free(a->path);
	free(a->file);
	free(a);
}
