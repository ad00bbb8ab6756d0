/* SPDX-License-Identifier: MIT */
/* A circular doubly linked list, its links in the elements. A link alone points to itself. */
#ifndef FOSTER_LIBFOSTER_LIST_H
#define FOSTER_LIBFOSTER_LIST_H

#include <stdbool.h>

struct link {
	struct link *next, *prev;
};

static inline void list_init(struct link *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}

static inline void list_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* To the end of the list that head stands for. l must be alone. */
static inline void list_append(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

#endif
