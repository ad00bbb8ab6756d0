/* SPDX-License-Identifier: MIT */
/*
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding:
 *
 *	client-first -> scram_first() -> server-first ->
 *	client-final -> scram_final() -> server-final
 *
 * Pure: nonce and keys are given.
 */
#ifndef FOSTER_CHAT_SCRAM_H
#define FOSTER_CHAT_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_KEY_SIZE    32
#define SCRAM_SALT_MAX    32
#define SCRAM_NAME_MAX    64
#define SCRAM_MESSAGE_MAX 512 /* bytes of any one message */

/* What is kept of a password. */
struct scram_keys {
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_size;
	uint32_t iterations;
	uint8_t stored[SCRAM_KEY_SIZE], server[SCRAM_KEY_SIZE];
};

struct scram {
	char gs2[SCRAM_NAME_MAX * 3 + 8]; /* "n,," or "n,a=name,", with "=2C" for some letters */
	char client_first[SCRAM_MESSAGE_MAX + 1], server_first[SCRAM_MESSAGE_MAX * 2];
	char nonce[SCRAM_MESSAGE_MAX + 64]; /* the client's and ours */
	struct scram_keys keys;
};

/* Computes salt's stored and server key from the password: as long as iterations ask. 0 or -EIO. */
int scram_derive(struct scram_keys *keys, const char *password, size_t size);

/* Reads the first message: the account's name, to look up its keys. 0 or -EINVAL. */
int scram_begin(struct scram *s, const char *message, size_t size, char name[SCRAM_NAME_MAX + 1]);

/*
 * keys of that account, or made up; nonce: printable, no comma, at most 63 bytes. Our message is
 * s->server_first.
 */
void scram_challenge(struct scram *s, const struct scram_keys *keys, const char *nonce);

/*
 * Checks the second message. 0, and the message that proves us to the client is in final;
 * -EACCES: wrong password; -EINVAL: no such message.
 */
int scram_final(const struct scram *s, const char *message, size_t size,
		char final[SCRAM_MESSAGE_MAX]);

#endif
