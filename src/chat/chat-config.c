/* SPDX-License-Identifier: MIT */
/* chat.conf: see chat-config.h. */
#include "config.h"

#include "chat/chat-config.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/config-scan.h"
#include "base/fd.h"
#include "base/strv.h"
#include "base/text.h"
#include "base/units.h"
#include "chat/chat-options.h"
#include "chat/cloak.h"
#include "chat/listen.h"
#include "chat/names.h"
#include "chat/utf8.h"

#define CONFIG_MAX     (1024 * 1024)
#define MOTD_MAX       (64 * 1024)
#define MOTD_LINES_MAX 200
#define FIRST_PERSON   1000 /* the first uid of somebody with a home; below it are services */

#define CONFIG(member) offsetof(struct chat_config, member)

/* --- the file ----------------------------------------------------------------------------- */

/* What was seen of an option so far. */
struct seen {
	unsigned values;
	int line;
	bool closed;   /* a list's '}' has come */
	char last[64]; /* the beginning of the last value */
};

/* libconfuse's callbacks know nothing of who called; one file is read at a time. */
static struct {
	struct error *e;
	const char *path;
	struct seen seen[CHAT_OPTIONS];
} reading;

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < CHAT_OPTIONS; i++) {
		if (strcmp(chat_options[i].name, name) == 0)
			return &chat_options[i];
	}
	return NULL;
}

static const char *nearest_name(const char *word)
{
	struct nearest search = { .word = word };

	for (size_t i = 0; i < CHAT_OPTIONS; i++)
		nearest_consider(&search, chat_options[i].name);
	return search.best;
}

static void PRINTF(2, 0) on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const char unknown[] = "no such option '";
	char text[512], *name, *end;
	const char *nearest = NULL;

	if (reading.e->text[0]) /* the first one is the cause */
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	name = strncmp(text, unknown, sizeof(unknown) - 1) == 0 ? text + sizeof(unknown) - 1 : NULL;
	end = name ? strchr(name, '\'') : NULL;
	if (end) {
		*end = '\0';
		nearest = nearest_name(name);
		error_set(reading.e, -EINVAL, "%s:%d: there is no option \"%s\"%s%s%s",
			  reading.path, cfg->line, name, nearest ? "; did you mean \"" : "",
			  nearest ? nearest : "", nearest ? "\"?" : "");
	} else {
		error_set(reading.e, -EINVAL, "%s:%d: %s", reading.path, cfg->line, text);
	}
}

/*
 * libconfuse calls after each value, and after a list's '}' once more with the last one. A second
 * assignment to an option starts its values anew, without a word: true if this is one.
 */
static bool is_second(struct seen *seen, const struct option_row *row, unsigned size,
		      const char *value, int line)
{
	if (seen->values == 0)
		seen->line = line;
	if (seen->closed || size < seen->values || (!chat_option_is_list(row) && seen->values > 0))
		return true;
	if (size == seen->values) {
		seen->closed = true;
		return strncmp(seen->last, value, sizeof(seen->last) - 1) != 0;
	}
	seen->values = size;
	snprintf(seen->last, sizeof(seen->last), "%s", value);
	return false;
}

/* With the line at hand. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct option_row *row = find_row(opt->name);
	unsigned size = cfg_opt_size(opt);
	const char *value = size ? cfg_opt_getnstr(opt, size - 1) : "";
	struct error e;
	uint64_t number;

	if (is_second(&reading.seen[row - chat_options], row, size, value, cfg->line)) {
		cfg_error(cfg, "%s is set twice", opt->name);
		return -1;
	}
	if (chat_option_parse(row, value, &number, &e) < 0) {
		cfg_error(cfg, "%s: %s", opt->name, e.text);
		return -1;
	}
	return 0;
}

static int store_option(struct chat_config *config, const struct option_row *row, cfg_opt_t *opt)
{
	int r = 0;

	if (row->offset == CONFIG(irc_listen))
		config->irc_listen_set = true;
	if (row->offset == CONFIG(course_listen))
		config->course_listen_set = true;
	if (chat_option_is_list(row)) {
		char ***list = (char ***)((char *)config + row->offset);

		*list = strv_free(*list);
	}
	for (unsigned i = 0; i < cfg_opt_size(opt) && r == 0; i++)
		r = chat_option_store(config, row, cfg_opt_getnstr(opt, i));
	return r;
}

/* --- the scan before libconfuse: strings, comments and the shape of what stands there --- */

static bool on_section(void *ctx, int line, const char *kind, const char *title)
{
	if (!reading.e->text[0])
		error_set(reading.e, -EINVAL, "%s:%d: there is no section \"%.64s\", nor any other",
			  reading.path, line, kind);
	return false;
}

static void on_section_end(void *ctx)
{
}

static bool on_option(void *ctx, int line, const char *name, bool list)
{
	return true;
}

static void on_problem(void *ctx, int line, const char *text)
{
	if (!reading.e->text[0])
		error_set(reading.e, -EINVAL, "%s:%d: %s", reading.path, line, text);
}

/* What libconfuse is to see; see config-scan.h. */
static int scan(const char *text, size_t size, char **ret)
{
	static const struct scan_events events = { .begin = on_section,
						   .option = on_option,
						   .end = on_section_end,
						   .problem = on_problem };
	int r = config_scan(text, size, &events, NULL, ret);

	if (r == -ENOMEM)
		return error_set(reading.e, r, "out of memory");
	return reading.e->text[0] ? -EINVAL : r;
}

static int read_options(struct chat_config *config, cfg_t *cfg)
{
	for (size_t i = 0; i < CHAT_OPTIONS; i++) {
		cfg_opt_t *opt = cfg_getopt(cfg, chat_options[i].name);
		const struct seen *seen = &reading.seen[i];
		int r;

		/* An empty list has no values but was set. */
		if (seen->values == 0 && !(opt->flags & CFGF_MODIFIED))
			continue;
		if (chat_option_is_list(&chat_options[i]) && seen->values > 0 && !seen->closed)
			return error_set(reading.e, -EINVAL, "%s:%d: %s is a list: {\"%s\"}",
					 reading.path, seen->line, opt->name, seen->last);
		r = store_option(config, &chat_options[i], opt);
		if (r < 0)
			return error_set_errno(reading.e, r, "%s", chat_options[i].name);
	}
	return 0;
}

/* A file that a reload finds to be something else keeps nobody waiting, and ends nothing. */
static int read_text(const char *what, const char *path, size_t max, char **ret, struct error *e)
{
	size_t size;
	int r = fd_read_regular(path, max, ret, &size);

	if (r == -EMEDIUMTYPE)
		return error_set(e, -EINVAL, "%s%s is no regular file", what, path);
	if (r < 0)
		return error_set_errno(e, r, "%s%s", what, path);
	if (strlen(*ret) != size)
		return error_set(e, -EINVAL, "%s%s is no text: it has a NUL byte", what, path);
	return 0;
}

static int read_file(struct chat_config *config, const char *path, struct error *e)
{
	cfg_opt_t opts[CHAT_OPTIONS + 1];
	_cleanup_free_ char *text = NULL, *clean = NULL;
	cfg_t *cfg;
	int r = read_text("", path, CONFIG_MAX, &text, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < CHAT_OPTIONS; i++) {
		if (chat_option_is_list(&chat_options[i]))
			opts[i] =
				(cfg_opt_t)CFG_STR_LIST(chat_options[i].name, NULL, CFGF_NODEFAULT);
		else
			opts[i] = (cfg_opt_t)CFG_STR(chat_options[i].name, NULL, CFGF_NODEFAULT);
	}
	opts[CHAT_OPTIONS] = (cfg_opt_t)CFG_END();
	memset(&reading, 0, sizeof(reading));
	reading.e = e;
	reading.path = path;
	e->text[0] = '\0';
	r = scan(text, strlen(text), &clean);
	if (r < 0)
		return r;
	cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg)
		return error_set(e, -ENOMEM, "out of memory");
	cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; i < CHAT_OPTIONS; i++)
		cfg_set_validate_func(cfg, chat_options[i].name, on_value);
	r = cfg_parse_buf(cfg, clean);
	if (r != CFG_SUCCESS)
		r = e->text[0] ? -EINVAL : error_set(e, -EINVAL, "%s: cannot be read", path);
	else
		r = read_options(config, cfg);
	cfg_free(cfg);
	return r;
}

/* --- the whole ---------------------------------------------------------------------------- */

/* A path that is not absolute starts where chat.conf is. */
static char *beside(const char *path, const char *name)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *whole = NULL;

	if (name[0] == '/' || !slash)
		return strdup(name);
	if (asprintf(&whole, "%.*s/%s", (int)(slash - path), path, name) < 0)
		return NULL;
	return whole;
}

static char *absolute(const char *path)
{
	_cleanup_free_ char *here = getcwd(NULL, 0);
	char *whole = NULL;

	return here && asprintf(&whole, "%s/%s", here, path) >= 0 ? whole : NULL;
}

/* Starts where chat.conf is, too. */
static int make_whole(char **file, const char *path)
{
	char *whole;

	if (!*file)
		return 0;
	whole = beside(path, *file);
	if (!whole)
		return -ENOMEM;
	free(*file);
	*file = whole;
	return 0;
}

static int read_motd(struct chat_config *config, const char *path, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r;

	if (!config->motd_file)
		return 0;
	if (strv_length(config->motd) > 0)
		return error_set(e, -EINVAL, "%s: motd and motd-file are both set; leave one out",
				 path);
	if (make_whole(&config->motd_file, path) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = read_text("motd-file ", config->motd_file, MOTD_MAX, &text, e);
	if (r < 0) {
		error_prefix(e, "%s", path);
		return r;
	}
	for (rest = text; (line = strsep(&rest, "\n")) != NULL && r == 0;) {
		line[strcspn(line, "\r")] = '\0';
		if (!utf8_is_valid(line, strlen(line)))
			return error_set(e, -EINVAL, "%s: motd-file %s is not UTF-8", path,
					 config->motd_file);
		if (rest || *line) /* what follows the last line's end is no line */
			r = strv_push(&config->motd, line);
	}
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

/* The certificate is part of the config: with a bad one nothing of a new config holds. */
static int read_certificate(struct chat_config *config, const char *path, struct error *e)
{
	if (!config->tls_certificate) {
		const char *what = config->tls_key                       ? "tls-key"
				   : strv_length(config->tls_listen) > 0 ? "tls-listen"
				   : config->room.sts_duration           ? "sts-duration"
									 : NULL;

		return what ? error_set(e, -EINVAL,
					"%s: %s is set; it needs tls-certificate = \"FILE\"", path,
					what)
			    : 0;
	}
	if (make_whole(&config->tls_certificate, path) < 0 ||
	    make_whole(&config->tls_key, path) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (tls_context_new(config->tls_certificate,
			    config->tls_key ? config->tls_key : config->tls_certificate,
			    &config->tls, e) < 0) {
		error_prefix(e, "%s", path);
		return -EINVAL;
	}
	return 0;
}

static int check_plaintext(const struct chat_config *config, const char *path, struct error *e)
{
	struct error ignored;

	if (config->plaintext == PLAINTEXT_ANYWHERE)
		return 0;
	STRV_FOREACH(address, config->irc_listen) {
		struct sockaddr_storage storage;
		socklen_t length;

		if (listen_parse(*address, &storage, &length, &ignored) == 0 &&
		    !address_is_loopback(&storage))
			return error_set(e, -EINVAL, "%s: irc-listen %s: " PLAINTEXT_REFUSED, path,
					 *address);
	}
	return 0;
}

/* Else nobody could ever be one of them. */
static int check_operators(const struct chat_config *config, const char *path, struct error *e)
{
	const char *what = strv_length(config->operators.accounts) > 0 ? "operators"
			   : strv_length(config->server_operators) > 0 ? "server-operators"
								       : NULL;

	if (name_equal(config->operators.channel, config->course_channel))
		return error_set(e, -EINVAL,
				 "%s: operators-channel and course-channel are both %s: nobody is "
				 "known by the course's door",
				 path, config->course_channel);
	if (what && !config->room.accounts)
		return error_set(e, -EINVAL, "%s: %s is set; it needs accounts = on", path, what);
	return 0;
}

static int check_whole(struct chat_config *config, const char *path, struct error *e)
{
	int r;

	if (strv_length(config->motd) > MOTD_LINES_MAX)
		return error_set(e, -EINVAL, "%s: the MOTD has more than %d lines", path,
				 MOTD_LINES_MAX);
	if (strv_length(config->irc_listen) > SOCKETS_MAX ||
	    strv_length(config->tls_listen) > SOCKETS_MAX ||
	    strv_length(config->course_listen) > SOCKETS_MAX)
		return error_set(e, -EINVAL, "%s: more than %d addresses", path, SOCKETS_MAX);
	r = check_operators(config, path, e);
	return r < 0 ? r : check_plaintext(config, path, e);
}

/* The system's own for root and those that stand for services, else the user's own. */
static char *default_state_directory(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;

	if (getuid() < FIRST_PERSON || ((!state || state[0] != '/') && (!home || home[0] != '/')))
		return strdup(STATEDIR);
	if (state && state[0] == '/')
		return asprintf(&path, "%s/foster-chat", state) < 0 ? NULL : path;
	return asprintf(&path, "%s/.local/state/foster-chat", home) < 0 ? NULL : path;
}

/* Absolute: fosterctl looks for it from another working directory. */
static int find_state_directory(struct chat_config *config, const char *path, struct error *e)
{
	_cleanup_free_ char *given = TAKE_PTR(config->state_directory), *beside_it = NULL;

	if (!given) {
		config->state_directory = default_state_directory();
	} else {
		beside_it = beside(path, given);
		if (beside_it && beside_it[0] == '/')
			config->state_directory = TAKE_PTR(beside_it);
		else if (beside_it)
			config->state_directory = absolute(beside_it);
	}
	return config->state_directory ? 0 : error_set(e, -ENOMEM, "out of memory");
}

char *chat_config_state_file(const struct chat_config *config, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", config->state_directory, name) < 0 ? NULL : path;
}

static void point_into(struct chat_config *config)
{
	config->room.server_name = config->server_name;
	config->room.network = config->network;
	config->room.course_channel = config->course_channel;
	config->room.operators_channel =
		*config->operators.channel ? config->operators.channel : NULL;
	config->room.operators = config->operators.accounts;
	config->room.password = config->password;
	config->room.motd = config->motd;
	config->room.server_operators = config->server_operators;
	config->room.history_channels = config->history_channels;
	config->room.history_age = config->history.age;
	config->room.version = "foster-" PACKAGE_VERSION;
	config->room.cloak = config->cloak_key ? cloak_address : NULL;
	config->room.cloak_key = config->cloak_key;
}

static void config_freep(struct chat_config **config)
{
	chat_config_free(*config);
}

int chat_config_load(const char *path, struct chat_config **ret, struct error *e)
{
	_cleanup_(config_freep) struct chat_config *config = calloc(1, sizeof(*config));
	int r = config ? 0 : -ENOMEM;

	for (size_t i = 0; i < CHAT_OPTIONS && r == 0; i++)
		r = chat_option_store_default(config, &chat_options[i]);
	if (r < 0)
		return error_set_errno(e, r, "the defaults");
	if (path)
		r = read_file(config, path, e);
	if (r == 0)
		r = read_motd(config, path, e);
	if (r == 0)
		r = find_state_directory(config, path, e);
	if (r == 0)
		r = check_whole(config, path, e);
	if (r == 0)
		r = read_certificate(config, path, e);
	if (r < 0)
		return r;
	config->room.created = now_realtime();
	if (getrandom(&config->room.secret, sizeof(config->room.secret), 0) < 0)
		return error_set_errno(e, -errno, "getrandom");
	point_into(config);
	*ret = TAKE_PTR(config);
	return 0;
}

void chat_config_free(struct chat_config *config)
{
	if (!config)
		return;
	free(config->server_name);
	free(config->network);
	free(config->course_channel);
	free(config->password);
	free(config->motd_file);
	free(config->state_directory);
	free(config->user);
	free(config->cloak_key);
	strv_free(config->server_operators);
	free(config->operators.channel);
	strv_free(config->operators.accounts);
	strv_free(config->operators.protected);
	strv_free(config->operators.show_log);
	strv_free(config->operators.redact);
	strv_free(config->history_channels);
	free(config->tls_certificate);
	free(config->tls_key);
	tls_context_free(config->tls);
	strv_free(config->irc_listen);
	strv_free(config->tls_listen);
	strv_free(config->course_listen);
	strv_free(config->motd);
	free(config);
}

/* next takes the value, now gets the other one to free. */
static bool keep_text(char **next, char **now)
{
	char *text = *next;
	bool differs = *next && *now ? strcmp(*next, *now) != 0 : *next != *now;

	*next = *now;
	*now = text;
	return differs;
}

static bool keep_list(char ***next, char ***now)
{
	char **list = *next;
	bool differs = !strv_equal(*next, *now);

	*next = *now;
	*now = list;
	return differs;
}

struct changed {
	char *names;
	size_t size;
};

static void note_if(struct changed *c, bool differs, const char *name)
{
	size_t used = strlen(c->names);

	if (differs && used < c->size)
		snprintf(c->names + used, c->size - used, "%s%s", used ? ", " : "", name);
}

void chat_config_keep_fixed(struct chat_config *next, struct chat_config *now, char *names,
			    size_t size)
{
	struct changed c = { names, size };

	names[0] = '\0';
	note_if(&c, keep_text(&next->server_name, &now->server_name), "server-name");
	note_if(&c, keep_text(&next->network, &now->network), "network");
	note_if(&c, keep_text(&next->course_channel, &now->course_channel), "course-channel");
	note_if(&c, next->room.history != now->room.history, "history");
	note_if(&c, keep_text(&next->operators.channel, &now->operators.channel),
		"operators-channel");
	note_if(&c, keep_list(&next->irc_listen, &now->irc_listen), "irc-listen");
	note_if(&c, keep_list(&next->course_listen, &now->course_listen), "course-listen");
	note_if(&c, keep_list(&next->tls_listen, &now->tls_listen), "tls-listen");
	note_if(&c, next->plaintext != now->plaintext, "plaintext");
	note_if(&c, keep_text(&next->state_directory, &now->state_directory), "state-directory");
	note_if(&c, keep_text(&next->cloak_key, &now->cloak_key), "cloak-key");
	note_if(&c, keep_text(&next->user, &now->user), "user");
	note_if(&c, next->sandbox != now->sandbox, "sandbox");
	note_if(&c, next->room.accounts != now->room.accounts, "accounts");
	note_if(&c, next->room.nick_length != now->room.nick_length, "nick-length");
	next->room.history = now->room.history;
	next->plaintext = now->plaintext;
	next->sandbox = now->sandbox;
	next->room.accounts = now->room.accounts;
	next->room.nick_length = now->room.nick_length;
	next->room.on_loopback = now->room.on_loopback;
	next->room.created = now->room.created;
	next->room.secret = now->room.secret;
	point_into(next);
}
