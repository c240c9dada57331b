/* SPDX-License-Identifier: MIT */
/*
 * A ring of lists, one for each tick, and one timer of libevent's for the first that is not
 * empty.
 */
#include "loop/wheel.h"

#include "base/clock.h"
#include "base/util.h"

static struct sks_list *
slot_of(struct sks_wheel *wheel, int64_t tick)
{
	return &wheel->slots[tick % SKS_WHEEL_SLOTS];
}

/* Sets the timer to this tick. 0, or -1: ENOMEM, and it is as it was. */
static int
set_timer(struct sks_wheel *wheel, int64_t tick)
{
	int64_t ms = sks_max64(tick * SKS_WHEEL_TICK_MS - sks_clock_ms(), 0);

	if (sks_event_add(&wheel->timer, ms) == -1)
		return -1;
	wheel->timer_tick = tick;
	return 0;
}

static void
insert(struct sks_wheel *wheel, struct sks_due *due, int64_t tick)
{
	int64_t last = wheel->done + SKS_WHEEL_SLOTS - 1;

	due->tick = sks_max64(wheel->done + 1, sks_min64(tick, last));
	sks_list_append(slot_of(wheel, due->tick), &due->link);
	wheel->entries++;
}

/* Calls on_due for each entry of a slot, and puts those that are not due yet where they belong. */
static void
serve_slot(struct sks_wheel *wheel, struct sks_list *slot, int64_t now)
{
	struct sks_list due, *link;

	sks_list_init(&due);
	sks_list_move_all(&due, slot);
	while ((link = sks_list_pop(&due)) != NULL) {
		struct sks_due *one = sks_list_entry(link, struct sks_due, link);
		int64_t deadline;

		wheel->entries--;
		deadline = wheel->on_due(one, now); /* 0: the entry may be gone now */
		if (deadline != 0)
			insert(wheel, one, deadline / SKS_WHEEL_TICK_MS + 1);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sks_wheel *wheel = arg;
	int64_t now = sks_clock_ms(), tick;

	(void)fd;
	(void)what;
	while (wheel->entries > 0 && wheel->done < now / SKS_WHEEL_TICK_MS) {
		wheel->done++;
		serve_slot(wheel, slot_of(wheel, wheel->done), now);
	}
	if (wheel->entries == 0 || event_pending(&wheel->timer, EV_TIMEOUT, NULL))
		return;
	for (tick = wheel->done + 1; sks_list_empty(slot_of(wheel, tick)); tick++)
		;
	if (set_timer(wheel, tick) == -1)
		wheel->timer_tick = INT64_MAX; /* the next entry sets it */
}

void
sks_wheel_init(struct sks_wheel *wheel, struct event_base *base,
    int64_t (*on_due)(struct sks_due *, int64_t now))
{
	int i;

	wheel->on_due = on_due;
	for (i = 0; i < SKS_WHEEL_SLOTS; i++)
		sks_list_init(&wheel->slots[i]);
	sks_event_assign(&wheel->timer, base, -1, 0, on_timer, wheel);
}

void
sks_wheel_end(struct sks_wheel *wheel)
{
	sks_event_end(&wheel->timer);
}

void
sks_due_init(struct sks_due *due)
{
	due->tick = 0;
	sks_list_init(&due->link);
}

int
sks_wheel_move(struct sks_wheel *wheel, struct sks_due *due, int64_t tick)
{
	sks_wheel_remove(wheel, due);
	if (wheel->entries == 0)
		wheel->done = sks_clock_ms() / SKS_WHEEL_TICK_MS;
	insert(wheel, due, tick);
	if ((wheel->entries == 1 || due->tick < wheel->timer_tick) &&
	    set_timer(wheel, due->tick) == -1) {
		sks_wheel_remove(wheel, due);
		return -1;
	}
	return 0;
}

void
sks_wheel_remove(struct sks_wheel *wheel, struct sks_due *due)
{
	if (sks_list_empty(&due->link))
		return;
	sks_list_remove(&due->link);
	wheel->entries--;
	if (wheel->entries == 0)
		event_del(&wheel->timer);
}
