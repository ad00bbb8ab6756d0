/* SPDX-License-Identifier: MIT */
/*
 * One exchange of SASL, REGISTER or PASSWD, as its host carries it out: what the room asked in, the
 * verdict out. Blocks, on disk and for hashing: for the worker. What is wrong with the database is
 * said in the step's error, and the verdict is ROOM_UNABLE.
 */
#ifndef FOSTER_CHAT_AUTHENTICATE_H
#define FOSTER_CHAT_AUTHENTICATE_H

#include "chat/account-db.h"
#include "chat/room.h"
#include "chat/scram.h"

#define AUTHENTICATE_DATA_MAX 1600
#define NONCE_SIZE            18 /* bytes, 24 letters */

struct sasl_exchange {
	enum room_mechanism mechanism;
	int step;            /* of SCRAM: messages that came so far */
	struct scram *scram; /* NULL before its first */
	char account[ROOM_NICK_MAX + 1];
	char tried[ROOM_NICK_MAX + 1]; /* whose it was said to be, as it came; may be cut */
};

struct step {
	const char *data; /* the client's message; or the password; or the old, NUL, the new one */
	size_t size;
	const char *fingerprint;
	/* Out. */
	enum room_verdict verdict;
	char reply[SCRAM_MESSAGE_MAX * 2];
	size_t reply_size;
	struct error error; /* text "": none */
};

void authenticate(struct account_db *db, struct sasl_exchange *x, struct step *step);
/* A new account of the name x->account. */
void register_account(struct account_db *db, struct sasl_exchange *x, struct step *step,
		      int64_t now);
/* Another password for x->account. */
void change_password(struct account_db *db, struct sasl_exchange *x, struct step *step);
void sasl_exchange_clear(struct sasl_exchange *x);

#endif
