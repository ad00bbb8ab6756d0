/* SPDX-License-Identifier: MIT */
/*
 * What the manager tells of a service's why, in plain words: pure but for the writing. The
 * documents are those of foster-control(7); what is missing in one is left out.
 */
#ifndef FOSTER_CTL_WHY_TEXT_H
#define FOSTER_CTL_WHY_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The name of a user, or NULL; it is used before the next call. */
typedef const char *user_name(uint32_t uid);

struct why_text {
	FILE *f;
	bool colours;
	user_name *user_name;
};

/* All about one service: GET /v1/services/NAME/why. */
void why_print(const struct why_text *, const json_t *why);

/* One that is not as wanted, in a few lines: an element of GET /v1/why. */
void why_print_short(const struct why_text *, const json_t *why);

/* GET /v1/blocking, whole. */
void why_print_blocking(const struct why_text *, const json_t *blocking);

/*
 * "web: stopping, SIGKILL in 4s": an element of either list on one line, for those who wait. The
 * caller's; NULL when out of memory. why_key() is the same without what changes by itself.
 */
char *why_line(const json_t *why);
char *why_key(const json_t *why);

#endif
