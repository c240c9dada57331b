/* SPDX-License-Identifier: MIT */
/*
 * event.h - the life of an event, also in a host that has called
 * event_enable_debug_mode(3).
 *
 * In that mode libevent aborts the process when a descriptor is assigned that
 * blocks. The library only waits for such descriptors: its epoll sets, and
 * those that a handler passes to sks_wait_fd() or sks_select(), whose flags it
 * must not change. In that mode libevent also keeps a record of each event until
 * event_debug_unassign(3), which comes before the event's memory is freed.
 */
#ifndef SKS_LOOP_EVENT_H
#define SKS_LOOP_EVENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

/* Does what event_assign(3) does, for any descriptor. */
static inline void
sks_event_assign(struct event *ev, struct event_base *base, int fd, short events,
    event_callback_fn callback, void *arg)
{
	event_assign(ev, base, -1, events, callback, arg);
	ev->ev_fd = fd;
}

/*
 * Does what event_add(3) does, with a time limit in ms, or with none (-1). 0, and errno is kept; or
 * -1: ENOMEM, or as epoll_ctl(2).
 */
int sks_event_add(struct event *ev, int64_t ms);

/* Deletes an event, if it was assigned, before its memory goes. */
static inline void
sks_event_end(struct event *ev)
{
	if (!event_initialized(ev))
		return;
	event_del(ev);
	event_debug_unassign(ev);
}

#endif
