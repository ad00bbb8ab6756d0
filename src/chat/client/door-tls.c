/* SPDX-License-Identifier: MIT */
/* TLS of the client's side: see door-tls.h. */
#include "chat/client/door-tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct door_tls {
	SSL_CTX *context;
	SSL *ssl;
	const char *host;
};

/* The first of OpenSSL's errors is the cause. */
static int fail(struct error *e, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (code && !reason && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	error_set(e, -EPROTO, "%s: %s", what, reason ? reason : "TLS failed");
	ERR_clear_error();
	return -EPROTO;
}

static int load_files(SSL_CTX *context, const struct door_options *o, struct error *e)
{
	if (o->ca && SSL_CTX_load_verify_file(context, o->ca) != 1)
		return fail(e, o->ca);
	if (!o->ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return fail(e, "the system's certificates");
	if (!o->certificate)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(context, o->certificate) != 1)
		return fail(e, o->certificate);
	if (SSL_CTX_use_PrivateKey_file(context, o->key, SSL_FILETYPE_PEM) != 1)
		return fail(e, o->key);
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Whose certificate it must be. A name is told to the server, too; an address must not be. */
static int expect_host(SSL *ssl, const char *host, struct error *e)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
			       ? 0
			       : fail(e, host);
	if (SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)
		return fail(e, host);
	return 0;
}

static int set_up(struct door_tls *tls, const struct door_options *o, int fd, struct error *e)
{
	int r;

	tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls->context || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
		return fail(e, "OpenSSL");
	SSL_CTX_set_mode(tls->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(tls->context, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	r = load_files(tls->context, o, e);
	if (r < 0)
		return r;
	tls->ssl = SSL_new(tls->context);
	if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1)
		return fail(e, "OpenSSL");
	SSL_set_connect_state(tls->ssl);
	return expect_host(tls->ssl, o->host, e);
}

int door_tls_new(const struct door_options *options, int fd, struct door_tls **ret, struct error *e)
{
	struct door_tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return error_set_errno(e, -ENOMEM, "TLS");
	tls->host = options->host;
	ERR_clear_error();
	r = set_up(tls, options, fd, e);
	if (r < 0) {
		door_tls_free(tls);
		return r;
	}
	*ret = tls;
	return 0;
}

void door_tls_free(struct door_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	free(tls);
}

/* What a call that did nothing means. */
static int outcome(struct door_tls *tls, int result, short *ret_events, struct error *e)
{
	int saved = errno;
	long verified;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ: *ret_events = POLLIN; return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: *ret_events = POLLOUT; return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return error_set(e, -EPIPE, "the server has ended it");
	case SSL_ERROR_SYSCALL:
		if (saved && !ERR_peek_error())
			return error_set_errno(e, -saved, "TLS");
		break;
	default: break;
	}
	verified = SSL_get_verify_result(tls->ssl);
	if (SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE && verified != X509_V_OK &&
	    !SSL_is_init_finished(tls->ssl)) {
		ERR_clear_error();
		return error_set(e, -EPROTO,
				 "the certificate of %s is not trusted: %s (--ca FILE names who "
				 "signed it)",
				 tls->host, X509_verify_cert_error_string(verified));
	}
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		ERR_clear_error();
		return error_set(e, -EPIPE, "the server has ended it");
	}
	return fail(e, "TLS");
}

ssize_t door_tls_handshake(struct door_tls *tls, short *ret_events, struct error *e)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(tls->ssl);
	return r == 1 ? 0 : outcome(tls, r, ret_events, e);
}

ssize_t door_tls_read(struct door_tls *tls, void *buf, size_t size, short *ret_events,
		      struct error *e)
{
	size_t n;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_read_ex(tls->ssl, buf, size, &n);
	return r == 1 ? (ssize_t)n : outcome(tls, 0, ret_events, e);
}

ssize_t door_tls_write(struct door_tls *tls, const void *buf, size_t size, short *ret_events,
		       struct error *e)
{
	size_t n;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(tls->ssl, buf, size, &n);
	return r == 1 ? (ssize_t)n : outcome(tls, 0, ret_events, e);
}

void door_tls_goodbye(struct door_tls *tls)
{
	if (SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl); /* one way: nothing is waited for */
	ERR_clear_error();
}
