/* SPDX-License-Identifier: MIT */
/* What operators ask for: see operate.h. */
#include "chat/admin/operate.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/exchange.h"
#include "base/log.h"
#include "base/strv.h"
#include "base/units.h"
#include "chat/admin/answer.h"
#include "chat/admin/feed.h"
#include "chat/admin/packet.h"
#include "chat/admin/question.h"
#include "chat/admin/redact.h"
#include "chat/admin/words.h"
#include "chat/chat-config.h"
#include "chat/course.h"
#include "chat/operators.h"
#include "chat/utf8.h"

#define ANSWER_TIME  (5 * USEC_PER_SEC) /* for a request */
#define CONFIRM_TIME (30 * USEC_PER_SEC)
#define PENDING_MAX  16
#define LOG_LINES    10 /* as many as the manager gives */
#define TARGET_SIZE  1024
#define LOGGED       200 /* bytes of an answer */
#define TAKEN_MAX    64  /* services that a stop of one takes with it */

/* What waits for its confirmation. */
struct pending {
	uint64_t until; /* 0: this place is free */
	char token[9];
	char account[ROOM_NICK_MAX + 1];
	enum verb verb;
	char service[QUESTION_NAME_MAX + 1];
};

struct operate {
	const char *control, *own; /* the room's own service; NULL: nobody knows */
	char **accounts, **protected, **show_log;
	regex_t *redact;
	size_t n_redact;
	struct pending pending[PENDING_MAX];
};

/* --- the configuration ---------------------------------------------------------------------- */

static void clear(struct operate *o)
{
	o->accounts = strv_free(o->accounts);
	o->protected = strv_free(o->protected);
	o->show_log = strv_free(o->show_log);
	while (o->n_redact > 0)
		regfree(&o->redact[--o->n_redact]);
	free(o->redact);
	o->redact = NULL;
}

/* Without memory nobody has rights, and no log is shown. */
void operate_configure(struct operate *o, const struct operators_config *config)
{
	size_t n = strv_length(config->redact);
	bool all = true;

	clear(o);
	o->redact = calloc(n + 1, sizeof(*o->redact));
	for (size_t i = 0; i < n && o->redact && all; i++) {
		all = regcomp(&o->redact[i], config->redact[i], REG_EXTENDED | REG_ICASE) == 0;
		o->n_redact += all;
	}
	if (o->redact && all)
		o->show_log = strv_copy(config->show_log);
	o->protected = strv_copy(config->protected);
	if (o->protected)
		o->accounts = strv_copy(config->accounts);
}

struct operate *operate_new(const char *control, const char *own,
			    const struct operators_config *config)
{
	struct operate *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->control = control;
	o->own = own && *own ? own : NULL;
	operate_configure(o, config);
	return o;
}

void operate_free(struct operate *o)
{
	if (!o)
		return;
	clear(o);
	free(o);
}

bool operate_may_show(const struct operate *o, const char *service)
{
	return matches_any(o->show_log, service);
}

void operate_redact(const struct operate *o, const char *line, char *buf, size_t size)
{
	redact_line(o->redact, o->n_redact, line, buf, size);
}

static void redact(void *arg, const char *line, char *buf, size_t size)
{
	operate_redact(arg, line, buf, size);
}

/* --- requests ------------------------------------------------------------------------------- */

struct request {
	const char *method, *target;
	json_t *reply;
	int status, error;
};

static int prepare(struct exchange *e, bool again)
{
	const struct request *r = e->user;

	/* Whether it was done nobody knows: a second restart is not what was asked for. */
	if (again && strcmp(r->method, "GET") != 0)
		return -EPIPE;
	e->request = http_request(r->method, r->target, NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static enum exchange_next done(struct exchange *e)
{
	struct request *r = e->user;

	r->error = e->error;
	r->status = e->status;
	r->reply = e->error == 0 ? json_loads(e->body, 0, NULL) : NULL;
	return EXCHANGE_OVER;
}

static void call(const struct operate *o, struct request *r)
{
	static const struct exchange_ops ops = { .prepare = prepare, .done = done };
	struct exchange e = { .ops = &ops, .user = r };

	exchange_run(o->control, &e, 1, now_monotonic() + ANSWER_TIME);
	exchange_clear(&e);
}

/* False: there is no reply, and answer says why. */
static bool has_reply(const struct request *r, char *answer, size_t size)
{
	if (json_is_object(r->reply))
		return true;
	snprintf(answer, size, "the supervisor does not answer: %s",
		 strerror(r->error < 0 ? -r->error : EPROTO));
	return false;
}

static void get_service(const struct operate *o, const char *service, const char *what,
			struct request *r, char *target, size_t size)
{
	char *name = http_escape(service);

	snprintf(target, size, "/v1/services/%s%s", name ? name : "", what);
	free(name);
	*r = (struct request){ .method = "GET", .target = target };
	call(o, r);
}

/* --- what everybody in the channel may ask -------------------------------------------------- */

static void help(char *answer, size_t size)
{
	snprintf(answer, size,
		 "!status [SERVICE], !why SERVICE, !log SERVICE [LINES]\n"
		 "operators: !start, !stop, !restart SERVICE; !reload; !ack SERVICE; "
		 "!confirm CODE\n");
}

static void status(const struct operate *o, const struct question *q, char *answer, size_t size)
{
	struct request r = { .method = "GET", .target = "/v1/services" };

	call(o, &r);
	if (has_reply(&r, answer, size))
		answer_services(r.reply, q->service, redact, (void *)o, answer, size);
	json_decref(r.reply);
}

static void why(const struct operate *o, const struct question *q, char *answer, size_t size)
{
	char target[TARGET_SIZE];
	struct request r;

	get_service(o, q->service, "/why", &r, target, sizeof(target));
	if (has_reply(&r, answer, size) && r.status == 200)
		answer_why(r.reply, redact, (void *)o, answer, size);
	else if (r.reply)
		answer_result(r.reply, r.status, "why", answer, size);
	json_decref(r.reply);
}

static void show_log(const struct operate *o, const struct question *q, char *answer, size_t size)
{
	char target[TARGET_SIZE];
	struct request r;
	int64_t n = LOG_LINES;

	if (*q->rest && parse_int(q->rest, 1, LOG_LINES, &n) < 0) {
		snprintf(answer, size, "!log SERVICE [LINES], at most %d", LOG_LINES);
		return;
	}
	if (!operate_may_show(o, q->service)) {
		snprintf(answer, size,
			 "%s: its log is not for this channel (operators-log in chat.conf)",
			 q->service);
		return;
	}
	get_service(o, q->service, "", &r, target, sizeof(target));
	if (has_reply(&r, answer, size) && r.status == 200)
		answer_log(r.reply, n, redact, (void *)o, answer, size);
	else if (r.reply)
		answer_result(r.reply, r.status, "log", answer, size);
	json_decref(r.reply);
}

/* --- what takes a right --------------------------------------------------------------------- */

static void act(const struct operate *o, const struct packet *p, enum verb verb,
		const char *service, char *answer, size_t size)
{
	char *name = http_escape(service), *whom = http_escape(p->account), target[TARGET_SIZE];
	struct request r = { .method = "POST", .target = target };

	if (verb == VERB_RELOAD)
		snprintf(target, sizeof(target), "/v1/reload?for=%s", whom ? whom : "");
	else
		snprintf(target, sizeof(target), "/v1/services/%s/%s?wait=0&for=%s",
			 name ? name : "", verb_to_string(verb), whom ? whom : "");
	free(name);
	free(whom);
	call(o, &r);
	if (has_reply(&r, answer, size) && verb == VERB_RELOAD)
		answer_reload(r.reply, r.status, redact, (void *)o, answer, size);
	else if (r.reply)
		answer_result(r.reply, r.status, verb_to_string(verb), answer, size);
	json_decref(r.reply);
}

/* Those that a stop takes with it: what requires the service, and what requires that. */
struct taken {
	size_t n;
	char names[TAKEN_MAX][QUESTION_NAME_MAX + 1];
};

static void take(struct taken *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->names[i], name) == 0)
			return;
	}
	if (t->n < TAKEN_MAX)
		snprintf(t->names[t->n++], sizeof(t->names[0]), "%s", name);
}

static void take_dependents(struct taken *t, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "required_by"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *name = words_of(item, "name");

		if (*name && strcmp(words_of(item, "state"), "stopped") != 0)
			take(t, name);
	}
}

/* Nobody could start the room again from within it. */
static bool is_own(const struct operate *o, const char *service)
{
	return o->own && strcmp(o->own, service) == 0;
}

static bool is_any_protected(const struct operate *o)
{
	return o->own || strv_length(o->protected) > 0;
}

/*
 * The first that would go and is protected; NULL: none. Of so many that they are not all looked
 * through the last one counts as protected. False: answer says why nobody knows.
 */
static bool find_protected(const struct operate *o, const char *service, struct taken *t,
			   const char **ret, char *answer, size_t size)
{
	t->n = 0;
	take(t, service);
	for (size_t i = 0; i < t->n && is_any_protected(o); i++) {
		char target[TARGET_SIZE];
		struct request r;
		bool known;

		*ret = t->names[i];
		if (i == TAKEN_MAX - 1 || is_own(o, t->names[i]) ||
		    matches_any(o->protected, t->names[i]))
			return true;
		get_service(o, t->names[i], "/why", &r, target, sizeof(target));
		known = has_reply(&r, answer, size);
		take_dependents(t, r.reply);
		json_decref(r.reply);
		if (!known)
			return false;
	}
	*ret = NULL;
	return true;
}

static void ask_back(struct operate *o, const struct packet *p, const struct question *q,
		     const char *protected, char *answer, size_t size)
{
	bool other = strcmp(protected, q->service) != 0;
	struct pending *free_one = &o->pending[0];
	uint32_t number = 0;

	for (size_t i = 1; i < PENDING_MAX; i++) {
		if (o->pending[i].until < free_one->until)
			free_one = &o->pending[i]; /* the oldest gives way */
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
		snprintf(answer, size, "not now: there are no random numbers");
		return;
	}
	free_one->until = now_monotonic() + CONFIRM_TIME;
	free_one->verb = q->verb;
	snprintf(free_one->token, sizeof(free_one->token), "%08" PRIx32, number);
	snprintf(free_one->account, sizeof(free_one->account), "%s", p->account);
	snprintf(free_one->service, sizeof(free_one->service), "%s", q->service);
	snprintf(answer, size, "%s is %s%s%s: !confirm %s within %d s to %s %s", protected,
		 is_own(o, protected) ? "this room itself" : "protected",
		 other ? ", and ends with " : "", other ? q->service : "", free_one->token,
		 (int)(CONFIRM_TIME / USEC_PER_SEC), verb_to_string(q->verb),
		 other ? q->service : "it");
}

/* By whom it was asked for, in time, and once. */
static void confirm(struct operate *o, const struct packet *p, const struct question *q,
		    char *answer, size_t size)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct pending *at = &o->pending[i];

		if (at->until < now_monotonic() || strcmp(at->token, q->service) != 0 ||
		    strcmp(at->account, p->account) != 0)
			continue;
		at->until = 0;
		/* The rights may be others by now. */
		if (operator_may(o->accounts, p->account, verb_to_string(at->verb), at->service))
			act(o, p, at->verb, at->service, answer, size);
		else
			snprintf(answer, size, "refused: no right to that any more");
		return;
	}
	snprintf(answer, size, "nothing waits for that code of yours");
}

static void acknowledge(struct feed *feed, const struct packet *p, const struct question *q,
			char *answer, size_t size)
{
	if (feed_acknowledge(feed, q->service))
		snprintf(answer, size, "%s: %s takes care of it%s%s", q->service, p->account,
			 *q->rest ? ": " : "", q->rest);
	else
		snprintf(answer, size, "%s: nothing is known to be wrong with it", q->service);
}

/* What is told of how to ask; of which the first one has to be there, and the last may go on. */
static const struct form {
	const char *arguments;
	int min, max; /* words; -1: any number */
} forms[VERBS] = {
	[VERB_NONE] = { "", 0, -1 },
	[VERB_HELP] = { "", 0, -1 },
	[VERB_STATUS] = { " [SERVICE]", 0, 1 },
	[VERB_WHY] = { " SERVICE", 1, 1 },
	[VERB_LOG] = { " SERVICE [LINES]", 1, 2 },
	[VERB_START] = { " SERVICE", 1, 1 },
	[VERB_STOP] = { " SERVICE", 1, 1 },
	[VERB_RESTART] = { " SERVICE", 1, 1 },
	[VERB_RELOAD] = { "", 0, 0 },
	[VERB_ACK] = { " SERVICE [TEXT]", 1, -1 },
	[VERB_CONFIRM] = { " CODE", 1, 1 },
};

/* False: there is too little, or more than is meant, and maybe something else is meant. */
static bool has_form(const struct question *q, char *answer, size_t size)
{
	const struct form *form = &forms[q->verb];
	int words = (*q->service != 0) + (*q->rest != 0) + (strchr(q->rest, ' ') != NULL);

	if (words >= form->min && (form->max < 0 || words <= form->max))
		return true;
	snprintf(answer, size, "!%s%s%s", verb_to_string(q->verb), form->arguments,
		 words < form->min ? "" : ", and nothing more: nothing was done");
	return false;
}

/* Who may not is told so, and so is the log. */
static bool refuse(const struct operate *o, const struct packet *p, const struct question *q,
		   char *answer, size_t size)
{
	const char *account = *p->account ? p->account : NULL;
	bool may = q->verb == VERB_CONFIRM
			   ? is_operator(o->accounts, account)
			   : operator_may(o->accounts, account, verb_to_string(q->verb),
					  q->verb == VERB_RELOAD ? "" : q->service);

	if (may)
		return false;
	if (account)
		snprintf(answer, size, "refused: the account %s has no right to that", account);
	else
		snprintf(answer, size, "refused: log in to an operator's account first");
	log_notice("admin: %s (%s%s%s): refused: %s%s%s", p->source,
		   account ? "account " : "no account", account ? account : "",
		   p->in_channel ? ", in the channel" : "", verb_to_string(q->verb),
		   *q->service ? " " : "", q->service);
	return true;
}

/* A stop or restart: at once, or when it is confirmed. */
static void end_service(struct operate *o, const struct packet *p, const struct question *q,
			char *answer, size_t size)
{
	const char *protected;
	struct taken taken;

	if (!find_protected(o, q->service, &taken, &protected, answer, size))
		return;
	if (protected)
		ask_back(o, p, q, protected, answer, size);
	else
		act(o, p, q->verb, q->service, answer, size);
}

static void command(struct operate *o, const struct packet *p, const struct question *q,
		    struct feed *feed, char *answer, size_t size)
{
	if (refuse(o, p, q, answer, size))
		return;
	if (q->verb == VERB_STOP || q->verb == VERB_RESTART)
		end_service(o, p, q, answer, size);
	else if (q->verb == VERB_CONFIRM)
		confirm(o, p, q, answer, size);
	else if (q->verb == VERB_ACK)
		acknowledge(feed, p, q, answer, size);
	else
		act(o, p, q->verb, q->service, answer, size);
	log_notice("admin: %s (account %s): %s%s%s: %.*s", p->source, p->account,
		   verb_to_string(q->verb), *q->service ? " " : "", q->service,
		   (int)utf8_cut(answer, strcspn(answer, "\n"), LOGGED), answer);
}

void operate_answer(struct operate *o, const struct packet *p, struct feed *feed, char *answer,
		    size_t size)
{
	char text[PACKET_TEXT_MAX + 1]; /* without colours and the like */
	struct question q;
	size_t n;

	answer[0] = '\0';
	for (n = course_plain(text, sizeof(text), p->text, strlen(p->text));
	     n > 0 && text[n - 1] == ' '; n--)
		text[n - 1] = '\0';
	question_parse(text, &q);
	if (!o->control) {
		snprintf(answer, size, "there is no supervisor to ask");
		return;
	}
	if (!has_form(&q, answer, size))
		return;
	switch (q.verb) {
	case VERB_HELP: help(answer, size); break;
	case VERB_STATUS: status(o, &q, answer, size); break;
	case VERB_WHY: why(o, &q, answer, size); break;
	case VERB_LOG: show_log(o, &q, answer, size); break;
	case VERB_START:
	case VERB_STOP:
	case VERB_RESTART:
	case VERB_RELOAD:
	case VERB_ACK:
	case VERB_CONFIRM: command(o, p, &q, feed, answer, size); break;
	case VERB_NONE:
	case VERBS: snprintf(answer, size, "!%s? !help tells what there is", q.word); break;
	}
}
