/* SPDX-License-Identifier: MIT */
/*
 * list.h - an intrusive list, doubly linked in a ring around its head.
 *
 * A link that is on no list points to itself, so that removing it twice, or
 * asking whether it is on a list, needs no flag beside it.
 */
#ifndef SKS_BASE_LIST_H
#define SKS_BASE_LIST_H

#include "util.h"

struct sks_list {
	struct sks_list *next;
	struct sks_list *prev;
};

#define sks_list_entry(link, type, member) sks_container_of(link, type, member)

/*
 * Declares link, which is each entry of a list in turn. The body may remove the entry it is at, and
 * no other.
 */
#define sks_list_each(link, head)                                                  \
	for (struct sks_list *link = (head)->next, *link##_after = link->next;     \
	     link != (head); link = link##_after, link##_after = link->next)

static inline void
sks_list_init(struct sks_list *l)
{
	l->next = l;
	l->prev = l;
}

/* Returns 1 when a list is empty, or when a link is on no list. */
static inline int
sks_list_empty(const struct sks_list *l)
{
	return l->next == l;
}

static inline void
sks_list_insert_after(struct sks_list *at, struct sks_list *link)
{
	link->prev = at;
	link->next = at->next;
	at->next->prev = link;
	at->next = link;
}

static inline void
sks_list_push(struct sks_list *head, struct sks_list *link)
{
	sks_list_insert_after(head, link);
}

static inline void
sks_list_append(struct sks_list *head, struct sks_list *link)
{
	sks_list_insert_after(head->prev, link);
}

static inline void
sks_list_remove(struct sks_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	sks_list_init(link);
}

/* Takes the first link off the list; NULL when it is empty. */
static inline struct sks_list *
sks_list_pop(struct sks_list *head)
{
	struct sks_list *link = head->next;

	if (link == head)
		return NULL;
	sks_list_remove(link);
	return link;
}

/* Moves every entry of from to the end of to. */
static inline void
sks_list_move_all(struct sks_list *to, struct sks_list *from)
{
	if (sks_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	sks_list_init(from);
}

#endif
