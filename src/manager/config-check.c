/* SPDX-License-Identifier: MIT */
/*
 * What services and sockets say of one another: names that do not exist, cycles of requires and
 * after, addresses used twice. See config-load.h.
 */
#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "base/text.h"
#include "manager/config-address.h"
#include "manager/config-load.h"

#define SUGGESTIONS_MAX 20 /* a search looks at every name: not for thousands of misspellings */
#define CYCLES_MAX      20

struct check {
	struct loader *l;
	size_t suggestions;
};

static const char *service_name(const struct config *config, size_t i)
{
	return config->services[i]->name;
}

static const char *socket_name(const struct config *config, size_t i)
{
	return config->sockets[i]->name;
}

/* An unknown name in a list, with the nearest known one. */
static void unknown_name(struct check *c, const struct service_draft *draft, const char *option,
			 const char *what, const char *name, size_t n,
			 const char *(*name_of)(const struct config *, size_t))
{
	struct nearest search = { .word = name };

	if (c->suggestions++ < SUGGESTIONS_MAX) {
		for (size_t i = 0; i < n; i++)
			nearest_consider(&search, name_of(c->l->config, i));
	}
	loader_complain(c->l,
			draft->place.set & UINT64_C(1) << option_find(&service_options, option)
				? &draft->place
				: &c->l->defaults_place,
			&service_options, option, "%s: there is no %s %.64s%s%s%s", option, what,
			name, search.best ? " (did you mean " : "", search.best ? search.best : "",
			search.best ? "?)" : "");
}

/* true when the element stands in the list before, too. */
static bool is_repeated(char **list, char **element)
{
	for (char **s = list; s < element; s++) {
		if (strcmp(*s, *element) == 0)
			return true;
	}
	return false;
}

static void check_services_named(struct check *c, const struct service_draft *draft,
				 const char *option, char **list)
{
	const struct config *config = c->l->config;

	STRV_FOREACH(name, list) {
		if (!config_find_service(config, *name))
			unknown_name(c, draft, option, "service", *name, config->n_services,
				     service_name);
		else if (is_repeated(list, name))
			loader_complain(c->l, &draft->place, &service_options, option,
					"%s names %s twice", option, *name);
	}
}

static void check_sockets_named(struct check *c, const struct service_draft *draft)
{
	const struct config *config = c->l->config;
	char **list = draft->service->sockets;
	size_t n = 0;

	STRV_FOREACH(name, list) {
		const struct socket_config *socket = config_find_socket(config, *name);

		if (!socket)
			unknown_name(c, draft, "sockets", "socket", *name, config->n_sockets,
				     socket_name);
		else if (is_repeated(list, name))
			loader_complain(c->l, &draft->place, &service_options, "sockets",
					"sockets names %s twice", *name);
		n += socket ? socket->n_addresses : 0;
	}
	if (n > 0 && n <= CONFIG_SOCKETS_MAX &&
	    n + draft->service->fd_store_max > CONFIG_SOCKETS_MAX)
		loader_complain(
			c->l, &draft->place, &service_options, "fd-store-max",
			"fd-store-max = %u and %zu sockets are more than the %d descriptors "
			"that a service can be given",
			draft->service->fd_store_max, n, CONFIG_SOCKETS_MAX);
	if (n > CONFIG_SOCKETS_MAX)
		loader_complain(c->l, &draft->place, &service_options, "sockets",
				"the sockets have %zu addresses; a service can be given %d", n,
				CONFIG_SOCKETS_MAX);
	if (draft->service->ready == READY_FD && draft->service->ready_fd > 2 &&
	    (size_t)draft->service->ready_fd < 3 + n + draft->service->fd_store_max)
		loader_complain(c->l, &draft->place, &service_options,
				draft->service->has_ready_fd ? "ready-fd" : "ready",
				"ready-fd = %d is the number of one of its sockets, or of what it "
				"stores: it takes %zu or more, or 1",
				draft->service->ready_fd, 3 + n + draft->service->fd_store_max);
}

/* --- cycles: a depth-first search with its own stack, for chains may be thousands long --- */

enum colour {
	WHITE, /* not seen */
	GREY,  /* on the stack */
	BLACK, /* done */
};

struct frame {
	size_t service;
	size_t next; /* which of its dependencies comes next */
};

struct search {
	struct check *c;
	char *colours;
	struct frame *stack;
	size_t depth;
	size_t found;
};

/* The i-th of requires and after together; NULL behind the last. */
static const char *dependency(const struct service_config *s, size_t i)
{
	size_t n = strv_length(s->requires);

	if (i < n)
	return s->requires[i];
	return i - n < strv_length(s->after) ? s->after[i - n] : NULL;
}

/* The stack from the service that is met again up to its top is the cycle. */
static void tell_cycle(struct search *s, size_t met)
{
	struct loader *l = s->c->l;
	char text[512];
	size_t start = 0, size = 0;

	while (s->stack[start].service != met)
		start++;
	for (size_t i = start; i <= s->depth && size < sizeof(text); i++) {
		size_t service = i == s->depth ? met : s->stack[i].service;

		/* A long cycle is cut in the middle: its end closes it. */
		if (size > sizeof(text) - 2 * CONFIG_NAME_MAX - 16 && i < s->depth - 1) {
			size += snprintf(text + size, sizeof(text) - size, " -> ...");
			i = s->depth - 2;
			continue;
		}
		size += snprintf(text + size, sizeof(text) - size, "%s%s", i == start ? "" : " -> ",
				 service_name(l->config, service));
	}
	loader_complain(l, &l->services[met].place, &service_options,
			l->services[met].service->requires ? "requires" : "after",
			"these services wait for each other: %s", text);
	s->found++;
}

static void visit(struct search *s, size_t service)
{
	s->colours[service] = GREY;
	s->stack[s->depth++] = (struct frame){ service, 0 };
}

static void search_from(struct search *s, size_t first)
{
	const struct config *config = s->c->l->config;

	visit(s, first);
	while (s->depth > 0) {
		struct frame *top = &s->stack[s->depth - 1];
		const char *name = dependency(config->services[top->service], top->next++);
		size_t other;

		if (!name) {
			s->colours[top->service] = BLACK;
			s->depth--;
		} else if (name_index_find(config->service_index, name, &other) < 0) {
			continue; /* told already */
		} else if (s->colours[other] == WHITE) {
			visit(s, other);
		} else if (s->colours[other] == GREY && s->found < CYCLES_MAX) {
			tell_cycle(s, other);
		}
	}
}

static void check_cycles(struct check *c)
{
	size_t n = c->l->config->n_services;
	_cleanup_free_ char *colours = calloc(n + 1, 1);
	_cleanup_free_ struct frame *stack = calloc(n + 1, sizeof(*stack));
	struct search search = { c, colours, stack };

	if (!colours || !stack) {
		c->l->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (colours[i] == WHITE)
			search_from(&search, i);
	}
}

/* --- addresses --- */

struct used_address {
	const struct socket_address *address;
	size_t socket;
	int type;
};

static int compare_used(const void *a, const void *b)
{
	const struct used_address *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return socket_address_compare(x->address, y->address);
}

static void check_addresses(struct check *c)
{
	const struct config *config = c->l->config;
	_cleanup_free_ struct used_address *used = NULL;
	size_t n = 0;

	for (size_t i = 0; i < config->n_sockets; i++)
		n += config->sockets[i]->n_addresses;
	used = calloc(n + 1, sizeof(*used));
	if (!used) {
		c->l->out_of_memory = true;
		return;
	}
	n = 0;
	for (size_t i = 0; i < config->n_sockets; i++) {
		const struct socket_config *s = config->sockets[i];

		/* A path is one file, whichever type of socket it is. */
		for (size_t k = 0; k < s->n_addresses; k++)
			used[n++] = (struct used_address){
				&s->addresses[k], i,
				s->addresses[k].address.ss_family == AF_UNIX ? 0 : s->type
			};
	}
	qsort(used, n, sizeof(*used), compare_used);
	for (size_t i = 1; i < n; i++) {
		const struct socket_config *a = config->sockets[used[i - 1].socket];
		const struct socket_config *b = config->sockets[used[i].socket];

		if (compare_used(&used[i - 1], &used[i]) == 0)
			loader_complain(
				c->l, &c->l->socket_places[used[i].socket], &socket_options,
				b->type == SOCK_STREAM ? "listen" : "datagram",
				"the address %.128s is used twice: in socket %s (%s) and %s",
				used[i].address->text, a->name, a->file, b->name);
	}
}

/* The file of its standard error must not be the log of another one. */
static void check_log_names(struct check *c, const struct service_draft *draft)
{
	const struct service_config *s = draft->service, *other;
	char name[CONFIG_NAME_MAX + sizeof(".stderr")];

	if (s->log != LOG_TYPE_FILE || s->log_stderr != LOG_STDERR_APART)
		return;
	snprintf(name, sizeof(name), "%s.stderr", s->name);
	other = config_find_service(c->l->config, name);
	if (other && other->log == LOG_TYPE_FILE)
		loader_complain(c->l, &draft->place, &service_options, "log-stderr",
				"log-stderr = apart writes %s.log, which is the log of the service "
				"%s; one of them needs another name",
				name, name);
}

static void check_cgroup(struct loader *l)
{
	const char *cgroup = l->config->cgroup;
	int i = option_find(&top_options, "cgroup");

	if (cgroup && cgroup[0] != '/' && strcmp(cgroup, "auto") != 0 && strcmp(cgroup, "no") != 0)
		loader_complain(l, &l->top_places[i], &top_options, "cgroup",
				"cgroup cannot be \"%.64s\"; it takes %s", cgroup,
				top_options.options[i].allowed);
}

void config_check(struct loader *l)
{
	struct check c = { .l = l };

	for (size_t i = 0; i < l->config->n_services; i++) {
		const struct service_draft *draft = &l->services[i];

		check_services_named(&c, draft, "requires", draft->service->requires);
		check_services_named(&c, draft, "after", draft->service->after);
		check_sockets_named(&c, draft);
		check_log_names(&c, draft);
	}
	check_cycles(&c);
	check_addresses(&c);
	check_cgroup(l);
}
