/* SPDX-License-Identifier: MIT */
/*
 * The input of a group is read, and its memory prefetched. batch.h says what that gains.
 */
#include "loop/batch.h"

#include "base/clock.h"
#include "base/util.h"
#include "fiber/fiber.h"

#define FIBERS_AHEAD 4 /* a fiber is prefetched when so many others are woken before it */

/* Returns the i-th watch that was reported. NULL: there are not so many, or it was closed since. */
static const struct sks_watch *
ready_at(const struct sks_watch_set *set, int i)
{
	return i < set->count ? set->ready[i].data.ptr : NULL;
}

static SKS_ALWAYS_INLINE void
fetch(const void *object)
{
	if (object != NULL)
		sks_fetch(object, 2);
}

static SKS_ALWAYS_INLINE void
fetch_fiber(const struct sks_watch *watch)
{
	if (watch != NULL && watch->reader != NULL)
		sks_fiber_fetch(watch->reader);
}

/* The address of the stack stands in the fiber, so the fiber must have been fetched before. */
static SKS_ALWAYS_INLINE void
fetch_stack(const struct sks_watch *watch)
{
	if (watch != NULL && watch->reader != NULL)
		sks_fiber_fetch_stack(watch->reader);
}

/* Reads for all, in three steps: a pointer in what was fetched leads to what is fetched next. */
static void
read_all(const struct sks_watch_set *set)
{
	int i;

	for (i = 0; i < set->count; i++)
		fetch(ready_at(set, i));
	for (i = 0; i < set->count; i++)
		if (ready_at(set, i) != NULL)
			fetch(ready_at(set, i)->preread);
	for (i = 0; i < set->count; i++) {
		const struct sks_watch *watch = ready_at(set, i);

		if (watch != NULL && watch->preread != NULL)
			watch->preread->read(watch->preread);
	}
}

static void
wake_all(struct sks_watch_set *set)
{
	int i;

	for (i = 0; i < FIBERS_AHEAD; i++)
		fetch_fiber(ready_at(set, i));
	fetch_stack(ready_at(set, 0));
	do {
		fetch_fiber(ready_at(set, set->next + FIBERS_AHEAD));
		fetch_stack(ready_at(set, set->next + 1));
	} while (sks_watch_set_wake_next(set));
}

int
sks_batch_serve(struct sks_watch_set *set)
{
	int n = sks_watch_set_poll(set);

	if (n > 0) {
		read_all(set);
		wake_all(set);
		if (set->is_timed != NULL &&
		    atomic_load_explicit(set->is_timed, memory_order_relaxed))
			sks_histogram_add(&set->turns,
			    (sks_clock_coarse_ms() - set->now) * 1000000);
	}
	return n;
}
