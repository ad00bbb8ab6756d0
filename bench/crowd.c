/* SPDX-License-Identifier: MIT */
/*
 * A crowd for a chat room, in two halves that run beside each other:
 *
 *	bench-crowd members [OPTION...] PORT	well-behaved ones of one channel, that speak in turn
 *						at a fixed rate: the time of each message to each of
 *						the others, and whether all came, once, in order
 *	bench-crowd misbehave [OPTION...] PORT	such as read nothing, send half lines, flood, drop
 *						the connection, or never say who they are
 *
 * Each is one process with one epoll loop, and prints one line of JSON. Any IRC server will do; its
 * port is of 127.0.0.1.
 */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

uint64_t clock_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * UINT64_C(1000000) + t.tv_nsec / 1000;
}

int connect_from(const struct options *o, unsigned port, unsigned source, int receive_buffer)
{
	struct sockaddr_in to = o->server, from = { .sin_family = AF_INET };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	to.sin_port = htons((uint16_t)port);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source % SOURCES);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (receive_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* So many as may be had; fewer are not hidden: what is opened is printed. */
static void raise_descriptors(struct options *o)
{
	struct rlimit limit = { o->n + 100, o->n + 100 };

	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (o->n + 100 > limit.rlim_cur)
		o->n = limit.rlim_cur > 100 ? (unsigned)limit.rlim_cur - 100 : 1;
}

static int usage(void)
{
	fputs("usage: bench-crowd members|misbehave [-n CONNECTIONS] [-u UNDER-WAY]\n"
	      "                   [-r MESSAGES-A-SECOND] [-s SECONDS] [-c CHANNEL]\n"
	      "                   [-t TLS-PORT] [-d COURSE-PORT] [-a] PORT\n",
	      stderr);
	return 2;
}

int main(int argc, char *argv[])
{
	struct options o = {
		.channel = "#crowd", .n = 100, .under_way = 256, .rate = 100, .seconds = 0
	};
	const char *verb = argc > 1 ? argv[1] : "";
	int c;

	while ((c = getopt(argc - 1, argv + 1, "n:u:r:s:c:t:d:a")) != -1) {
		switch (c) {
		case 'n': o.n = (unsigned)atoi(optarg); break;
		case 'u': o.under_way = (unsigned)atoi(optarg); break;
		case 'r': o.rate = (unsigned)atoi(optarg); break;
		case 's': o.seconds = atof(optarg); break;
		case 'c': o.channel = optarg; break;
		case 't': o.tls_port = (unsigned)atoi(optarg); break;
		case 'd': o.course_port = (unsigned)atoi(optarg); break;
		case 'a': o.again = true; break;
		default: return usage();
		}
	}
	if (optind + 1 != argc - 1 || !o.n || !o.under_way || !o.rate)
		return usage();
	o.server = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_port = htons((uint16_t)atoi(argv[optind + 1])),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	raise_descriptors(&o);
	if (strcmp(verb, "members") == 0)
		return run_members(&o);
	return strcmp(verb, "misbehave") == 0 ? run_misbehave(&o) : usage();
}
