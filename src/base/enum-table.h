/* SPDX-License-Identifier: MIT */
/*
 * The to_string and from_string of an enum whose values run from 0, from one table of names:
 *
 *	static const char *const colour_names[] = { [COLOUR_RED] = "red", ... };
 *	ENUM_TABLE(colour, enum colour, colour_names)
 *
 * defines const char *colour_to_string(enum colour) (NULL outside the table) and
 * int colour_from_string(const char *), the value or -EINVAL. Declare both in the header
 * beside the enum.
 */
#ifndef FOSTER_BASE_ENUM_TABLE_H
#define FOSTER_BASE_ENUM_TABLE_H

#include <errno.h>
#include <string.h>

#include "base/macro.h"

#define ENUM_TABLE(prefix, type, names)                                           \
	const char *prefix##_to_string(type value)                                \
	{                                                                         \
		return (size_t)value < ELEMENTSOF(names) ? (names)[value] : NULL; \
	}                                                                         \
	int prefix##_from_string(const char *text)                                \
	{                                                                         \
		for (size_t i = 0; text && i < ELEMENTSOF(names); i++) {          \
			if ((names)[i] && strcmp((names)[i], text) == 0)          \
				return (int)i;                                    \
		}                                                                 \
		return -EINVAL;                                                   \
	}

#endif
