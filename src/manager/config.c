/* SPDX-License-Identifier: MIT */
/* The finished config: freeing, finding, comparing, printing. See config.h. */
#include "manager/config.h"

#include <errno.h>
#include <string.h>

#include "base/enum-table.h"
#include "base/strv.h"
#include "manager/config-address.h"
#include "manager/config-draft.h"
#include "manager/config-index.h"
#include "manager/config-object.h"
#include "manager/option.h"

static const char *const restart_names[] = {
	[RESTART_NO] = "no",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_ALWAYS] = "always",
};
ENUM_TABLE(restart_policy, enum restart_policy, restart_names)

static const char *const on_exit_names[] = {
	[ON_EXIT_NOTHING] = "nothing",
	[ON_EXIT_SHUTDOWN] = "shutdown",
};
ENUM_TABLE(on_exit, enum on_exit, on_exit_names)

static const char *const kill_mode_names[] = {
	[KILL_MODE_TREE] = "tree",
	[KILL_MODE_PROCESS] = "process",
};
ENUM_TABLE(kill_mode, enum kill_mode, kill_mode_names)

static const char *const ready_names[] = {
	[READY_EXEC] = "exec",       [READY_NOTIFY] = "notify",   [READY_FD] = "fd",
	[READY_FORKING] = "forking", [READY_ONESHOT] = "oneshot",
};
ENUM_TABLE(ready_type, enum ready_type, ready_names)

static const char *const log_names[] = {
	[LOG_TYPE_FILE] = "file",     [LOG_TYPE_JOURNAL] = "journal",
	[LOG_TYPE_SYSLOG] = "syslog", [LOG_TYPE_INHERIT] = "inherit",
	[LOG_TYPE_NONE] = "none",
};
ENUM_TABLE(log_type, enum log_type, log_names)

static const char *const log_stderr_names[] = {
	[LOG_STDERR_TOGETHER] = "together",
	[LOG_STDERR_APART] = "apart",
};
ENUM_TABLE(log_stderr, enum log_stderr, log_stderr_names)

static const char *const log_format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};
ENUM_TABLE(log_format, enum log_format, log_format_names)

static const char *const log_stamps_names[] = {
	[LOG_STAMPS_NO] = "no",
	[LOG_STAMPS_UTC] = "utc",
	[LOG_STAMPS_LOCAL] = "local",
};

const char *log_stamps_to_string(enum log_stamps value)
{
	return (size_t)value < ELEMENTSOF(log_stamps_names) ? log_stamps_names[value] : NULL;
}

int log_stamps_from_string(const char *text)
{
	if (text && strcmp(text, "true") == 0)
		return LOG_STAMPS_UTC;
	if (text && strcmp(text, "false") == 0)
		return LOG_STAMPS_NO;
	for (size_t i = 0; text && i < ELEMENTSOF(log_stamps_names); i++) {
		if (strcmp(log_stamps_names[i], text) == 0)
			return (int)i;
	}
	return -EINVAL;
}

static const char *const log_compress_names[] = {
	[LOG_COMPRESS_NO] = "no",
	[LOG_COMPRESS_GZIP] = "gzip",
	[LOG_COMPRESS_ZSTD] = "zstd",
};
ENUM_TABLE(log_compress, enum log_compress, log_compress_names)

static const char *const log_full_names[] = {
	[LOG_FULL_BLOCK] = "block",
	[LOG_FULL_DROP] = "drop",
};
ENUM_TABLE(log_full, enum log_full, log_full_names)

/* --- making and freeing --- */

struct config *config_new(void)
{
	struct config *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->service_index = name_index_new();
	c->socket_index = name_index_new();
	return c->service_index && c->socket_index ? c : config_free(c);
}

struct service_config *service_config_free(struct service_config *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < service_options.n; i++)
		option_clear(&service_options.options[i], s);
	free(s->groups);
	free(s->home);
	free(s->shell);
	free(s);
	return NULL;
}

struct socket_config *socket_config_free(struct socket_config *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n_addresses; i++)
		free(s->addresses[i].text);
	free(s->addresses);
	free(s->from_systemd);
	free(s->name);
	free(s->file);
	free(s);
	return NULL;
}

struct config *config_free(struct config *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_services; i++)
		service_config_free(c->services[i]);
	for (size_t i = 0; i < c->n_sockets; i++)
		socket_config_free(c->sockets[i]);
	name_index_free(c->service_index);
	name_index_free(c->socket_index);
	free(c->services);
	free(c->sockets);
	free(c->path);
	free(c->log_directory);
	free(c->control_group);
	free(c->control_read_group);
	free(c->cgroup);
	free(c);
	return NULL;
}

/* --- finding --- */

const struct service_config *config_find_service(const struct config *config, const char *name)
{
	size_t i;

	return name_index_find(config->service_index, name, &i) < 0 ? NULL : config->services[i];
}

const struct socket_config *config_find_socket(const struct config *config, const char *name)
{
	size_t i;

	return name_index_find(config->socket_index, name, &i) < 0 ? NULL : config->sockets[i];
}

/* --- comparing --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_socket(const struct socket_config *a, const struct socket_config *b)
{
	if (!a || !b)
		return a == b;
	if (a->type != b->type || a->n_addresses != b->n_addresses || a->backlog != b->backlog ||
	    a->mode != b->mode || !same_text(a->from_systemd, b->from_systemd))
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (socket_address_compare(&a->addresses[i], &b->addresses[i]) != 0)
			return false;
	}
	return true;
}

static bool same_sockets(const struct config *a, char **list_a, const struct config *b,
			 char **list_b)
{
	if (!strv_equal(list_a, list_b))
		return false;
	STRV_FOREACH(name, list_a) {
		if (!same_socket(config_find_socket(a, *name), config_find_socket(b, *name)))
			return false;
	}
	return true;
}

/* What names of users and groups stand for can change while the names stay. */
static bool same_identity(const struct service_config *a, const struct service_config *b)
{
	return a->change_user == b->change_user && a->uid == b->uid && a->gid == b->gid &&
	       a->n_groups == b->n_groups &&
	       (a->n_groups == 0 || memcmp(a->groups, b->groups, a->n_groups * sizeof(gid_t)) == 0);
}

struct pair {
	const struct config *config_a, *config_b;
	const struct service_config *a, *b;
};

static bool differs(const struct option *o, const struct pair *p)
{
	if (o->flags & OPTION_NO_DIFF)
		return false;
	if (o->offset == offsetof(struct service_config, sockets))
		return !same_sockets(p->config_a, p->a->sockets, p->config_b, p->b->sockets);
	if (o->offset == offsetof(struct service_config, user) && o->type == OPTION_TEXT)
		return !option_equal(o, p->a, p->b) ||
		       (!same_identity(p->a, p->b) &&
			strv_equal(p->a->group_names, p->b->group_names) &&
			(!p->a->group == !p->b->group) &&
			(!p->a->group || strcmp(p->a->group, p->b->group) == 0));
	return !option_equal(o, p->a, p->b);
}

static enum config_effect effect_of(const struct option *o)
{
	if (!(o->flags & OPTION_RESTART))
		return EFFECT_NONE;
	return o->flags & OPTION_ATTRIBUTE ? EFFECT_PENDING : EFFECT_RESTART;
}

char *config_diff_service(const struct config *a, const struct service_config *service_a,
			  const struct config *b, const struct service_config *service_b,
			  enum config_effect *ret_effect)
{
	const struct pair pair = { a, b, service_a, service_b };
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	enum config_effect effect = EFFECT_NONE;
	FILE *f = open_memstream(&text, &size);
	long n = 0;

	if (!f) {
		errno = ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < service_options.n; i++) {
		const struct option *o = &service_options.options[i];

		if (!differs(o, &pair))
			continue;
		fprintf(f, "%s%s", n++ ? ", " : "", o->name);
		effect = MAX(effect, effect_of(o));
	}
	if (fclose(f) != 0) {
		errno = ENOMEM;
		return NULL;
	}
	*ret_effect = effect;
	errno = 0;
	return n ? TAKE_PTR(text) : NULL;
}

/* --- printing --- */

void config_print_service(const struct service_config *service, FILE *f)
{
	fprintf(f, "service %s {\n", service->name);
	for (size_t i = 0; i < service_options.n; i++) {
		const struct option *o = &service_options.options[i];

		/* Its variables stand in environment. */
		if (!(o->flags & OPTION_NO_DIFF))
			option_print(o, service, "\t", f);
	}
	fprintf(f, "}\n");
}

static void print_given_socket(const struct socket_config *socket, FILE *f)
{
	const struct socket_draft draft = { .from_systemd = socket->from_systemd };
	int i = option_find(&socket_options, "from-systemd");

	fprintf(f, "socket %s {\n", socket->name);
	option_print(&socket_options.options[i], &draft, "\t", f);
	fprintf(f, "}\n");
}

static void print_socket(const struct socket_config *socket, FILE *f)
{
	if (socket->from_systemd) {
		print_given_socket(socket, f);
		return;
	}
	fprintf(f, "socket %s {\n\t%s = {", socket->name,
		socket->type == SOCK_STREAM ? "listen" : "datagram");
	for (size_t i = 0; i < socket->n_addresses; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", socket->addresses[i].text);
	fprintf(f, "}\n");
	if (socket->type == SOCK_STREAM)
		fprintf(f, "\tbacklog = %d\n", socket->backlog);
	if (socket->n_addresses > 0 && socket->addresses[0].address.ss_family == AF_UNIX)
		fprintf(f, "\tmode = \"%04o\"\n", socket->mode);
	fprintf(f, "}\n");
}

void config_print(const struct config *config, FILE *f)
{
	if (config->log_directory)
		fprintf(f, "log-directory = \"%s\"\n", config->log_directory);
	if (config->control_group)
		fprintf(f, "control-group = \"%s\"\n", config->control_group);
	if (config->cgroup)
		fprintf(f, "cgroup = \"%s\"\n", config->cgroup);
	if (config->control_read_group)
		fprintf(f, "control-read-group = \"%s\"\n", config->control_read_group);
	for (size_t i = 0; i < config->n_sockets; i++)
		print_socket(config->sockets[i], f);
	for (size_t i = 0; i < config->n_services; i++)
		config_print_service(config->services[i], f);
}
