/* SPDX-License-Identifier: MIT */
/* A circular doubly linked list with its links in the elements. A link alone is its own list. */
#ifndef FOSTER_CHAT_LIST_H
#define FOSTER_CHAT_LIST_H

#include <stdbool.h>

struct list {
	struct list *next, *previous;
};

static inline void list_start(struct list *l)
{
	l->next = l->previous = l;
}

static inline bool list_is_alone(const struct list *l)
{
	return l->next == l;
}

static inline void list_leave(struct list *l)
{
	l->next->previous = l->previous;
	l->previous->next = l->next;
	list_start(l);
}

/* To the end of the list that head stands for, from wherever it is. */
static inline void list_move_last(struct list *head, struct list *l)
{
	list_leave(l);
	l->previous = head->previous;
	l->next = head;
	head->previous->next = l;
	head->previous = l;
}

#endif
