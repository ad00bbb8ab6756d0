/* SPDX-License-Identifier: MIT */
/*
 * Where the fields are in the table of children, for the driver that reads the file from outside:
 * one line "NAME OFFSET SIZE" each, of the table itself and, below "slot.", of one slot.
 */
#include <stdio.h>

#include "supervisor/table.c" /* its layout is nobody else's to know */

#define SHOW(prefix, type, field) \
	printf(prefix #field " %zu %zu\n", offsetof(type, field), sizeof(((type *)0)->field))

int main(void)
{
	SHOW("", struct table, run_id);
	SHOW("", struct table, used_slots);
	SHOW("", struct table, slots);
	printf("slot %d %zu\n", 0, sizeof(struct table_slot));
	SHOW("slot.", struct table_slot, child.name);
	SHOW("slot.", struct table_slot, child.state);
	SHOW("slot.", struct table_slot, child.flags);
	SHOW("slot.", struct table_slot, child.pid);
	SHOW("slot.", struct table_slot, child.instance);
	SHOW("slot.", struct table_slot, pidfs_inode);
	SHOW("slot.", struct table_slot, start_ticks);
	return 0;
}
