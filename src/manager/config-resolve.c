/* SPDX-License-Identifier: MIT */
/*
 * From what was written to what holds: defaults, users and groups, the environment, and what
 * two options of one service must agree on. See config-load.h.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "base/packed.h"
#include "base/units.h"
#include "manager/config-environment.h"
#include "manager/config-load.h"
#include "manager/config-source.h"

#define ENVIRONMENT_FILE_MAX (1 << 20)
#define READY_FD_DEFAULT     3 /* what s6's services are mostly written for */

static uint64_t bit_of(const char *option)
{
	return UINT64_C(1) << option_find(&service_options, option);
}

/* Where the value of a service's option comes from: its own section, or defaults. */
static const struct place *origin(struct loader *l, const struct service_draft *draft,
				  const char *option)
{
	if (!(draft->place.set & bit_of(option)) && (l->defaults_place.set & bit_of(option)))
		return &l->defaults_place;
	return &draft->place;
}

#define complain(l, draft, option, ...) \
	loader_complain(l, origin(l, draft, option), &service_options, option, __VA_ARGS__)

static void fill_defaults(struct loader *l, struct service_draft *draft)
{
	for (size_t i = 0; i < service_options.n; i++) {
		const struct option *o = &service_options.options[i];

		if ((draft->place.set & UINT64_C(1) << i) || !(o->flags & OPTION_DEFAULTS))
			continue;
		if (option_copy(o, draft->service, l->defaults) < 0)
			l->out_of_memory = true;
	}
}

static int add_gid(struct service_config *s, gid_t gid)
{
	gid_t *bigger;

	for (size_t i = 0; i < s->n_groups; i++) {
		if (s->groups[i] == gid)
			return 0;
	}
	bigger = reallocarray(s->groups, s->n_groups + 1, sizeof(gid_t));
	if (!bigger)
		return -ENOMEM;
	s->groups = bigger;
	bigger[s->n_groups++] = gid;
	return 0;
}

/* false after a problem. */
static bool resolve_user(struct loader *l, const struct service_draft *draft)
{
	struct service_config *s = draft->service;
	const struct identity_user *user;

	if (!s->user)
		return true;
	user = identities_user(l->identities, s->user);
	if (!user || user->error == -ENOMEM) {
		l->out_of_memory = true;
		return false;
	}
	if (user->error < 0) {
		complain(l, draft, "user", "there is no user %.64s", s->user);
		return false;
	}
	if (!user->has_group && !s->group) {
		complain(l, draft, "user",
			 "user %.64s has no account, hence no group: set the option group",
			 s->user);
		return false;
	}
	s->uid = user->uid;
	s->gid = user->gid;
	if (user->home && (!(s->home = strdup(user->home)) || !(s->shell = strdup(user->shell))))
		l->out_of_memory = true;
	for (size_t i = 0; i < user->n_groups; i++)
		l->out_of_memory |= add_gid(s, user->groups[i]) < 0;
	return true;
}

static bool resolve_group(struct loader *l, const struct service_draft *draft, const char *option,
			  const char *name, gid_t *ret)
{
	int r = identities_group(l->identities, name, ret);

	if (r == -ENOENT)
		complain(l, draft, option, "there is no group %.64s", name);
	else if (r < 0)
		l->out_of_memory = true;
	return r == 0;
}

static void resolve_identity(struct loader *l, const struct service_draft *draft)
{
	struct service_config *s = draft->service;

	s->uid = geteuid();
	s->gid = getegid();
	if (!resolve_user(l, draft))
		return;
	if (s->group)
		resolve_group(l, draft, "group", s->group, &s->gid);
	STRV_FOREACH(name, s->group_names) {
		gid_t gid;

		if (resolve_group(l, draft, "groups", *name, &gid))
			l->out_of_memory |= add_gid(s, gid) < 0;
	}
	s->change_user = s->user || s->group || strv_length(s->group_names) > 0;
	/* An ordinary user may name itself: that is no change, and needs no right. */
	if (s->uid != 0 && s->uid == geteuid() && s->gid == getegid() &&
	    strv_length(s->group_names) == 0)
		s->change_user = false;
}

static void read_environment_file(struct loader *l, const struct service_draft *draft, char ***list)
{
	const char *path = draft->service->environment_file, *data;
	bool may_miss = path && *path == '-';
	struct error e;
	size_t size;
	int line, r;

	if (!path)
		return;
	path += may_miss;
	r = config_source_read(l->source, path, ENVIRONMENT_FILE_MAX, &data, &size);
	if (r == -ENOENT && may_miss)
		return;
	if (r < 0) {
		complain(l, draft, "environment-file", "cannot read %.256s: %s%s", path,
			 strerror(-r),
			 r == -ENOENT ? "; write \"-PATH\" if it may be missing" : "");
		return;
	}
	r = environment_file_parse(data, size, list, &line, &e);
	if (r == -ENOMEM)
		l->out_of_memory = true;
	else if (r < 0)
		config_problem_add(l->problems, path, line, "%s", e.text);
}

static void resolve_environment(struct loader *l, const struct service_draft *draft)
{
	struct service_config *s = draft->service;
	_cleanup_strv_ char **list = NULL;

	read_environment_file(l, draft, &list);
	STRV_FOREACH(entry, s->environment) {
		if (!environment_valid(*entry))
			complain(l, draft, "environment",
				 "environment: \"%.64s\" is not NAME=value", *entry);
		else if (list && strv_push(&list, *entry) < 0)
			l->out_of_memory = true;
	}
	if (list) {
		strv_free(s->environment);
		s->environment = TAKE_PTR(list);
	}
	environment_unify(s->environment);
	if (environment_size(s->environment) > CONFIG_ENVIRONMENT_MAX)
		complain(l, draft, "environment", "the environment is larger than %d bytes",
			 CONFIG_ENVIRONMENT_MAX);
}

static void check_delays(struct loader *l, const struct service_draft *draft)
{
	const struct service_config *s = draft->service;
	uint64_t set = draft->place.set & (bit_of("restart-delay") | bit_of("restart-delay-max"));
	const char *option = "restart-delay";
	char delay[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];

	if (s->restart_delay <= s->restart_delay_max)
		return;
	if (!set)
		set = l->defaults_place.set; /* neither is the service's own */
	if (!(set & bit_of(option)))
		option = "restart-delay-max";
	complain(l, draft, option, "restart-delay %s is longer than restart-delay-max %s",
		 format_duration(delay, sizeof(delay), s->restart_delay),
		 format_duration(max, sizeof(max), s->restart_delay_max));
}

/* A oneshot service runs as long as its work takes, unless somebody says otherwise. */
static void resolve_start_timeout(struct loader *l, const struct service_draft *draft)
{
	uint64_t set = draft->place.set | l->defaults_place.set;

	if (draft->service->ready == READY_ONESHOT && !(set & bit_of("start-timeout")))
		draft->service->start_timeout = USEC_INFINITY;
}

static void check_ready(struct loader *l, const struct service_draft *draft)
{
	struct service_config *s = draft->service;

	if (!s->has_ready_fd)
		s->ready_fd = READY_FD_DEFAULT;
	if (s->ready != READY_FD && (draft->place.set & bit_of("ready-fd")))
		complain(l, draft, "ready-fd", "ready-fd has a meaning with ready = fd only");
	if (s->ready != READY_FORKING && s->pid_file)
		complain(l, draft, "pid-file", "pid-file has a meaning with ready = forking only");
	if (s->ready == READY_ONESHOT && s->restart == RESTART_ALWAYS)
		complain(l, draft, "restart",
			 "with ready = oneshot, restart = always would never let it have run: no "
			 "or on-failure");
}

/* "USER", "USER:GROUP", ":GROUP"; what is not named stays as it comes. */
static void resolve_log_owner(struct loader *l, const struct service_draft *draft)
{
	struct service_config *s = draft->service;
	const char *text = s->log_owner, *colon = text ? strchr(text, ':') : NULL;
	char name[64];

	s->log_uid = (uid_t)-1;
	s->log_gid = (gid_t)-1;
	if (!text)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(colon ? colon - text : (long)strlen(text)),
		 text);
	if (name[0]) {
		const struct identity_user *user = identities_user(l->identities, name);

		if (!user || user->error == -ENOMEM)
			l->out_of_memory = true;
		else if (user->error < 0)
			complain(l, draft, "log-owner", "log-owner: there is no user %.64s", name);
		else
			s->log_uid = user->uid;
	}
	if (colon && !colon[1])
		complain(l, draft, "log-owner",
			 "log-owner = \"%.64s\" is not possible; it takes %s", text,
			 service_options.options[option_find(&service_options, "log-owner")]
				 .allowed);
	else if (colon)
		resolve_group(l, draft, "log-owner", colon + 1, &s->log_gid);
}

static void check_log(struct loader *l, const struct service_draft *draft)
{
	const struct service_config *s = draft->service;

	if (s->log_prefix && strlen(s->log_prefix) > LOG_PREFIX_MAX)
		complain(l, draft, "log-prefix", "log-prefix has %zu bytes; it takes at most %d",
			 strlen(s->log_prefix), LOG_PREFIX_MAX);
	if (s->log_time > 0 && s->log_time < USEC_PER_SEC)
		complain(l, draft, "log-time",
			 "log-time is shorter than a second; it takes 1s or more");
	if (s->log_compress == LOG_COMPRESS_ZSTD && !packing_is_built(PACKING_ZSTD))
		complain(l, draft, "log-compress",
			 "log-compress = zstd: this foster was built without libzstd; it takes no "
			 "or gzip");
	if (s->log_keep_size > 0 && s->log_keep_size <= s->log_size)
		complain(l, draft, "log-keep-size",
			 "log-keep-size is not larger than log-size: no file could be kept; set a "
			 "smaller log-size, or log-keep = 0");
}

static void resolve_control_group(struct loader *l, const char *option, const char *name,
				  gid_t *ret)
{
	int r = name ? identities_group(l->identities, name, ret) : 0;

	if (r == -ENOENT)
		loader_complain(l, &l->top_places[option_find(&top_options, option)], &top_options,
				option, "there is no group %.64s", name);
	else if (r < 0)
		l->out_of_memory = true;
}

void config_resolve(struct loader *l)
{
	struct config *c = l->config;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service_draft *draft = &l->services[i];

		fill_defaults(l, &l->services[i]);
		resolve_identity(l, draft);
		resolve_environment(l, draft);
		check_delays(l, draft);
		resolve_start_timeout(l, draft);
		check_ready(l, draft);
		resolve_log_owner(l, draft);
		check_log(l, draft);
		if (!draft->service->command &&
		    !((draft->place.set | draft->place.refused) & bit_of("command")))
			loader_complain(
				l, &draft->place, &service_options, "command",
				"service %s has no command: it takes %s", draft->service->name,
				service_options.options[option_find(&service_options, "command")]
					.allowed);
	}
	resolve_control_group(l, "control-group", c->control_group, &c->control_gid);
	resolve_control_group(l, "control-read-group", c->control_read_group, &c->control_read_gid);
}
