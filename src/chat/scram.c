/* SPDX-License-Identifier: MIT */
/* SCRAM-SHA-256: see scram.h. */
#include "chat/scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/macro.h"
#include "chat/utf8.h"

static int hmac(const uint8_t key[SCRAM_KEY_SIZE], const char *text, uint8_t ret[SCRAM_KEY_SIZE])
{
	unsigned size = SCRAM_KEY_SIZE;

	return HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, (const uint8_t *)text, strlen(text), ret,
		    &size)
		       ? 0
		       : -EIO;
}

int scram_derive(struct scram_keys *keys, const char *password, size_t size)
{
	uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE];
	int r = -EIO;

	if (PKCS5_PBKDF2_HMAC(password, size, keys->salt, keys->salt_size, keys->iterations,
			      EVP_sha256(), sizeof(salted), salted) == 1 &&
	    hmac(salted, "Client Key", client) == 0 &&
	    hmac(salted, "Server Key", keys->server) == 0) {
		SHA256(client, sizeof(client), keys->stored);
		r = 0;
	}
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return r;
}

/* --- reading ------------------------------------------------------------------------------ */

/* Messages are text: a NUL would hide what is behind it. */
static int copy_message(char *buf, size_t room, const char *message, size_t size)
{
	if (size >= room || memchr(message, '\0', size))
		return -EINVAL;
	memcpy(buf, message, size);
	buf[size] = '\0';
	return 0;
}

/* "=2C" is ',' and "=3D" is '='. */
static int read_name(const char *text, size_t size, char name[SCRAM_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c == '=' && size - i >= 3 && memcmp(text + i, "=2C", 3) == 0)
			c = ',';
		else if (c == '=' && !(size - i >= 3 && memcmp(text + i, "=3D", 3) == 0))
			return -EINVAL;
		i += text[i] == '=' ? 2 : 0;
		if (n == SCRAM_NAME_MAX)
			return -EINVAL;
		name[n++] = c;
	}
	name[n] = '\0';
	return n > 0 && utf8_is_valid(name, n) ? 0 : -EINVAL;
}

/* What is between commas, up to the next one. */
static bool is_printable(const char *text)
{
	while (*text > ' ' && *text < 0x7f && *text != ',')
		text++;
	return *text == '\0' || *text == ',';
}

/* One that must be understood: none is (RFC 5802, 5.1). In front it is no message at all. */
static bool has_extension(const char *message)
{
	return strstr(message, ",m=") != NULL;
}

/* Of "n,,": how long it is; 0 for channel binding ("p="), which was not offered, and nonsense. */
static size_t gs2_size(const char *message)
{
	const char *comma;

	if ((message[0] != 'n' && message[0] != 'y') || message[1] != ',')
		return 0;
	comma = strchr(message + 2, ',');
	if (!comma || (comma != message + 2 && strncmp(message + 2, "a=", 2) != 0))
		return 0;
	return comma + 1 - message;
}

int scram_begin(struct scram *s, const char *message, size_t size, char name[SCRAM_NAME_MAX + 1])
{
	char whole[SCRAM_MESSAGE_MAX + 1], other[SCRAM_NAME_MAX + 1];
	const char *user, *nonce;
	size_t gs2;

	memset(s, 0, sizeof(*s));
	if (copy_message(whole, sizeof(whole), message, size) < 0)
		return -EINVAL;
	gs2 = gs2_size(whole);
	if (gs2 == 0 || gs2 >= sizeof(s->gs2))
		return -EINVAL;
	memcpy(s->gs2, whole, gs2);
	snprintf(s->client_first, sizeof(s->client_first), "%s", whole + gs2);
	user = s->client_first;
	nonce = strstr(user, ",r=");
	if (strncmp(user, "n=", 2) != 0 || !nonce || strchr(user, ',') != nonce || !nonce[3] ||
	    read_name(user + 2, nonce - user - 2, name) < 0)
		return -EINVAL;
	/* Nobody acts for another. */
	if (gs2 > 3 && (read_name(whole + 4, gs2 - 5, other) < 0 || strcmp(other, name) != 0))
		return -EINVAL;
	nonce += 3;
	if (!is_printable(nonce) || has_extension(nonce))
		return -EINVAL;
	snprintf(s->nonce, sizeof(s->nonce), "%.*s", (int)strcspn(nonce, ","), nonce);
	return s->nonce[0] ? 0 : -EINVAL;
}

void scram_challenge(struct scram *s, const struct scram_keys *keys, const char *nonce)
{
	char salt[BASE64_SIZE(SCRAM_SALT_MAX) + 1];
	size_t n = strlen(s->nonce);

	s->keys = *keys;
	snprintf(s->nonce + n, sizeof(s->nonce) - n, "%s", nonce);
	base64_encode(salt, keys->salt, keys->salt_size);
	snprintf(s->server_first, sizeof(s->server_first), "r=%s,s=%s,i=%u", s->nonce, salt,
		 keys->iterations);
}

/* What the client says must be "c=<our gs2 in base64>,r=<nonce>"; extensions may follow. */
static bool is_ours(const struct scram *s, const char *without_proof)
{
	char binding[BASE64_SIZE(sizeof(s->gs2)) + 1];
	char start[sizeof(binding) + sizeof(s->nonce) + 8];
	size_t n;

	base64_encode(binding, s->gs2, strlen(s->gs2));
	n = snprintf(start, sizeof(start), "c=%s,r=%s", binding, s->nonce);
	return strncmp(without_proof, start, n) == 0 &&
	       (without_proof[n] == '\0' || without_proof[n] == ',');
}

static int check_proof(const struct scram *s, const uint8_t proof[SCRAM_KEY_SIZE],
		       const char *auth_message)
{
	uint8_t key[SCRAM_KEY_SIZE], signature[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE];

	if (hmac(s->keys.stored, auth_message, signature) < 0)
		return -EIO;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = proof[i] ^ signature[i];
	SHA256(key, sizeof(key), stored);
	OPENSSL_cleanse(key, sizeof(key));
	return CRYPTO_memcmp(stored, s->keys.stored, sizeof(stored)) == 0 ? 0 : -EACCES;
}

int scram_final(const struct scram *s, const char *message, size_t size,
		char final[SCRAM_MESSAGE_MAX])
{
	char text[SCRAM_MESSAGE_MAX * 3], *proof;
	char auth_message[sizeof(s->client_first) + sizeof(s->server_first) + sizeof(text) + 3];
	uint8_t bytes[SCRAM_MESSAGE_MAX * 3], signature[SCRAM_KEY_SIZE];
	int r;

	if (copy_message(text, sizeof(text), message, size) < 0)
		return -EINVAL;
	proof = strstr(text, ",p=");
	if (!proof)
		return -EINVAL;
	*proof = '\0';
	proof += 3;
	if (!is_ours(s, text) || has_extension(text) ||
	    strlen(proof) != BASE64_SIZE(SCRAM_KEY_SIZE) ||
	    base64_decode(bytes, proof, strlen(proof)) != SCRAM_KEY_SIZE)
		return -EINVAL;
	snprintf(auth_message, sizeof(auth_message), "%s,%s,%s", s->client_first, s->server_first,
		 text);
	r = check_proof(s, bytes, auth_message);
	if (r == 0)
		r = hmac(s->keys.server, auth_message, signature);
	if (r < 0)
		return r;
	memcpy(final, "v=", 2);
	base64_encode(final + 2, signature, sizeof(signature));
	return 0;
}
