/* SPDX-License-Identifier: MIT */
/* Passwords: see credential.h. */
#include "chat/credential.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/macro.h"
#include "chat/names.h"
#include "chat/utf8.h"

#define COST            5 /* yescrypt: 4 MiB here, some 20 ms */
#define PREFIX          "$y$j"
#define COSTS           "789AB" /* that are computed, in the hash's notation: 1 MiB to 16 MiB */
#define SALT_SIZE       16
#define SCRAM_ROUNDS    50000
#define RANDOM_FOR_SALT 32

const char *password_refusal(const char *password, size_t size)
{
	if (size < PASSWORD_MIN)
		return "a password has at least " STRINGIFY(PASSWORD_MIN) " bytes";
	if (size > PASSWORD_MAX)
		return "a password has at most " STRINGIFY(PASSWORD_MAX) " bytes";
	if (memchr(password, '\0', size) || memchr(password, '\n', size) ||
	    memchr(password, '\r', size))
		return "a password is one line";
	/* By SASL there is no way to say another one. */
	if (!utf8_is_valid(password, size))
		return "a password is UTF-8";
	return NULL;
}

/* Hashes with setting, a hash or what crypt_gensalt() made; hash "" when that is impossible. */
static void hash_with(const char *setting, const char *password, size_t size,
		      char hash[CREDENTIAL_HASH_MAX])
{
	struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB: too much for a stack */
	char text[PASSWORD_MAX + 1];
	const char *made = NULL;

	hash[0] = '\0';
	if (!data)
		return;
	size = MIN(size, PASSWORD_MAX);
	memcpy(text, password, size);
	text[size] = '\0';
	made = crypt_r(text, setting, data);
	if (made && made[0] != '*' && strlen(made) < CREDENTIAL_HASH_MAX)
		strcpy(hash, made);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(data, sizeof(*data));
	free(data);
}

static int random_bytes(void *buf, size_t size)
{
	return getrandom(buf, size, 0) == (ssize_t)size ? 0 : -EIO;
}

int credential_make(struct credential *c, const char *password, size_t size)
{
	char random[RANDOM_FOR_SALT], setting[CRYPT_GENSALT_OUTPUT_SIZE];

	memset(c, 0, sizeof(*c));
	c->scram.salt_size = SALT_SIZE;
	c->scram.iterations = SCRAM_ROUNDS;
	if (random_bytes(random, sizeof(random)) < 0 || random_bytes(c->scram.salt, SALT_SIZE) < 0)
		return -EIO;
	if (!crypt_gensalt_rn("$y$", COST, random, sizeof(random), setting, sizeof(setting)))
		return errno ? -errno : -EINVAL;
	hash_with(setting, password, size, c->hash);
	if (!c->hash[0])
		return -ENOMEM;
	return scram_derive(&c->scram, password, size);
}

/* One that somebody wrote into the database to cost minutes and gigabytes is none. */
static bool is_affordable(const char *hash)
{
	size_t n = strlen(PREFIX);

	return strncmp(hash, PREFIX, n) == 0 && hash[n] && strchr(COSTS, hash[n]);
}

bool credential_check(const char *hash, const char *password, size_t size)
{
	/* Of nothing, with the cost of all: whoever measures learns no names. */
	static const char nobody[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$";
	bool known = hash && is_affordable(hash);
	char made[CREDENTIAL_HASH_MAX];
	size_t n;

	if (size > PASSWORD_MAX || memchr(password, '\0', size))
		known = false;
	hash_with(known ? hash : nobody, password, size, made);
	n = strlen(made);
	return known && n > 0 && n == strlen(hash) && CRYPTO_memcmp(made, hash, n) == 0;
}

void credential_make_up(struct scram_keys *keys, const char *name, const void *secret,
			size_t secret_size)
{
	char key[NAME_KEY_MAX];
	size_t size = name_key(name, key);
	uint8_t bytes[SCRAM_KEY_SIZE];
	unsigned n = sizeof(bytes);

	memset(keys, 0, sizeof(*keys));
	HMAC(EVP_sha256(), secret, secret_size, (const uint8_t *)key, size, bytes, &n);
	memcpy(keys->salt, bytes, SALT_SIZE);
	keys->salt_size = SALT_SIZE;
	keys->iterations = SCRAM_ROUNDS;
	/* Keys of which nobody has the other half. */
	HMAC(EVP_sha256(), secret, secret_size, bytes, sizeof(bytes), keys->stored, &n);
	HMAC(EVP_sha256(), secret, secret_size, keys->stored, sizeof(keys->stored), keys->server,
	     &n);
}
