/* SPDX-License-Identifier: MIT */
#include "kv_expiry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

void
kv_expiry_init(struct kv_expiry *expiry, struct budget *budget)
{
	memset(expiry, 0, sizeof(*expiry));
	expiry->budget = budget;
}

static size_t
heap_size(size_t room)
{
	return room == 0 ? 0 : (room + 1) * sizeof(struct kv_due);
}

void
kv_expiry_end(struct kv_expiry *expiry)
{
	free(expiry->heap);
	budget_give(expiry->budget, heap_size(expiry->room));
	kv_expiry_init(expiry, expiry->budget);
}

static int
resize(struct kv_expiry *expiry, size_t room)
{
	size_t before = heap_size(expiry->room), after = heap_size(room);
	struct kv_due *heap;

	if (after > before && budget_take(expiry->budget, after - before) == -1)
		return -1;
	heap = realloc(expiry->heap, after);
	if (heap == NULL) {
		if (after > before)
			budget_give(expiry->budget, after - before);
		return -1;
	}
	if (after < before)
		budget_give(expiry->budget, before - after);
	expiry->heap = heap;
	expiry->room = room;
	return 0;
}

int
kv_expiry_reserve(struct kv_expiry *expiry)
{
	if (expiry->count < expiry->room)
		return 0;
	if (expiry->room >= UINT32_MAX / 2) {
		errno = ENOSPC;
		return -1;
	}
	return resize(expiry, expiry->room == 0 ? FIRST_ROOM : expiry->room * 2);
}

static void
put(struct kv_expiry *expiry, size_t i, struct kv_due due)
{
	expiry->heap[i] = due;
	due.entry->due = (uint32_t)i;
}

/* Puts due at its place in the heap, above or below the hole at i. */
static void
settle(struct kv_expiry *expiry, size_t i, struct kv_due due)
{
	while (i > 1 && due.at < expiry->heap[i / 2].at) {
		put(expiry, i, expiry->heap[i / 2]);
		i /= 2;
	}
	for (;;) {
		size_t child = 2 * i;

		if (child < expiry->count && expiry->heap[child + 1].at < expiry->heap[child].at)
			child++;
		if (child > expiry->count || due.at <= expiry->heap[child].at)
			break;
		put(expiry, i, expiry->heap[child]);
		i = child;
	}
	put(expiry, i, due);
}

void
kv_expiry_set(struct kv_expiry *expiry, struct kv_entry *e, int64_t at)
{
	size_t i = e->due != 0 ? e->due : ++expiry->count;

	settle(expiry, i, (struct kv_due){ .at = at, .entry = e });
}

void
kv_expiry_clear(struct kv_expiry *expiry, struct kv_entry *e)
{
	size_t i = e->due;
	struct kv_due last;

	if (i == 0)
		return;
	e->due = 0;
	last = expiry->heap[expiry->count--];
	if (last.entry != e)
		settle(expiry, i, last);
	if (expiry->room > FIRST_ROOM && expiry->count < expiry->room / 4)
		(void)resize(expiry, expiry->room / 2);
}

void
kv_expiry_move(struct kv_expiry *expiry, struct kv_entry *old, struct kv_entry *e)
{
	if (old->due == 0)
		return;
	put(expiry, old->due, (struct kv_due){ .at = expiry->heap[old->due].at, .entry = e });
	old->due = 0;
}
