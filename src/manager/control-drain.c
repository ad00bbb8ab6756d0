/* SPDX-License-Identifier: MIT */
/*
 * Who is in the middle of a request, when the manager is about to leave: see control.h. Those who
 * wait for something to happen are not: their connections break, and they ask the next manager.
 */
#include <dirent.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "manager/control.h"

/* By descriptor. A number is used again: the inode tells one connection from the next. */
static struct client {
	ino_t inode;    /* of the last connection that has asked something */
	bool answering; /* its answer is on its way */
} * clients;
static int n_clients;

static struct client *client_of(struct evhttp_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	int fd = connection ? bufferevent_getfd(evhttp_connection_get_bufferevent(connection)) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (fd >= n_clients) {
		int n = fd + 64;
		struct client *bigger = realloc(clients, n * sizeof(*clients));

		if (!bigger)
			return NULL;
		memset(bigger + n_clients, 0, (n - n_clients) * sizeof(*clients));
		clients = bigger;
		n_clients = n;
	}
	if (clients[fd].inode != st.st_ino)
		clients[fd] = (struct client){ .inode = st.st_ino };
	return &clients[fd];
}

void control_note_request(struct evhttp_request *request)
{
	client_of(request);
}

static void on_complete(struct evhttp_request *request, void *arg)
{
	struct client *client = client_of(request);

	if (client)
		client->answering = false;
}

void control_note_answer(struct evhttp_request *request)
{
	struct client *client = client_of(request);

	if (!client)
		return;
	client->answering = true;
	evhttp_request_set_on_complete_cb(request, on_complete, NULL);
}

void control_forget_clients(void)
{
	free(clients);
	clients = NULL;
	n_clients = 0;
}

/* Is that a connection that was made to the control socket? */
static bool is_connection(int fd, const char *path)
{
	struct sockaddr_un address = { 0 };
	socklen_t size = sizeof(address) - 1;
	int listens = 1;

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    address.sun_family != AF_UNIX || strcmp(address.sun_path, path) != 0)
		return false;
	size = sizeof(listens);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

/* It has not asked yet, asks, or is being answered. */
static bool is_busy(int fd)
{
	struct stat st;
	int unread = 0;

	if (fstat(fd, &st) < 0)
		return false;
	if (fd >= n_clients || clients[fd].inode != st.st_ino || clients[fd].answering)
		return true;
	return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

bool control_has_busy_client(const char *path)
{
	DIR *dir = opendir("/proc/self/fd");
	bool busy = false;

	for (struct dirent *d; dir && !busy && (d = readdir(dir));) {
		int fd = atoi(d->d_name);

		busy = d->d_name[0] != '.' && is_connection(fd, path) && is_busy(fd);
	}
	if (dir)
		closedir(dir);
	return busy;
}
