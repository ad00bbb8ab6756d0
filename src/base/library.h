/* SPDX-License-Identifier: MIT */
/* Functions of a library that is opened only where it is needed, by dlopen(3). */
#ifndef FOSTER_BASE_LIBRARY_H
#define FOSTER_BASE_LIBRARY_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct library_function {
	const char *name;
	void **ret; /* the pointer to it, which has its type */
};

/* For a list of them; does not compile where the pointer has another type than the function. */
#define LIBRARY_FUNCTION(pointer, function) \
	((struct library_function){ #function, LIBRARY_POINTER(pointer, function) })
#define LIBRARY_POINTER(pointer, function) \
	((void **)(1 ? &(pointer) : (__typeof__(&function) *)NULL))

/* dlsym(3) for each. False: the library lacks one, whose pointer is NULL. */
static inline bool library_find(void *library, const struct library_function *list, size_t n)
{
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		*list[i].ret = dlsym(library, list[i].name);
		all = all && *list[i].ret;
	}
	return all;
}

#endif
