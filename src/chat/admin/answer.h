/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's JSON in words for a channel: a few lines, each short enough for one message.
 * Pure. What does not fit into size is cut.
 */
#ifndef FOSTER_CHAT_ADMIN_ANSWER_H
#define FOSTER_CHAT_ADMIN_ANSWER_H

#include <stddef.h>

#include <jansson.h>

/* Writes a line of a log, or other words of a service, as they may be shown, cut to size. */
typedef void answer_redact(void *arg, const char *line, char *buf, size_t size);

/* GET /v1/services: how many are how, and those that are not as wanted; pattern "": all. */
void answer_services(const json_t *reply, const char *pattern, answer_redact *redact, void *arg,
		     char *buf, size_t size);

/* GET /v1/services/NAME/why. */
void answer_why(const json_t *reply, answer_redact *redact, void *arg, char *buf, size_t size);

/* The log of GET /v1/services/NAME: its last n lines, each as redact leaves it. */
void answer_log(const json_t *reply, unsigned n, answer_redact *redact, void *arg, char *buf,
		size_t size);

/* What came of a request that changes something, or why it failed. */
void answer_result(const json_t *reply, int status, const char *verb, char *buf, size_t size);

/* The same of POST /v1/reload: with its plan, or with what is wrong. */
void answer_reload(const json_t *reply, int status, answer_redact *redact, void *arg, char *buf,
		   size_t size);

#endif
