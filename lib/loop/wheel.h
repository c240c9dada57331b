/* SPDX-License-Identifier: MIT */
/*
 * wheel.h - the time limits of a loop's connections.
 *
 * A connection sets a limit at each wait and hardly ever meets it. A timer for
 * each costs a removal and an insertion for each message, in memory of two
 * other connections that is in no cache any more. Here a wait only stores its
 * deadline; the entry stays in the slot of an earlier one, is looked at when
 * that comes, and moves on to where it belongs. Limits are met up to a tick
 * late, never early. One beyond the last slot is looked at on the way, each 16 s.
 */
#ifndef SKS_LOOP_WHEEL_H
#define SKS_LOOP_WHEEL_H

#include "base/list.h"
#include "loop/event.h"

#include <stdint.h>

#define SKS_WHEEL_SLOTS 1024
#define SKS_WHEEL_TICK_MS 16

struct sks_due {
	struct sks_list link;
	int64_t tick; /* the slot it is in */
};

struct sks_wheel {
	/*
	 * An entry's time has come. Returns the deadline that it really has by now,
	 * when that is later; else acts upon it, and returns 0. It may add or remove
	 * any entry.
	 */
	int64_t (*look)(struct sks_due *, int64_t now);
	struct event timer;
	int64_t timer_tick; /* when it fires */
	int64_t done;       /* the last tick that was looked at */
	unsigned int entries;
	struct sks_list slots[SKS_WHEEL_SLOTS];
};

void sks_wheel_init(struct sks_wheel *wheel, struct event_base *base,
    int64_t (*look)(struct sks_due *, int64_t now));
void sks_wheel_end(struct sks_wheel *wheel);

void sks_due_init(struct sks_due *due);

/* The second half of the next. */
int sks_wheel_move(struct sks_wheel *wheel, struct sks_due *due, int64_t tick);

/* Will be looked at when the deadline has come, or before. 0, or -1: ENOMEM. */
static inline int
sks_wheel_set(struct sks_wheel *wheel, struct sks_due *due, int64_t deadline)
{
	int64_t tick = deadline / SKS_WHEEL_TICK_MS + 1;

	if (!sks_list_empty(&due->link) && due->tick <= tick)
		return 0;
	return sks_wheel_move(wheel, due, tick);
}

/* It need not be there. */
void sks_wheel_remove(struct sks_wheel *wheel, struct sks_due *due);

#endif
