/* SPDX-License-Identifier: MIT */
/*
 * wheel.h - the time limits of a loop's connections.
 *
 * A connection sets a limit at each wait and hardly ever meets it. With a timer for each
 * connection every message would cost a removal and an insertion, in memory of two other
 * connections that is in no cache any more. Here a wait only stores its deadline. The entry
 * stays in the slot of an earlier deadline, is looked at when that has come, and moves on
 * to where it belongs by then. Limits are met up to a tick (16 ms) late, never early. An
 * entry whose deadline lies beyond the last slot is looked at on its way there, each 16 s.
 *
 * All calls are for the loop's thread.
 */
#ifndef SKS_LOOP_WHEEL_H
#define SKS_LOOP_WHEEL_H

#include "base/list.h"
#include "loop/event.h"

#include <stdint.h>

#define SKS_WHEEL_SLOTS 1024
#define SKS_WHEEL_TICK_MS 16

/* A time limit in the wheel. */
struct sks_due {
	struct sks_list link;
	int64_t tick; /* of the slot where it is */
};

struct sks_wheel {
	/*
	 * The tick of an entry has come. Returns the deadline that the entry really has, if
	 * that is later; else it does what is due, and returns 0. It may add and remove entries.
	 */
	int64_t (*on_due)(struct sks_due *, int64_t now);
	struct event timer;
	int64_t timer_tick; /* when it fires; INT64_MAX: it could not be set */
	int64_t done;       /* the last tick that was looked at */
	unsigned int entries;
	struct sks_list slots[SKS_WHEEL_SLOTS];
};

/* Makes an empty wheel, in zeroed memory, whose timer is an event of base. */
void sks_wheel_init(struct sks_wheel *wheel, struct event_base *base,
    int64_t (*on_due)(struct sks_due *, int64_t now));

/* Ends the timer: on_due is not called any more. */
void sks_wheel_end(struct sks_wheel *wheel);

/* Makes an entry that is in no wheel. */
void sks_due_init(struct sks_due *due);

/* The slow path of sks_wheel_set(): puts the entry into the slot of this tick. 0, or -1: ENOMEM. */
int sks_wheel_move(struct sks_wheel *wheel, struct sks_due *due, int64_t tick);

/* Has on_due called when the deadline has come, or before. 0, or -1: ENOMEM. */
static inline int
sks_wheel_set(struct sks_wheel *wheel, struct sks_due *due, int64_t deadline)
{
	int64_t tick = deadline / SKS_WHEEL_TICK_MS + 1;

	if (!sks_list_empty(&due->link) && due->tick <= tick)
		return 0;
	return sks_wheel_move(wheel, due, tick);
}

/* Takes an entry out of the wheel; it need not be in it. */
void sks_wheel_remove(struct sks_wheel *wheel, struct sks_due *due);

#endif
