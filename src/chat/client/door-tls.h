/* SPDX-License-Identifier: MIT */
/* TLS of the client's side by OpenSSL, on a connected socket that does not block. */
#ifndef FOSTER_CHAT_CLIENT_DOOR_TLS_H
#define FOSTER_CHAT_CLIENT_DOOR_TLS_H

#include <sys/types.h>

#include "chat/client/door.h"

struct door_tls;

int door_tls_new(const struct door_options *options, int fd, struct door_tls **ret,
		 struct error *e);
void door_tls_free(struct door_tls *tls);

/*
 * Each: what was done, or -EAGAIN with *ret_events what to poll for, or a negative errno with the
 * text. The handshake gives 0. Reading gives -EPIPE when the other side has ended it.
 */
ssize_t door_tls_handshake(struct door_tls *tls, short *ret_events, struct error *e);
ssize_t door_tls_read(struct door_tls *tls, void *buf, size_t size, short *ret_events,
		      struct error *e);
ssize_t door_tls_write(struct door_tls *tls, const void *buf, size_t size, short *ret_events,
		       struct error *e);
void door_tls_goodbye(struct door_tls *tls);

#endif
