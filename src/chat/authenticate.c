/* SPDX-License-Identifier: MIT */
/* PLAIN, SCRAM-SHA-256, EXTERNAL, and new accounts: see authenticate.h. */
#include "config.h"

#include "chat/authenticate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/macro.h"
#include "chat/names.h"

/* 0 with the account or -ENOENT; other errors make the verdict. */
static int look_up(struct account_db *db, const char *name, struct account *account,
		   struct step *step)
{
	struct error e;
	int r = account_db_find(db, name, account, &e);

	if (r < 0 && r != -ENOENT) {
		step->verdict = ROOM_UNABLE;
		step->error = e;
	}
	return r;
}

static void grant(struct sasl_exchange *x, const struct account *account, struct step *step)
{
	snprintf(x->account, sizeof(x->account), "%s", account->name);
	step->verdict = ROOM_GRANTED;
}

/* --- PLAIN (RFC 4616): authzid NUL authcid NUL password ----------------------------------- */

static void plain(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	const char *end = step->data + step->size, *authzid = step->data, *name, *password;
	struct account account;
	bool known;
	int r;

	name = memchr(authzid, '\0', step->size);
	password = name ? memchr(name + 1, '\0', end - name - 1) : NULL;
	if (!password)
		return;
	name++;
	password++;
	snprintf(x->tried, sizeof(x->tried), "%s", name);
	/* Nobody acts for another. */
	if (*authzid && !name_alike(authzid, name))
		return;
	r = look_up(db, name, &account, step);
	if (r < 0 && r != -ENOENT)
		return;
	known = r == 0;
	if (credential_check(known ? account.credential.hash : NULL, password, end - password))
		grant(x, &account, step);
}

/* --- SCRAM -------------------------------------------------------------------------------- */

static int make_nonce(char nonce[BASE64_SIZE(NONCE_SIZE) + 1])
{
	uint8_t bytes[NONCE_SIZE];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	base64_encode(nonce, bytes, sizeof(bytes));
	return 0;
}

/* Who has no account gets a challenge, too, and fails with the proof. */
static void scram_first_message(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	char name[SCRAM_NAME_MAX + 1], nonce[BASE64_SIZE(NONCE_SIZE) + 1];
	struct scram_keys made_up, *keys;
	struct account account;
	int r;

	x->scram = calloc(1, sizeof(*x->scram));
	if (!x->scram || make_nonce(nonce) < 0) {
		step->verdict = ROOM_UNABLE;
		return;
	}
	if (scram_begin(x->scram, step->data, step->size, name) < 0)
		return;
	snprintf(x->tried, sizeof(x->tried), "%s", name);
	r = look_up(db, name, &account, step);
	if (r < 0 && r != -ENOENT)
		return;
	credential_make_up(&made_up, name, account_db_secret(db), DB_SECRET_SIZE);
	keys = r == 0 ? &account.credential.scram : &made_up;
	if (r == 0)
		snprintf(x->account, sizeof(x->account), "%s", account.name);
	scram_challenge(x->scram, keys, nonce);
	step->reply_size = snprintf(step->reply, sizeof(step->reply), "%s", x->scram->server_first);
	step->verdict = ROOM_CONTINUE;
}

static void scram_last_message(struct sasl_exchange *x, struct step *step)
{
	if (scram_final(x->scram, step->data, step->size, step->reply) < 0)
		return;
	step->reply_size = strlen(step->reply);
	step->verdict = ROOM_CONTINUE;
}

static void scram(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	switch (x->step++) {
	case 0: scram_first_message(db, x, step); break;
	case 1: scram_last_message(x, step); break;
	default: /* The client has seen our proof, and has no more to say. */
		if (step->size == 0 && x->account[0])
			step->verdict = ROOM_GRANTED;
		break;
	}
}

/* --- EXTERNAL: authzid, or nothing -------------------------------------------------------- */

static void external(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	char name[ROOM_NICK_MAX + 1];
	struct account account;
	struct error e;
	int r;

	if (!step->fingerprint || step->size > ROOM_NICK_MAX || memchr(step->data, 0, step->size))
		return;
	snprintf(x->tried, sizeof(x->tried), "%.*s", (int)step->size, step->data);
	r = account_db_find_owner(db, ACCOUNT_CERTIFICATE, step->fingerprint, &account, &e);
	if (r < 0 && r != -ENOENT) {
		step->verdict = ROOM_UNABLE;
		step->error = e;
	}
	if (r < 0)
		return;
	memcpy(name, step->data, step->size);
	name[step->size] = '\0';
	if (!*name || name_alike(name, account.name))
		grant(x, &account, step);
}

void authenticate(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	step->verdict = ROOM_REFUSED;
	step->reply_size = 0;
	step->error.text[0] = '\0';
	switch (x->mechanism) {
	case ROOM_PLAIN: plain(db, x, step); break;
	case ROOM_SCRAM_SHA_256: scram(db, x, step); break;
	case ROOM_EXTERNAL: external(db, x, step); break;
	case ROOM_MECHANISMS: break;
	}
}

void register_account(struct account_db *db, struct sasl_exchange *x, struct step *step,
		      int64_t now)
{
	struct credential credential;
	struct error e;
	int r;

	step->verdict = ROOM_UNABLE;
	step->error.text[0] = '\0';
	if (password_refusal(step->data, step->size))
		return;
	r = credential_make(&credential, step->data, step->size);
	if (r < 0) {
		error_set_errno(&step->error, r, "a password could not be hashed");
		return;
	}
	r = account_db_add(db, x->account, &credential, now, &e);
	if (r == 0)
		step->verdict = ROOM_GRANTED;
	else if (r == -EEXIST)
		step->verdict = ROOM_REFUSED;
	else
		step->error = e;
}

void change_password(struct account_db *db, struct sasl_exchange *x, struct step *step)
{
	const char *end = step->data + step->size, *new;
	struct credential credential;
	struct account account;
	int r;

	step->verdict = ROOM_UNABLE;
	step->error.text[0] = '\0';
	new = memchr(step->data, '\0', step->size);
	if (!new || password_refusal(new + 1, end - new - 1))
		return;
	r = look_up(db, x->account, &account, step);
	if (r < 0 && r != -ENOENT)
		return;
	if (!credential_check(r == 0 ? account.credential.hash : NULL, step->data,
			      new - step->data)) {
		step->verdict = ROOM_REFUSED;
		return;
	}
	r = credential_make(&credential, new + 1, end - new - 1);
	if (r < 0) {
		error_set_errno(&step->error, r, "a password could not be hashed");
		return;
	}
	r = account_db_set_password(db, account.name, &credential, &step->error);
	explicit_bzero(&credential, sizeof(credential));
	if (r == 0) {
		step->error.text[0] = '\0';
		step->verdict = ROOM_GRANTED;
	}
}

void sasl_exchange_clear(struct sasl_exchange *x)
{
	if (x->scram)
		explicit_bzero(x->scram, sizeof(*x->scram));
	free(TAKE_PTR(x->scram));
}
