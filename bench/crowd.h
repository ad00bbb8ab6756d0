/* SPDX-License-Identifier: MIT */
/* What the two halves of bench-crowd share: see crowd.c. */
#ifndef FOSTER_BENCH_CROWD_H
#define FOSTER_BENCH_CROWD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define SOURCES 200 /* 127.0.0.2 and so on: else the churn would use up all ports of one address */

struct options {
	struct sockaddr_in server;
	const char *channel;
	unsigned tls_port, course_port; /* 0: none */
	unsigned n;                     /* connections */
	unsigned under_way;             /* of them at a time, until they are registered */
	unsigned rate;                  /* messages a second */
	double seconds;                 /* members: of messages. misbehave: 0: until stdin ends */
	bool again;                     /* who was ended comes again */
};

uint64_t clock_usec(void); /* CLOCK_REALTIME: as the kernel's stamps of what comes */

/* A socket that connects to the server's port, from one of the sources; -1: errno says why. */
int connect_from(const struct options *o, unsigned port, unsigned source, int receive_buffer);

/* The exit code. */
int run_members(const struct options *o);
int run_misbehave(const struct options *o);

#endif
