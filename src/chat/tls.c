/* SPDX-License-Identifier: MIT */
/* TLS by OpenSSL: see tls.h. */
#include "config.h"

#include "chat/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/fd.h"
#include "base/macro.h"

/* What a client may send as its certificate, with all that came with it. OpenSSL's is 100 KiB. */
#define CLIENT_CERTIFICATES_MAX 16384

/* Of TLS 1.2 only what is as strong as 1.3: a key for each connection, and authenticated. */
#define CIPHERS_1_2 "ECDHE+CHACHA20:ECDHE+AESGCM:!aNULL"

/* Both are OpenSSL's own objects; the names keep its headers out of everything else. */
static SSL_CTX *context_of(const struct tls_context *context)
{
	return (SSL_CTX *)context;
}

static SSL *ssl_of(const struct tls *tls)
{
	return (SSL *)tls;
}

/* --- the context -------------------------------------------------------------------------- */

/* In place of OpenSSL's own check of the chain, which would find no CA. */
static int take_any_certificate(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

/* A key that is encrypted: nobody is there to be asked. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

/* The first of OpenSSL's errors is the cause; those that follow say who heard of it. */
static int fail(struct error *e, const char *what, const char *file)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	int lib = ERR_GET_LIB(code), what_is = ERR_GET_REASON(code);

	if ((lib == ERR_LIB_PEM && what_is == PEM_R_NO_START_LINE) ||
	    (lib == ERR_LIB_OSSL_DECODER && what_is == ERR_R_UNSUPPORTED))
		reason = "it holds none in PEM";
	if (lib == ERR_LIB_SSL && what_is == SSL_R_NO_CERTIFICATE_ASSIGNED)
		reason = "it is of another kind than that of the certificate: they do not belong "
			 "together";
	error_set(e, -EINVAL, "%s %s: %s", what, file, reason ? reason : "it cannot be used");
	ERR_clear_error();
	return -EINVAL;
}

/* OpenSSL's own words for a file that cannot be read are poor. */
static int check_readable(const char *what, const char *file, struct error *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(e, -errno, "%s %s", what, file);
	/* OpenSSL would wait for whoever writes a FIFO. */
	return S_ISREG(st.st_mode) ? 0
				   : error_set(e, -EINVAL, "%s %s is no regular file", what, file);
}

static int load(SSL_CTX *ssl, const char *certificate, const char *key, struct error *e)
{
	bool encrypted = false;
	int r = check_readable("tls-certificate", certificate, e);

	if (r == 0)
		r = check_readable("tls-key", key, e);
	if (r < 0)
		return r;
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, &encrypted);
	if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1)
		return fail(e, "tls-certificate", certificate);
	r = SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb(ssl, NULL);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
	if (r != 1 && encrypted) {
		ERR_clear_error();
		return error_set(e, -EINVAL,
				 "tls-key %s: it is encrypted, and nobody is there to be asked; "
				 "openssl pkey -in %s writes it in the open",
				 key, key);
	}
	if (r != 1)
		return fail(e, "tls-key", key);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return fail(e, "tls-key", key);
	return 0;
}

/*
 * No sessions are kept or handed out as tickets: what a resumed one saves is little beside what
 * an IRC connection lives, and each would hold the client's certificate in memory. No compression
 * and no renegotiation: both have been ways in. A peer that closes without a word of TLS is one
 * that has gone, as most IRC clients do.
 */
static int set_up(SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 0);
	SSL_CTX_set_max_cert_list(ssl, CLIENT_CERTIFICATES_MAX);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, take_any_certificate, NULL);
	if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) != 1)
		return -EINVAL;
	return 0;
}

int tls_context_new(const char *certificate, const char *key, struct tls_context **ret,
		    struct error *e)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
	int r = -ENOMEM;

	if (ssl)
		r = set_up(ssl);
	if (r < 0)
		error_set(e, r, "OpenSSL cannot be set up");
	else
		r = load(ssl, certificate, key, e);
	if (r < 0) {
		SSL_CTX_free(ssl);
		return r;
	}
	*ret = (struct tls_context *)ssl;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	SSL_CTX_free(context_of(context));
}

long long tls_context_expires_in(const struct tls_context *context)
{
	const X509 *x509 = SSL_CTX_get0_certificate(context_of(context));
	int days = 0, seconds = 0;

	if (!x509 || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x509)) != 1)
		return 0;
	return days * 86400LL + seconds;
}

/* --- a connection ------------------------------------------------------------------------- */

struct tls *tls_new(struct tls_context *context, int fd)
{
	SSL *ssl = SSL_new(context_of(context));

	if (ssl && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ssl = NULL;
	}
	if (ssl)
		SSL_set_accept_state(ssl);
	ERR_clear_error();
	return (struct tls *)ssl;
}

void tls_free(struct tls *tls)
{
	SSL_free(ssl_of(tls));
}

/* What a call has come to, that did not do what it was for. errno is still the call's. */
static int outcome(SSL *ssl, int r)
{
	int saved = errno;

	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_READ: return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: return -EINPROGRESS;
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL: return saved > 0 ? -saved : -ECONNRESET;
	default: return -EPROTO;
	}
}

int tls_handshake(struct tls *tls)
{
	int r;

	/* An error that is left over from another connection would be taken for one of ours. */
	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(ssl_of(tls));
	if (r == 1)
		return 0;
	r = outcome(ssl_of(tls), r);
	return r == -EAGAIN || r == -EINPROGRESS ? r : -EPROTO;
}

bool tls_fingerprint(const struct tls *tls, char ret[TLS_FINGERPRINT_MAX])
{
	const X509 *x509 = SSL_get0_peer_certificate(ssl_of(tls));
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	ret[0] = '\0';
	if (!x509 || X509_digest(x509, EVP_sha256(), digest, &n) != 1)
		return false;
	for (unsigned i = 0; i < n && i * 2 + 2 < TLS_FINGERPRINT_MAX; i++)
		snprintf(ret + i * 2, 3, "%02x", digest[i]);
	return true;
}

const char *tls_version(const struct tls *tls)
{
	return SSL_get_version(ssl_of(tls));
}

ssize_t tls_read(struct tls *tls, void *data, size_t size)
{
	size_t n;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_read_ex(ssl_of(tls), data, size, &n);
	if (r == 1)
		return (ssize_t)n;
	r = outcome(ssl_of(tls), r);
	/* An answer to the peer's change of keys waits: it goes out with what is written next. */
	return r == -EINPROGRESS ? -EAGAIN : r;
}

ssize_t tls_write(struct tls *tls, const void *data, size_t size)
{
	size_t n;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(ssl_of(tls), data, size, &n);
	if (r == 1)
		return (ssize_t)n;
	r = outcome(ssl_of(tls), r);
	if (r == 0)
		return -EPIPE;
	return r == -EINPROGRESS ? -EAGAIN : r;
}

void tls_end(struct tls *tls)
{
	ERR_clear_error();
	SSL_shutdown(ssl_of(tls));
	ERR_clear_error();
}
