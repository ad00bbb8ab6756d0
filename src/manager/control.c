/* SPDX-License-Identifier: MIT */
/* The control API's server: see control.h. */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "manager/events.h"
#include "manager/keep.h"
#include "manager/notify-socket.h"
#include "manager/proc.h"
#include "manager/service.h"
#include "manager/socket-file.h"
#include "manager/supervisor-link.h"
#include "manager/upgrade.h"

#define BACKLOG     4096
#define BODY_MAX    (64 * 1024)
#define HEADERS_MAX (16 * 1024)
#define GROUPS_MAX  256
#define RETRY_AFTER 1   /* s */
#define FOR_MAX     100 /* bytes */

struct control {
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	int listener, inotify;
	char file[SOCKET_FILE_MAX]; /* which file it is bound to: socket-file.h */
	struct event *deleted;
	struct event *retry; /* armed while there is no listener */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* --- access ----------------------------------------------------------------------------- */

static bool in_group(int fd, const struct ucred *peer, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (peer->gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(gid_t); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

/* What the peer may: credentials are those of its connect(2), see unix(7). */
static enum access access_of(const struct manager *m, int fd, struct ucred *peer)
{
	const struct config *c = m->config->config;
	socklen_t size = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) < 0)
		return ACCESS_NONE;
	if (peer->uid == 0 || peer->uid == geteuid() ||
	    (c->control_group && in_group(fd, peer, c->control_gid)))
		return ACCESS_ALL;
	if (c->control_read_group && in_group(fd, peer, c->control_read_gid))
		return ACCESS_READ;
	return ACCESS_NONE;
}

/* --- replies ---------------------------------------------------------------------------- */

void control_reply_text(struct call *call, int status, struct evbuffer *text)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(call->request);

	if (!evhttp_find_header(headers, "Content-Type"))
		evhttp_add_header(headers, "Content-Type", "application/json");
	control_note_answer(call->request);
	evhttp_send_reply(call->request, status, NULL, text);
	evbuffer_free(text);
}

int control_print(struct evbuffer *to, json_t *object)
{
	char small[4096], *text = small;
	size_t size =
		object ? json_dumpb(object, small, sizeof(small), JSON_COMPACT | JSON_ENCODE_ANY)
		       : 0;
	int error = 0;

	if (size > sizeof(small)) {
		text = json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY);
		size = text ? strlen(text) : 0;
	}
	if (size == 0 || evbuffer_add(to, text, size) < 0)
		error = -ENOMEM;
	if (text != small)
		free(text);
	json_decref(object);
	return error;
}

int control_print_list(struct evbuffer *to, const struct manager *m,
		       const struct control_listing *l)
{
	int error = evbuffer_add(to, "[", 1);
	bool first = true;

	for (size_t i = 0; i < m->n_services && error >= 0; i++) {
		const struct service *s = m->services[i];

		if (l->is_meant && !l->is_meant(s, l->arg))
			continue;
		if (!first)
			evbuffer_add(to, ",", 1);
		first = false;
		error = control_print(to, l->make(s, l->arg));
	}
	return error < 0 || evbuffer_add(to, "]", 1) < 0 ? -ENOMEM : 0;
}

void control_reply_printed(struct call *call, struct evbuffer *text, int error)
{
	if (!text || error < 0 || evbuffer_add(text, "\n", 1) < 0)
		control_out_of_memory(call, text);
	else
		control_reply_text(call, HTTP_OK, text);
}

void control_out_of_memory(struct call *call, struct evbuffer *text)
{
	if (text)
		evbuffer_free(text);
	evhttp_send_error(call->request, HTTP_INTERNAL, "out of memory");
}

void control_reply(struct call *call, int status, json_t *object)
{
	struct evbuffer *text = evbuffer_new();

	if (!text)
		json_decref(object);
	if (!text || control_print(text, object) < 0 || evbuffer_add(text, "\n", 1) < 0)
		control_out_of_memory(call, text);
	else
		control_reply_text(call, status, text);
}

void control_request_closed(struct evhttp_request *request)
{
	if (!evhttp_request_get_connection(request))
		evhttp_request_free(request);
}

void control_error(struct call *call, int status, const char *hint, const char *fmt, ...)
{
	char text[1024];
	json_t *object = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(object, "error", control_string(text));
	if (hint)
		json_object_set_new(object, "hint", control_string(hint));
	control_reply(call, status, object);
}

/* --- query ------------------------------------------------------------------------------ */

const char *control_text(const struct call *call, const char *name)
{
	return evhttp_find_header(call->query, name);
}

void control_tell(const struct call *call, const char *verb, const struct service *s)
{
	log_info("%s%s%s asked for by %s", s ? service_label(s) : "", s ? ": " : "", verb,
		 call->peer);
	events_request(call->manager, verb, s ? s->config->name : NULL, &call->asker,
		       control_text(call, "for"));
}

bool control_flag(const struct call *call, const char *name)
{
	const char *text = control_text(call, name);

	return text && strcmp(text, "0") != 0 && strcmp(text, "false") != 0;
}

int control_number(struct call *call, const char *name, uint64_t missing, uint64_t *ret)
{
	const char *text = control_text(call, name);
	int64_t number;

	*ret = missing;
	if (!text)
		return 0;
	if (parse_int(text, 0, INT64_MAX, &number) < 0) {
		control_error(call, HTTP_BADREQUEST, NULL, "%s=%s: not a whole number", name, text);
		return -EINVAL;
	}
	*ret = number;
	return 0;
}

/* --- paths ------------------------------------------------------------------------------ */

/* A path ends with "/NAME" or "/NAME/verb" where service is true. */
static const struct route {
	enum evhttp_cmd_type method;
	bool service;
	const char *path; /* without the name: "/v1/services" or the verb */
	enum access access;
	void (*handle)(struct call *);
} routes[] = {
	{ EVHTTP_REQ_GET, false, "/v1/services", ACCESS_READ, control_list },
	{ EVHTTP_REQ_GET, true, "", ACCESS_READ, control_show },
	{ EVHTTP_REQ_POST, true, "start", ACCESS_ALL, control_start },
	{ EVHTTP_REQ_POST, true, "stop", ACCESS_ALL, control_stop },
	{ EVHTTP_REQ_POST, true, "restart", ACCESS_ALL, control_restart },
	{ EVHTTP_REQ_POST, true, "signal", ACCESS_ALL, control_signal },
	{ EVHTTP_REQ_GET, true, "join", ACCESS_READ, control_join },
	{ EVHTTP_REQ_GET, true, "why", ACCESS_READ, control_why },
	{ EVHTTP_REQ_GET, false, "/v1/why", ACCESS_READ, control_why_all },
	{ EVHTTP_REQ_GET, false, "/v1/blocking", ACCESS_READ, control_blocking },
	{ EVHTTP_REQ_GET, false, "/metrics", ACCESS_READ, control_metrics },
	{ EVHTTP_REQ_GET, false, "/v1/usage", ACCESS_READ, control_usage },
	{ EVHTTP_REQ_POST, false, "/v1/start", ACCESS_ALL, control_start },
	{ EVHTTP_REQ_POST, false, "/v1/stop", ACCESS_ALL, control_stop },
	{ EVHTTP_REQ_POST, false, "/v1/restart", ACCESS_ALL, control_restart },
	{ EVHTTP_REQ_GET, false, "/v1/events", ACCESS_READ, control_events },
	{ EVHTTP_REQ_POST, false, "/v1/reload", ACCESS_ALL, control_reload },
	{ EVHTTP_REQ_POST, false, "/v1/shutdown", ACCESS_ALL, control_shutdown_all },
	{ EVHTTP_REQ_POST, false, "/v1/reopen", ACCESS_ALL, control_reopen },
	{ EVHTTP_REQ_POST, false, "/v1/announce", ACCESS_ALL, control_announce },
	{ EVHTTP_REQ_GET, false, "/v1/version", ACCESS_READ, control_version },
	{ EVHTTP_REQ_POST, false, "/v1/upgrade", ACCESS_ALL, control_upgrade },
	{ EVHTTP_REQ_GET, false, "/v1/upgrade", ACCESS_READ, control_upgrade_state },
};

#define SERVICE_PREFIX "/v1/services/"

/* One %-escaped piece of a path, in place. A NUL in it becomes '?', which no name holds. */
static int unescape(char *piece)
{
	size_t size;
	char *text = evhttp_uridecode(piece, 0, &size);

	if (!text)
		return -ENOMEM;
	for (char *nul = memchr(text, '\0', size); nul; nul = memchr(text, '\0', size))
		*nul = '?';
	memcpy(piece, text, size + 1); /* it never grows */
	free(text);
	return 0;
}

/*
 * Splits a path as it came: a name may hold an escaped slash, so it is decoded only when its end
 * is known. The verb behind "/v1/services/NAME/", "" for the service itself; NULL for other paths.
 */
static int split_path(char *path, char **ret_name, char **ret_verb)
{
	static char no_verb[] = "";
	char *slash;

	*ret_name = *ret_verb = NULL;
	if (strncmp(path, SERVICE_PREFIX, strlen(SERVICE_PREFIX)) != 0)
		return unescape(path);
	*ret_name = path + strlen(SERVICE_PREFIX);
	slash = strchr(*ret_name, '/');
	*ret_verb = slash ? slash + 1 : no_verb;
	if (slash)
		*slash = '\0';
	return unescape(*ret_name) < 0 || (slash && unescape(*ret_verb) < 0) ? -ENOMEM : 0;
}

static const struct route *find_route(struct call *call, const char *path, const char *verb,
				      bool *ret_path_known)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(call->request);

	for (size_t i = 0; i < ELEMENTSOF(routes); i++) {
		const struct route *r = &routes[i];

		if (r->service != (verb != NULL) || strcmp(r->path, verb ? verb : path) != 0)
			continue;
		*ret_path_known = true;
		if (r->method == method)
			return r;
	}
	return NULL;
}

/* Adds to the peer whom it asks for. False: that is no name. */
static bool on_behalf(struct call *call)
{
	const char *whom = control_text(call, "for");
	size_t used = strlen(call->peer);

	if (!whom)
		return true;
	for (const char *c = whom; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	}
	if (!*whom || strlen(whom) > FOR_MAX || !utf8_valid(whom))
		return false;
	snprintf(call->peer + used, sizeof(call->peer) - used, ", for %s", whom);
	return true;
}

static void dispatch(struct call *call, char *path, enum access access)
{
	bool path_known = false;
	const struct route *route;
	char *name, *verb;

	if (split_path(path, &name, &verb) < 0) {
		control_out_of_memory(call, NULL);
		return;
	}
	route = find_route(call, path, verb, &path_known);
	if (!route) {
		control_error(call, path_known ? HTTP_BADMETHOD : HTTP_NOTFOUND, NULL,
			      path_known ? "that path takes another method" : "no such path");
		return;
	}
	if (!on_behalf(call)) {
		control_error(call, HTTP_BADREQUEST, "a name, as in for=alice",
			      "for: at most %d bytes without control characters", FOR_MAX);
		return;
	}
	if (access < route->access) {
		control_error(call, 403,
			      "be root, the user that fosterd runs as, or a member of "
			      "the configuration's control-group",
			      "%s may not do that", call->peer);
		return;
	}
	if (route->service) {
		call->service = manager_find(call->manager, name);
		if (!call->service) {
			control_error(call, HTTP_NOTFOUND, NULL, "no service '%s'", name);
			return;
		}
	}
	route->handle(call);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	struct call call = { .manager = arg, .request = request };
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
	struct evkeyvalq params = { 0 };
	struct ucred peer = { 0 };
	enum access access = access_of(call.manager, fd, &peer);
	_cleanup_free_ char *path = NULL;

	control_note_request(request);
	snprintf(call.peer, sizeof(call.peer), "uid %d, pid %d", (int)peer.uid, (int)peer.pid);
	call.asker = (struct asker){ .uid = peer.uid, .pid = peer.pid };
	if (evhttp_request_get_command(request) != EVHTTP_REQ_GET)
		proc_command(peer.pid, call.asker.command, sizeof(call.asker.command));
	TAILQ_INIT(&params);
	if (query)
		evhttp_parse_query_str(query, &params);
	call.query = &params;
	path = uri && evhttp_uri_get_path(uri) ? strdup(evhttp_uri_get_path(uri)) : NULL;
	if (path)
		dispatch(&call, path, access);
	else
		control_error(&call, HTTP_BADREQUEST, NULL, "a request without a path");
	evhttp_clear_headers(&params);
}

/* --- the listener ----------------------------------------------------------------------- */

static int make_listener(struct control *c)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, c->path, sizeof(c->path));
	unlink(c->path); /* of a supervisor that is dead: its lock is ours */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(c->path, 0666) < 0 || /* anybody may connect; credentials decide */
	    listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Makes the listener, keeps it with the supervisor, and listens. */
static int open_listener(struct manager *m)
{
	struct control *c = m->control;
	int fd = make_listener(c);

	if (fd < 0)
		return log_error_errno(fd, "%s", c->path);
	supervisor_link_store(m, PLACE_CONTROL, socket_file_name("control", c->path, c->file),
			      fd_copy(fd));
	keep_store(m, "control", c->path, fd);
	c->listener = fd;
	return 0;
}

/* The last manager's, or one that systemd has kept when fosterd was killed, too. */
static void take_listener(struct manager *m)
{
	struct control *c = m->control;

	const char *stored = supervisor_link_stored(m, PLACE_CONTROL);

	if (stored) {
		snprintf(c->file, sizeof(c->file), "%s", stored);
		c->listener = supervisor_link_fetch(m, PLACE_CONTROL);
		return;
	}
	c->listener = keep_take(m, "control", c->path);
	if (c->listener >= 0)
		supervisor_link_store(m, PLACE_CONTROL,
				      socket_file_name("control", c->path, c->file),
				      fd_copy(c->listener));
}

static int listen_on(struct manager *m)
{
	struct control *c = m->control;

	c->bound = evhttp_accept_socket_with_handle(c->http, c->listener);
	return c->bound ? 0 : -ENOMEM;
}

/* The file may be there and be another's: of a manager whose supervisor was killed, say. */
static bool path_is_ours(const struct control *c)
{
	return c->listener >= 0 && socket_file_is(c->file, c->path);
}

/* Descriptors were short, say. Until then clients wait. */
static void try_later(struct manager *m)
{
	static const struct timeval later = { RETRY_AFTER, 0 };

	if (m->control->retry)
		event_add(m->control->retry, &later);
}

/* Somebody deleted the socket's file, a cleaner of temporary files, say: make it again. */
static void on_deleted(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	struct control *c = m->control;
	char events[4096] __attribute__((aligned(8)));

	while (read(fd, events, sizeof(events)) > 0)
		;
	notify_socket_check(m);
	if (path_is_ours(c))
		return;
	log_warning("%s was deleted: making it again", c->path);
	if (c->bound)
		evhttp_del_accept_socket(c->http, c->bound); /* closes the listener */
	c->bound = NULL;
	c->listener = -1;
	if (open_listener(m) < 0 || listen_on(m) < 0)
		try_later(m);
}

static int watch_path(struct manager *m)
{
	struct control *c = m->control;

	c->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->inotify < 0 ||
	    inotify_add_watch(c->inotify, m->options.run_directory, IN_DELETE | IN_MOVED_FROM) < 0)
		return -errno;
	c->deleted = event_new(m->base, c->inotify, EV_READ | EV_PERSIST, on_deleted, m);
	return c->deleted && event_add(c->deleted, NULL) == 0 ? 0 : -ENOMEM;
}

/* 0, or -errno: neither the last manager's could be had nor a new one be made. */
static int find_listener(struct manager *m)
{
	struct control *c = m->control;
	int error = 0;

	take_listener(m);
	if (c->listener < 0 || !path_is_ours(c)) {
		c->listener = fd_close(c->listener);
		error = open_listener(m);
	}
	return error < 0 ? error : listen_on(m);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;

	if (m->control->bound || upgrade_is_leaving(m))
		return;
	if (find_listener(m) < 0)
		try_later(m);
	else
		log_info("%s: answers again", m->control->path);
}

int control_init(struct manager *m)
{
	struct control *c = m->control = calloc(1, sizeof(*c));
	int n, error = 0;

	if (!c)
		return -ENOMEM;
	c->inotify = c->listener = -1;
	n = snprintf(c->path, sizeof(c->path), "%s/control", m->options.run_directory);
	if (n < 0 || (size_t)n >= sizeof(c->path)) {
		log_error("%s: the path is too long for a Unix socket (at most %zu bytes, with "
			  "/control); choose another run directory",
			  m->options.run_directory, sizeof(c->path) - 1);
		return -ENAMETOOLONG;
	}
	c->http = evhttp_new(m->base);
	if (!c->http)
		return -ENOMEM;
	evhttp_set_max_body_size(c->http, BODY_MAX);
	evhttp_set_max_headers_size(c->http, HEADERS_MAX);
	evhttp_set_allowed_methods(c->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_gencb(c->http, on_request, m);
	c->retry = event_new(m->base, -1, 0, on_retry, m);
	error = find_listener(m);
	if (error < 0 && m->generation > 1) {
		error = 0; /* it was told; the services need us more than their askers do */
		try_later(m);
	}
	if (error == 0 && watch_path(m) < 0)
		log_warning("%s: nobody will see when it is deleted", c->path);
	return error;
}

void control_close_door(struct manager *m)
{
	struct control *c = m->control;

	if (c->deleted)
		event_del(c->deleted);
	if (c->bound)
		evhttp_del_accept_socket(c->http, c->bound); /* closes our copy of the listener */
	c->bound = NULL;
}

bool control_is_busy(const struct manager *m)
{
	return control_has_busy_client(m->control->path);
}

void control_shutdown(struct manager *m)
{
	struct control *c = m->control;

	if (!c)
		return;
	if (c->deleted)
		event_free(c->deleted);
	if (c->retry)
		event_free(c->retry);
	fd_close(c->inotify);
	if (c->http)
		evhttp_free(
			c->http); /* closes the connections, each of which drops who waits on it */
	control_drop_waiters();
	control_forget_clients();
	free(c);
	m->control = NULL;
}
