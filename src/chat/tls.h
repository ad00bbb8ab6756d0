/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.2 and 1.3 on a connected socket, by OpenSSL, of which only tls.c knows.
 *
 * A context is a certificate with its key. Each connection holds the one it began with, so a new
 * context serves those who come from then on, and disturbs nobody who is there.
 *
 * Clients are asked for a certificate and let in with any or none: nothing vouches for it but
 * that they hold its key, so it is worth what its fingerprint is known for.
 *
 * Nothing blocks but tls_context_new(), which reads files. SIGPIPE must be ignored.
 */
#ifndef FOSTER_CHAT_TLS_H
#define FOSTER_CHAT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

#define TLS_RECORD_MAX      16384 /* bytes of plain text that tls_read() hands out at once */
#define TLS_FINGERPRINT_MAX 65    /* SHA-256 in hexadecimal, with the NUL */

struct tls_context;
struct tls; /* one connection */

/*
 * certificate: PEM, followed by those between it and the CA's; key: PEM, not encrypted. Both may
 * be in one file. 0, or -EINVAL and the like with the file and what is wrong with it.
 */
int tls_context_new(const char *certificate, const char *key, struct tls_context **ret,
		    struct error *e);
void tls_context_free(struct tls_context *context);
/* Seconds until the certificate expires, negative when it has; 0 when that cannot be said. */
long long tls_context_expires_in(const struct tls_context *context);

/* The server's side on fd, which stays the caller's. NULL when out of memory. */
struct tls *tls_new(struct tls_context *context, int fd);
void tls_free(struct tls *tls);

/*
 * To be called until it is 0 and nothing else before. -EAGAIN: when there is more to read;
 * -EINPROGRESS: when there is room to write; -EPROTO: it has failed, and the peer was told.
 */
int tls_handshake(struct tls *tls);

/* The client's certificate: true, or "" and false when it has none. After the handshake. */
bool tls_fingerprint(const struct tls *tls, char ret[TLS_FINGERPRINT_MAX]);
const char *tls_version(const struct tls *tls); /* "TLSv1.3" */

/*
 * Like recv() and send(), with -errno: at most one record is read, so that with size at least
 * TLS_RECORD_MAX nothing that was received is left where poll() does not see it. What tls_write()
 * answered -EAGAIN to must come again, first, though it may lie elsewhere.
 */
ssize_t tls_read(struct tls *tls, void *data, size_t size);
ssize_t tls_write(struct tls *tls, const void *data, size_t size);
/* Tells the peer that no more will come, if it can be told at once. */
void tls_end(struct tls *tls);

#endif
