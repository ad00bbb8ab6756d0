/* SPDX-License-Identifier: MIT */
/* Accounts and K-lines from the command line: see account-verbs.h. */
#include "config.h"

#include "chat/account-verbs.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "chat/account-db.h"
#include "chat/names.h"
#include "chat/privilege.h"

#define EXIT_USAGE 2

struct call {
	const struct chat_config *config;
	struct account_db *db;
	char **args;
	int n;
	char by[256]; /* who does it */
	struct error e;
};

/* --- passwords ---------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* by which signal */

static void on_interrupt(int signo)
{
	interrupted = signo;
}

/*
 * Reads one line without its end, byte by byte: what follows is not ours. -ENODATA at the end.
 * Signals come while it waits, with that mask, and at no other moment: -EINTR.
 */
static int read_line(char *buf, size_t room, const sigset_t *mask)
{
	size_t n = 0;

	for (;;) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		ssize_t got;
		char c;

		if (ppoll(&input, 1, NULL, mask) < 0)
			return -errno;
		got = read(STDIN_FILENO, &c, 1);
		if (got < 0)
			return -errno;
		if (got == 0 && n == 0)
			return -ENODATA;
		if (got == 0 || c == '\n')
			break;
		if (n + 1 == room)
			return -E2BIG;
		buf[n++] = c;
	}
	if (n > 0 && buf[n - 1] == '\r')
		n--;
	buf[n] = '\0';
	return 0;
}

static int cannot_read(int r, struct error *e)
{
	if (r == -ENODATA)
		return error_set(e, r, "no password was given");
	if (r == -E2BIG)
		return error_set(e, r, "a password has at most %d bytes", PASSWORD_MAX);
	return error_set_errno(e, r, "no password");
}

static int ask_twice(char *buf, size_t room, const sigset_t *mask, struct error *e)
{
	char again[PASSWORD_MAX + 3] = "";
	int r;

	fputs("Password: ", stderr);
	r = read_line(buf, room, mask);
	if (r == 0) {
		fputs("The same again: ", stderr);
		r = read_line(again, sizeof(again), mask);
	}
	if (r < 0)
		cannot_read(r, e);
	else if (strcmp(buf, again) != 0)
		r = error_set(e, -EINVAL, "these were two passwords");
	explicit_bzero(again, sizeof(again));
	return r;
}

/* The terminal is silent before it is asked, and speaks again whatever ends the asking. */
static int ask_terminal(char *buf, size_t room, struct error *e)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	const struct sigaction catch = { .sa_handler = on_interrupt };
	struct sigaction before_us[ELEMENTSOF(signals)];
	struct termios before, silent;
	sigset_t ours, mask;
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return error_set_errno(e, -errno, "the terminal");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	silent.c_lflag |= ECHONL;
	sigemptyset(&ours);
	for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
		sigaddset(&ours, signals[i]);
		sigaction(signals[i], &catch, &before_us[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, &mask);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
		r = error_set_errno(e, -errno, "the terminal");
	else
		r = ask_twice(buf, room, &mask, e);
	tcsetattr(STDIN_FILENO, TCSANOW, &before); /* a terminal that is stuck holds up nothing */
	for (size_t i = 0; i < ELEMENTSOF(signals); i++)
		sigaction(signals[i], &before_us[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (interrupted)
		raise(interrupted);
	return r;
}

static int read_password(struct credential *credential, struct error *e)
{
	char text[PASSWORD_MAX + 3];
	const char *refusal;
	int r;

	if (isatty(STDIN_FILENO)) {
		r = ask_terminal(text, sizeof(text), e);
	} else {
		r = read_line(text, sizeof(text), NULL);
		if (r == -ENODATA)
			error_set(e, r, "no password came from the standard input");
		else if (r < 0)
			cannot_read(r, e);
	}
	if (r < 0)
		return r;
	refusal = password_refusal(text, strlen(text));
	if (refusal)
		r = error_set(e, -EINVAL, "%s", refusal);
	else if ((r = credential_make(credential, text, strlen(text))) < 0)
		error_set_errno(e, r, "the password could not be hashed");
	explicit_bzero(text, sizeof(text));
	return r;
}

/* --- who does it -------------------------------------------------------------------------- */

static void describe_caller(char *buf, size_t room)
{
	const struct passwd *user = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER"), *tty = ttyname(STDIN_FILENO);
	size_t n;

	if (user)
		n = snprintf(buf, room, "%s", user->pw_name);
	else
		n = snprintf(buf, room, "uid %u", (unsigned)getuid());
	if (sudo && *sudo && n < room)
		n += snprintf(buf + n, room - n, " (%s by sudo)", sudo);
	if (tty && n < room)
		snprintf(buf + n, room - n, " on %s", tty);
	for (char *p = buf; *p; p++) {
		if (iscntrl((unsigned char)*p))
			*p = '?';
	}
}

static int note(struct call *c, const char *text)
{
	return account_db_note(c->db, c->by, text, time(NULL), &c->e);
}

/* --- the verbs ---------------------------------------------------------------------------- */

static int add(struct call *c)
{
	const char *name = c->args[0];
	struct credential credential;
	char text[128];
	int r;

	if (!name_is_nick(name, c->config->room.nick_length) || name_is_reserved(name))
		return error_set(&c->e, -EINVAL,
				 "\"%s\" is no name: it is made as a nick, of at most %u bytes",
				 name, c->config->room.nick_length);
	r = read_password(&credential, &c->e);
	if (r == 0)
		r = account_db_add(c->db, name, &credential, time(NULL), &c->e);
	explicit_bzero(&credential, sizeof(credential));
	snprintf(text, sizeof(text), "added \"%s\"", name);
	return r < 0 ? r : note(c, text);
}

static int passwd(struct call *c)
{
	struct credential credential;
	struct account account;
	char text[128];
	int r = account_db_find(c->db, c->args[0], &account, &c->e);

	if (r == 0)
		r = read_password(&credential, &c->e);
	if (r == 0)
		r = account_db_set_password(c->db, account.name, &credential, &c->e);
	explicit_bzero(&credential, sizeof(credential));
	snprintf(text, sizeof(text), "changed the password of \"%s\"", account.name);
	return r < 0 ? r : note(c, text);
}

static int remove_account(struct call *c)
{
	struct account account;
	char text[128];
	int r = account_db_find(c->db, c->args[0], &account, &c->e);

	if (r == 0)
		r = account_db_remove(c->db, account.name, &c->e);
	snprintf(text, sizeof(text), "removed \"%s\"", account.name);
	return r < 0 ? r : note(c, text);
}

static int print_account(void *arg, const char *name, int64_t created)
{
	char when[32] = "?";
	time_t seconds = (time_t)created;
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d", &tm);
	printf("%s\t%s\n", name, when);
	return 0;
}

static int list(struct call *c)
{
	return account_db_list(c->db, print_account, NULL, &c->e);
}

static int print_thing(void *arg, const char *name, const char *value)
{
	printf("%s\t%s\n", name, value);
	return 0;
}

/* "AA:BB:..." and "aabb..." are the same, and so is the line "sha256 Fingerprint=AA:BB:...". */
static int read_fingerprint(const char *text, char fingerprint[FINGERPRINT_SIZE + 1],
			    struct error *e)
{
	const char *equals = strchr(text, '=');
	size_t n = 0;

	for (text = equals ? equals + 1 : text; *text; text++) {
		if (*text == ':')
			continue;
		if (!isxdigit((unsigned char)*text) || n == FINGERPRINT_SIZE)
			break;
		fingerprint[n++] = (char)tolower((unsigned char)*text);
	}
	fingerprint[n] = '\0';
	if (*text || n != FINGERPRINT_SIZE)
		return error_set(
			e, -EINVAL,
			"a certificate's fingerprint is its SHA-256: 64 hexadecimal digits");
	return 0;
}

static int read_thing(struct call *c, enum account_thing thing,
		      char value[FINGERPRINT_SIZE + ROOM_NICK_MAX + 1])
{
	if (thing == ACCOUNT_CERTIFICATE)
		return read_fingerprint(c->args[1], value, &c->e);
	if (!name_is_nick(c->args[1], c->config->room.nick_length) || name_is_reserved(c->args[1]))
		return error_set(&c->e, -EINVAL, "\"%s\" is no nick", c->args[1]);
	strcpy(value, c->args[1]);
	return 0;
}

static int give_or_take(struct call *c, enum account_thing thing, bool give)
{
	char value[FINGERPRINT_SIZE + ROOM_NICK_MAX + 1], text[512];
	int r = read_thing(c, thing, value);

	if (r == 0)
		r = give ? account_db_give(c->db, thing, c->args[0], value, &c->e)
			 : account_db_take(c->db, thing, c->args[0], value, &c->e);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%s the %s %s %s \"%.80s\"", give ? "gave" : "took",
		 thing == ACCOUNT_NICK ? "nick" : "certificate", value, give ? "to" : "from",
		 c->args[0]);
	return note(c, text);
}

static int cert_add(struct call *c)
{
	return give_or_take(c, ACCOUNT_CERTIFICATE, true);
}

static int cert_remove(struct call *c)
{
	return give_or_take(c, ACCOUNT_CERTIFICATE, false);
}

/* Of one that is not there nothing would be told. */
static int list_things(struct call *c, enum account_thing thing)
{
	struct account account;
	int r = c->n > 0 ? account_db_find(c->db, c->args[0], &account, &c->e) : 0;

	if (r < 0)
		return r;
	return account_db_list_things(c->db, thing, c->n > 0 ? c->args[0] : NULL, print_thing, NULL,
				      &c->e);
}

static int cert_list(struct call *c)
{
	return list_things(c, ACCOUNT_CERTIFICATE);
}

static int nick_add(struct call *c)
{
	return give_or_take(c, ACCOUNT_NICK, true);
}

static int nick_remove(struct call *c)
{
	return give_or_take(c, ACCOUNT_NICK, false);
}

static int nick_list(struct call *c)
{
	return list_things(c, ACCOUNT_NICK);
}

static int print_kline(void *arg, const struct room_kline *k)
{
	time_t seconds = (time_t)(k->until / USEC_PER_SEC);
	char until[32] = "for ever";
	struct tm tm;

	if (k->until && gmtime_r(&seconds, &tm))
		strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s\t%s\t%s\t%s\n", k->mask, until, k->by, k->reason);
	return 0;
}

static int kline_list(struct call *c)
{
	return account_db_list_klines(c->db, now_realtime(), print_kline, NULL, &c->e);
}

static int kline_remove(struct call *c)
{
	char mask[256], text[300];
	bool was_there = false;
	int r;

	snprintf(mask, sizeof(mask), "%s%s", strchr(c->args[0], '@') ? "" : "*@", c->args[0]);
	r = account_db_remove_kline(c->db, mask, &was_there, &c->e);
	if (r == 0 && !was_there)
		r = error_set(&c->e, -ENOENT, "nobody is kept out by \"%s\"; see kline list", mask);
	snprintf(text, sizeof(text), "let in again \"%s\"", mask);
	return r < 0 ? r : note(c, text);
}

static const struct {
	const char *group, *first, *second, *arguments; /* second NULL: there is none */
	int min, max;
	int (*run)(struct call *c);
} verbs[] = {
	{ "account", "add", NULL, "NAME", 1, 1, add },
	{ "account", "passwd", NULL, "NAME", 1, 1, passwd },
	{ "account", "remove", NULL, "NAME", 1, 1, remove_account },
	{ "account", "list", NULL, "", 0, 0, list },
	{ "account", "cert", "add", "NAME FINGERPRINT", 2, 2, cert_add },
	{ "account", "cert", "remove", "NAME FINGERPRINT", 2, 2, cert_remove },
	{ "account", "cert", "list", "[NAME]", 0, 1, cert_list },
	{ "account", "nick", "add", "NAME NICK", 2, 2, nick_add },
	{ "account", "nick", "remove", "NAME NICK", 2, 2, nick_remove },
	{ "account", "nick", "list", "[NAME]", 0, 1, nick_list },
	{ "kline", "list", NULL, "", 0, 0, kline_list },
	{ "kline", "remove", NULL, "MASK", 1, 1, kline_remove },
};

static int print_usage(const char *group)
{
	fprintf(stderr, "usage: fosterctl chat %s VERB\n\n", group);
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		if (strcmp(verbs[i].group, group) == 0)
			fprintf(stderr, "  %s%s%s %s\n", verbs[i].first, verbs[i].second ? " " : "",
				verbs[i].second ? verbs[i].second : "", verbs[i].arguments);
	}
	if (strcmp(group, "account") == 0)
		fputs("\nPasswords come from the terminal, or are the first line of the standard "
		      "input.\n",
		      stderr);
	return EXIT_USAGE;
}

/* What root does here is the server's to read: so it is done by the server's user. */
static int become_user(struct call *c)
{
	struct identity identity;
	int r;

	if (!c->config->user || geteuid() != 0)
		return 0;
	r = identity_find(c->config->user, &identity, &c->e);
	if (r == 0)
		r = identity_make_directory(&identity, c->config->state_directory, &c->e);
	return r < 0 ? r : identity_become(&identity, &c->e);
}

static int run(struct call *c, int (*verb)(struct call *c), const char *config)
{
	char *path = chat_config_state_file(c->config, "accounts.db");
	int r;

	c->e.text[0] = '\0';
	describe_caller(c->by, sizeof(c->by));
	r = path ? become_user(c) : error_set(&c->e, -ENOMEM, "out of memory");
	if (r == 0)
		r = account_db_open(path, &c->db, &c->e);
	free(path);
	if (r == 0)
		r = verb(c);
	account_db_close(c->db);
	if (r == 0 && fflush(stdout) != 0)
		r = error_set_errno(&c->e, -errno, "the output");
	if (r < 0) {
		log_error("%s", c->e.text);
		return EXIT_FAILURE;
	}
	if (!c->config->room.accounts)
		log_notice("accounts are off in %s: nobody can log in before \"accounts = on\"",
			   config ? config : "the defaults, without a config file");
	return EXIT_SUCCESS;
}

bool is_account_group(const char *word)
{
	return strcmp(word, "account") == 0 || strcmp(word, "kline") == 0;
}

int account_verb(const struct chat_config *config, const char *path, const char *group, char **args,
		 int n)
{
	struct call c = { .config = config };

	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		int words = verbs[i].second ? 2 : 1;

		if (n < words || strcmp(group, verbs[i].group) != 0 ||
		    strcmp(args[0], verbs[i].first) != 0 ||
		    (words == 2 && strcmp(args[1], verbs[i].second) != 0))
			continue;
		c.args = args + words;
		c.n = n - words;
		if (c.n < verbs[i].min || c.n > verbs[i].max)
			break;
		return run(&c, verbs[i].run, path);
	}
	return print_usage(group);
}
