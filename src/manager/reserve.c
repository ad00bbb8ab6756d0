/* SPDX-License-Identifier: MIT */
/* Descriptors kept free: see reserve.h. */
#include "manager/reserve.h"

#include <assert.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

/* A directory, one below it, a file in that, and a pidfd that is looked at meanwhile. */
static int kept[4] = { -1, -1, -1, -1 };
static unsigned depth;

void reserve_fill(void)
{
	for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
		if (kept[i] < 0)
			kept[i] = fd_copy(STDIN_FILENO);
	}
}

void reserve_begin(void)
{
	if (depth++ > 0)
		return;
	for (size_t i = 0; i < ELEMENTSOF(kept); i++)
		kept[i] = fd_close(kept[i]);
}

void reserve_end(void)
{
	assert(depth > 0);
	if (--depth == 0)
		reserve_fill();
}
