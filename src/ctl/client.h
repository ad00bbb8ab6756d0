/* SPDX-License-Identifier: MIT */
/*
 * Single requests to the manager, and what its JSON says. Functions that print an error say so;
 * they return an exit code.
 */
#ifndef FOSTER_CTL_CLIENT_H
#define FOSTER_CTL_CLIENT_H

#include <jansson.h>

#include "ctl/ctl.h"
#include "base/exchange.h"
#include "ctl/member.h"

#define ANSWER_MAX (30 * USEC_PER_SEC) /* for what the manager answers at once */

static inline void json_cleanup(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

struct answer {
	int status;
	int error; /* of the exchange */
	char *body;
	json_t *json; /* an object, or NULL */
};
void answer_clear(struct answer *a);
#define _cleanup_answer_ _cleanup_(answer_clear)

/* Makes one request, again when the connection breaks. timeout in us; USEC_INFINITY: none. */
void client_call(const struct ctl *ctl, const char *method, const char *target, const char *body,
		 uint64_t timeout, struct answer *ret);

/* A POST that must not be made twice: when the connection breaks the error is -EPIPE. */
void client_call_once(const struct ctl *ctl, const char *target, const char *body,
		      struct answer *ret);

/* A GET that does not wait for a fosterd that has ended to come back. */
void client_call_running(const struct ctl *ctl, const char *target, uint64_t timeout,
			 struct answer *ret);

/* client_call() of what is answered at once. Prints an error; EXIT_OK when the status is 200. */
int client_get(const struct ctl *ctl, const char *target, struct answer *ret);

/* The same, but a good reply is only in body: whoever is in a hurry reads it otherwise. */
int client_fetch(const struct ctl *ctl, const char *target, struct answer *ret);

/* The exit code of a reply; prints the error unless it is EXIT_OK. subject may be NULL. */
int client_check(const struct ctl *ctl, const char *subject, int error, int status,
		 const json_t *reply);

/*
 * Words with * ? [ are patterns over the names of services, of a list or of the manager's when
 * there is a pattern at all. No name comes twice. Prints an error. *ret_names is the caller's.
 */
int client_expand_from(const json_t *services, char **words, size_t n, char ***ret_names);
int client_expand(const struct ctl *ctl, char **words, size_t n, char ***ret_names);

/* "/v1/services/NAME" and what follows; the caller's. NULL when out of memory. */
char *client_target(const char *name, const char *rest);

int out_of_memory(void); /* complains; EXIT_FAILED */

#endif
