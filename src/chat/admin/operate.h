/* SPDX-License-Identifier: MIT */
/*
 * Does what is asked in the operators' channel, over the supervisor's control socket, for whom the
 * configuration allows it; each such request and each refusal is told in the log. May block for
 * some seconds, when the manager is just being replaced.
 */
#ifndef FOSTER_CHAT_ADMIN_OPERATE_H
#define FOSTER_CHAT_ADMIN_OPERATE_H

#include <stdbool.h>
#include <stddef.h>

struct feed;
struct operators_config;
struct operate;
struct packet;

/*
 * control and own, the name of the room's own service or NULL, must live as long; the configuration
 * is copied. NULL: out of memory.
 */
struct operate *operate_new(const char *control, const char *own,
			    const struct operators_config *config);
void operate_configure(struct operate *o, const struct operators_config *config);
void operate_free(struct operate *o);

/* In answer what is to be said, lines ending in LF; "": nothing. */
void operate_answer(struct operate *o, const struct packet *question, struct feed *feed,
		    char *answer, size_t size);

/* Whether the service's log may be shown, and a line of it as it may be. */
bool operate_may_show(const struct operate *o, const char *service);
void operate_redact(const struct operate *o, const char *line, char *buf, size_t size);

#endif
