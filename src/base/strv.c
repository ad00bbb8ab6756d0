/* SPDX-License-Identifier: MIT */
/* Arrays of strings: see strv.h. */
#include "base/strv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t strv_length(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

char **strv_free(char **v)
{
	STRV_FOREACH(s, v)
		free(*s);
	free(v);
	return NULL;
}

char **strv_copy(char *const *v)
{
	size_t n = strv_length(v);
	char **copy = calloc(n + 1, sizeof(char *));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(v[i]);
		if (!copy[i])
			return strv_free(copy);
	}
	return copy;
}

int strv_push(char ***v, const char *s)
{
	size_t n = strv_length(*v);
	char **bigger = realloc(*v, (n + 2) * sizeof(char *));

	if (!bigger)
		return -ENOMEM;
	*v = bigger;
	bigger[n + 1] = NULL;
	bigger[n] = strdup(s);
	return bigger[n] ? 0 : -ENOMEM;
}

bool strv_contains(char *const *v, const char *s)
{
	for (; v && *v; v++) {
		if (strcmp(*v, s) == 0)
			return true;
	}
	return false;
}

bool strv_equal(char *const *a, char *const *b)
{
	size_t n = strv_length(a);

	if (n != strv_length(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}
