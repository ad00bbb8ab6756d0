/* SPDX-License-Identifier: MIT */
/*
 * What is kept of a password: a hash by yescrypt, for PLAIN, and the keys of SCRAM-SHA-256. All
 * of it is slow on purpose (tens of milliseconds): for the worker, not for the loop.
 */
#ifndef FOSTER_CHAT_CREDENTIAL_H
#define FOSTER_CHAT_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "chat/scram.h"

#define PASSWORD_MIN        8
#define PASSWORD_MAX        300 /* bytes */
#define CREDENTIAL_HASH_MAX 128

struct credential {
	char hash[CREDENTIAL_HASH_MAX];
	struct scram_keys scram;
};

/* NULL, or why it is no password: its size, a NUL or a line's end in it. */
const char *password_refusal(const char *password, size_t size);

/* 0 or -errno. */
int credential_make(struct credential *c, const char *password, size_t size);

/* Takes as long for hash NULL (no such account: false) as for any. */
bool credential_check(const char *hash, const char *password, size_t size);

/* Keys that fit no password; the same ones for a name as long as secret is the same. */
void credential_make_up(struct scram_keys *keys, const char *name, const void *secret,
			size_t secret_size);

#endif
