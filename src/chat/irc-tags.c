/* SPDX-License-Identifier: MIT */
/* Message tags: see irc-tags.h. */
#include "chat/irc-tags.h"

#include <string.h>

/* The next one of the list, and *list moves behind it. Its size; 0 at the end. */
static size_t next_tag(const char **list, const char **ret)
{
	size_t n;

	*list += strspn(*list, ";");
	n = strcspn(*list, ";");
	*ret = *list;
	*list += n;
	return n;
}

bool irc_tag_value(const char *tags, const char *key, char *value, size_t size)
{
	size_t n_key = strlen(key), n;
	const char *tag;
	bool found = false;

	value[0] = '\0';
	while (tags && (n = next_tag(&tags, &tag)) > 0) {
		size_t n_value;

		if (strncmp(tag, key, n_key) != 0 || (n > n_key && tag[n_key] != '='))
			continue;
		n_value = n > n_key ? n - n_key - 1 : 0;
		found = n_value < size;
		value[0] = '\0';
		if (found) {
			memcpy(value, tag + n - n_value, n_value);
			value[n_value] = '\0';
		}
	}
	return found;
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* "+name" or "+vendor/name": letters, digits, '-', with dots in the vendor. */
static bool is_key_of_client(const char *tag)
{
	size_t n;

	if (*tag++ != '+')
		return false;
	n = strspn(tag, LETTERS_AND_DIGITS "-.");
	if (n > 0 && tag[n] == '/')
		tag += n + 1;
	n = strspn(tag, LETTERS_AND_DIGITS "-");
	return n > 0 && strchr("=;", tag[n]);
}

size_t irc_tags_of_client(const char *tags, char *buf, size_t size)
{
	size_t used = 0, n;
	const char *tag;

	while (tags && (n = next_tag(&tags, &tag)) > 0) {
		if (!is_key_of_client(tag) || used + (used > 0) + n >= size)
			continue;
		if (used > 0)
			buf[used++] = ';';
		memcpy(buf + used, tag, n);
		used += n;
	}
	buf[used] = '\0';
	return used;
}
