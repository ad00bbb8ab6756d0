/* SPDX-License-Identifier: MIT */
/* Messages of the channel to the logger: see logger.h. Pure. */
#include "base/logger.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"

static bool has_settings(uint32_t type)
{
	return type == LOGGER_OPEN || type == LOGGER_SET;
}

int logger_encode(struct logger_message *message, const struct logger_settings *settings,
		  const char *const *texts, size_t n_texts, char *to, size_t room)
{
	size_t size = sizeof(*message) + (settings ? sizeof(*settings) : 0), begin = size;

	for (size_t i = 0; i < n_texts; i++)
		size += strlen(texts[i]) + 1;
	size = (size + 7) / 8 * 8;
	if (size > MIN(room, (size_t)LOGGER_MESSAGE_MAX))
		return -EMSGSIZE;
	message->size = (uint32_t)size;
	memset(to, 0, size);
	memcpy(to, message, sizeof(*message));
	if (settings)
		memcpy(to + sizeof(*message), settings, sizeof(*settings));
	for (size_t i = 0; i < n_texts; i++) {
		strcpy(to + begin, texts[i]);
		begin += strlen(texts[i]) + 1;
	}
	return (int)size;
}

int logger_decode(const char *data, size_t size, const struct logger_message **ret,
		  const struct logger_settings **ret_settings,
		  const char *ret_texts[LOGGER_TEXTS_MAX])
{
	const struct logger_message *m = (const void *)data;
	const char *p = data + sizeof(*m), *end;

	if (size < sizeof(*m) || m->size < sizeof(*m) || m->size > size || m->size % 8 != 0 ||
	    m->number >= LOGGER_NUMBERS)
		return -EBADMSG;
	end = data + m->size;
	*ret_settings = NULL;
	if (has_settings(m->type)) {
		if ((size_t)(end - p) < sizeof(**ret_settings))
			return -EBADMSG;
		*ret_settings = (const void *)p;
		p += sizeof(**ret_settings);
		if ((*ret_settings)->sink >= _LOGGER_SINKS)
			return -EBADMSG;
	}
	if (p < end && end[-1] != '\0')
		return -EBADMSG;
	for (size_t i = 0; i < LOGGER_TEXTS_MAX; i++) {
		ret_texts[i] = p < end ? p : "";
		p += p < end ? strlen(p) + 1 : 0;
	}
	*ret = m;
	return (int)m->size;
}
