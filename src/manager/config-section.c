/* SPDX-License-Identifier: MIT */
/* Sections of a file to services, sockets, defaults and the top level. See config-load.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/strv.h"
#include "manager/config-address.h"
#include "manager/config-load.h"
#include "manager/config-object.h"

/* Sets the options of a section that the mask names. */
static void set_options(struct loader *l, void *object, const struct section_text *section,
			uint64_t mask)
{
	for (size_t i = 0; i < section->table->n; i++) {
		struct error e;
		int r;

		if (!(section->place.set & mask & UINT64_C(1) << i))
			continue;
		r = option_set(&section->table->options[i], object, section->values[i],
			       section->n_values[i], &e);
		if (r == -ENOMEM)
			l->out_of_memory = true;
		else if (r < 0)
			config_problem_add(l->problems, section->place.file,
					   section->place.lines[i], "%s", e.text);
	}
}

/* "conf.d/web.conf:3", relative to the main file's directory; the caller's. */
static char *place_text(struct loader *l, const struct place *place)
{
	const char *file = place->file;
	char *text;

	if (strncmp(file, l->config->path, l->directory_size) == 0)
		file += l->directory_size;
	if (asprintf(&text, "%s:%d", file, place->line) < 0) {
		l->out_of_memory = true;
		return NULL;
	}
	return text;
}

/* With its name, and where it stands, behind it. NULL: out of memory. */
static struct service_config *new_service(struct loader *l, const struct section_text *section)
{
	_cleanup_free_ char *file = place_text(l, &section->place);
	size_t size = strlen(section->title) + 1;
	struct service_config *s = file ? calloc(1, sizeof(*s) + size + strlen(file) + 1) : NULL;

	if (!s)
		return NULL;
	s->name = memcpy(s + 1, section->title, size);
	s->file = strcpy(s->name + size, file);
	return s;
}

static bool name_valid(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-");

	return n > 0 && !name[n] && n <= CONFIG_NAME_MAX && name[0] != '.' && name[0] != '-';
}

/* A section's name: well formed, and not there before. */
static bool check_name(struct loader *l, const struct section_text *section, const char *other_file)
{
	const char *kind = section->table->section;

	if (!name_valid(section->title))
		config_problem_add(
			l->problems, section->place.file, section->place.line,
			"\"%.80s\" cannot be the name of a %s; a name has 1 to %d of the "
			"letters a-z A-Z, digits and . _ @ -, and begins neither with . "
			"nor with -",
			section->title, kind, CONFIG_NAME_MAX);
	else if (other_file)
		config_problem_add(l->problems, section->place.file, section->place.line,
				   "there are two of %s %s; the other is at %s", kind,
				   section->title, other_file);
	else
		return true;
	return false;
}

static void take_service(struct loader *l, const struct section_text *section)
{
	struct config *c = l->config;
	const struct service_config *other = config_find_service(c, section->title);
	size_t room = l->services_room;
	struct service_config *s;

	if (!check_name(l, section, other ? other->file : NULL))
		return;
	if (c->n_services == CONFIG_SERVICES_MAX) {
		config_problem_add(l->problems, section->place.file, section->place.line,
				   "there are more than %d services", CONFIG_SERVICES_MAX);
		return;
	}
	if (!loader_make_room(l, &c->services, c->n_services, &room, sizeof(*c->services)) ||
	    !loader_make_room(l, &l->services, c->n_services, &l->services_room,
			      sizeof(*l->services)))
		return;
	s = new_service(l, section);
	if (!s || name_index_add(c->service_index, s->name, c->n_services) < 0) {
		service_config_free(s);
		l->out_of_memory = true;
		return;
	}
	c->services[c->n_services] = s;
	l->services[c->n_services++] = (struct service_draft){ s, section->place };
	set_options(l, s, section, UINT64_MAX);
}

static void take_defaults(struct loader *l, const struct section_text *section)
{
	const struct place *old = &l->defaults_place;

	if (old->file) {
		config_problem_add(l->problems, section->place.file, section->place.line,
				   "there are two sections defaults; the other is at %s:%d",
				   old->file, old->line);
		return;
	}
	l->defaults_place = section->place;
	set_options(l, l->defaults, section, UINT64_MAX);
}

/* The addresses of a section, from its list listen or datagram. */
static void take_addresses(struct loader *l, struct socket_config *socket,
			   const struct place *place, const char *option, char **list)
{
	socket->addresses = calloc(strv_length(list) + 1, sizeof(*socket->addresses));
	if (!socket->addresses) {
		l->out_of_memory = true;
		return;
	}
	STRV_FOREACH(text, list) {
		struct socket_address *a = &socket->addresses[socket->n_addresses];
		struct error e;

		if (socket_address_parse(*text, a, &e) < 0) {
			loader_complain(l, place, &socket_options, option, "%s: %s", option,
					e.text);
			continue;
		}
		a->text = strdup(*text);
		l->out_of_memory |= !a->text;
		socket->n_addresses++;
	}
}

static bool has_unix_address(const struct socket_config *socket)
{
	for (size_t i = 0; i < socket->n_addresses; i++) {
		if (socket->addresses[i].address.ss_family == AF_UNIX)
			return true;
	}
	return false;
}

/* It goes through LISTEN_FDNAMES, which colons divide, and fosterd's store. */
static bool given_name_valid(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (name[i] < ' ' || name[i] > '~' || name[i] == ':')
			return false;
	}
	return n <= CONFIG_NAME_MAX;
}

/* A socket that systemd has bound: its unit says all of it. */
static void check_given_socket(struct loader *l, const struct socket_config *socket,
			       const struct socket_draft *draft, const struct place *place)
{
	static const char *const others[] = { "listen", "datagram", "backlog", "mode" };

	for (size_t i = 0; i < ELEMENTSOF(others); i++) {
		if (place->set & UINT64_C(1) << option_find(&socket_options, others[i]))
			loader_complain(l, place, &socket_options, others[i],
					"socket %s has both from-systemd and %s: what systemd has "
					"bound is described in its socket unit",
					socket->name, others[i]);
	}
	if (!given_name_valid(draft->from_systemd))
		loader_complain(l, place, &socket_options, "from-systemd",
				"from-systemd = \"%.80s\": a FileDescriptorName= has here 1 to %d "
				"printable ASCII signs, and no colon",
				draft->from_systemd, CONFIG_NAME_MAX);
}

/* What the options of a socket section must agree on. */
static void check_socket(struct loader *l, const struct socket_config *socket,
			 const struct socket_draft *draft, const struct place *place)
{
	bool has_mode = place->set & UINT64_C(1) << option_find(&socket_options, "mode");
	bool has_backlog = place->set & UINT64_C(1) << option_find(&socket_options, "backlog");

	if (draft->from_systemd) {
		check_given_socket(l, socket, draft, place);
		return;
	}
	if (draft->listen && draft->datagram)
		loader_complain(l, place, &socket_options, "datagram",
				"socket %s has both listen and datagram: write two sockets",
				socket->name);
	else if (strv_length(draft->listen) + strv_length(draft->datagram) == 0 && !place->refused)
		loader_complain(l, place, &socket_options, "listen",
				"socket %s has no address: write listen = {\"127.0.0.1:6667\"}, "
				"datagram, or from-systemd",
				socket->name);
	else if (has_mode && !has_unix_address(socket))
		loader_complain(l, place, &socket_options, "mode",
				"mode is for Unix sockets, and socket %s has none", socket->name);
	if (has_backlog && draft->datagram)
		loader_complain(l, place, &socket_options, "backlog",
				"backlog is for listen, not for datagram");
}

static void take_socket(struct loader *l, const struct section_text *section)
{
	struct config *c = l->config;
	const struct socket_config *other = config_find_socket(c, section->title);
	struct socket_draft draft = { 0 };
	size_t room = l->sockets_room;
	struct socket_config *s;

	if (!check_name(l, section, other ? other->file : NULL))
		return;
	if (!loader_make_room(l, &c->sockets, c->n_sockets, &room, sizeof(*c->sockets)) ||
	    !loader_make_room(l, &l->socket_places, c->n_sockets, &l->sockets_room,
			      sizeof(*l->socket_places)))
		return;
	s = calloc(1, sizeof(*s));
	if (!s || !(s->name = strdup(section->title)) ||
	    !(s->file = place_text(l, &section->place)) ||
	    name_index_add(c->socket_index, s->name, c->n_sockets) < 0) {
		socket_config_free(s);
		l->out_of_memory = true;
		return;
	}
	l->socket_places[c->n_sockets] = section->place;
	c->sockets[c->n_sockets++] = s;
	for (size_t i = 0; i < socket_options.n; i++)
		l->out_of_memory |= option_set_fallback(&socket_options.options[i], &draft) < 0;
	set_options(l, &draft, section, UINT64_MAX);
	s->type = draft.datagram ? SOCK_DGRAM : SOCK_STREAM;
	s->backlog = draft.backlog;
	s->mode = draft.mode;
	take_addresses(l, s, &section->place, draft.datagram ? "datagram" : "listen",
		       draft.datagram ? draft.datagram : draft.listen);
	check_socket(l, s, &draft, &section->place);
	s->from_systemd = TAKE_PTR(draft.from_systemd);
	for (size_t i = 0; i < socket_options.n; i++)
		option_clear(&socket_options.options[i], &draft);
}

/* What stands outside of sections. Each file has its own include; the rest is set once. */
static void take_top(struct loader *l, const struct section_text *section)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < top_options.n; i++) {
		struct place *old = &l->top_places[i];
		bool is_include =
			top_options.options[i].offset == offsetof(struct top_draft, include);

		if (!(section->place.set & UINT64_C(1) << i))
			continue;
		if (is_include || !old->file) {
			*old = section->place;
			mask |= UINT64_C(1) << i;
			continue;
		}
		config_problem_add(l->problems, section->place.file, section->place.lines[i],
				   "%s is set twice; it stands already at %s:%d",
				   top_options.options[i].name, old->file, old->lines[i]);
	}
	set_options(l, &l->top, section, mask);
}

void config_take_section(void *ctx, const struct section_text *section)
{
	struct loader *l = ctx;

	switch (section->kind) {
	case SECTION_TOP: take_top(l, section); break;
	case SECTION_DEFAULTS: take_defaults(l, section); break;
	case SECTION_SERVICE: take_service(l, section); break;
	case SECTION_SOCKET: take_socket(l, section); break;
	case _SECTION_KINDS: break;
	}
}
