/* SPDX-License-Identifier: MIT */
/*
 * How a write waits for room in its socket.
 *
 * The waits for 64 KiB share write_ms, also when several writes bring them: else a peer that
 * takes a little now and then would have that time anew for each write. These 64 KiB are what
 * the peer has taken, and not what the socket has: the kernel, which has megabytes for a
 * socket, finds room for more even if the peer stands still.
 */
#include "stream/write_wait.h"

#include "base/clock.h"
#include "loop/wait.h"
#include "stream/ahead.h"

#include <errno.h>
#include <limits.h>
#include <socketserver/fiber.h>

#define LOOK_MS 100 /* how often a wait for room looks whether it may read meanwhile */

/* The waits below: 1, there is room; 0, there is none yet; -1. */

/*
 * Another task waits for input now, or there is no memory for it; that may end before there is
 * room.
 */
static int
await_room_or_look(struct sks_wfile *w, int64_t deadline)
{
	int64_t look = sks_clock_after(LOOK_MS);

	if (sks_wait_events(w->tr->fd, SKS_WRITE, sks_min64(look, deadline)) != -1)
		return 1;
	return errno == ETIMEDOUT && look < sks_min64(deadline, sks_task_current()->deadline) ? 0 : -1;
}

/* Waits until there is room or input, of which it reads some. */
static int
await_room_or_input(struct sks_wfile *w, int64_t deadline)
{
	int events = sks_wait_events(w->tr->fd, SKS_READ | SKS_WRITE, deadline);

	if (events == SKS_READ)
		sks_ahead_read(w->peer_rfile);
	return events == -1 ? -1 : events != SKS_READ;
}

static int
await_what_it_wants(struct sks_wfile *w, int64_t deadline)
{
	switch (sks_ahead_wish(w->peer_rfile)) {
	case SKS_AHEAD_INPUT:
		return await_room_or_input(w, deadline);
	case SKS_AHEAD_LATER:
		return await_room_or_look(w, deadline);
	default:
		return sks_wait_events(w->tr->fd, SKS_WRITE, deadline) == -1 ? -1 : 1;
	}
}

/* Notes that the peer has taken so much in a wait. */
static void
note_taken(struct sks_wfile *w, int64_t ms, size_t taken)
{
	int64_t most = w->write_ms != SKS_OFF ? w->write_ms : INT_MAX;

	w->waited_ms = (int)sks_min64(w->waited_ms + ms, most);
	w->step += taken;
	if (w->step >= SKS_WRITE_STEP) { /* less gets no more time */
		w->step = 0;
		w->waited_ms = 0;
	}
	if (w->pace.rate != 0)
		sks_pace_note(&w->pace, ms, taken);
}

/*
 * Judges a wait that has ended without room, or only to look what the peer has taken. -1: no time
 * is left, by the limit of the task or by that of the stream. 0: there is some.
 */
static int
judge(struct sks_wfile *w)
{
	struct sks_task *task = sks_task_current();

	errno = ETIMEDOUT;
	if (task->wait_end == SKS_WAIT_DEADLINE)
		return -1;
	if (sks_pace_is_spent(&w->pace)) {
		w->pace.is_slow = 1;
		task->wait_end = SKS_WAIT_SLOW;
		return -1;
	}
	return w->write_ms == SKS_OFF || w->waited_ms < w->write_ms ? 0 : -1;
}

int
sks_write_wait(struct sks_wfile *w)
{
	int64_t began, deadline = SKS_NEVER;
	int rc, error, before;

	before = sks_pace_untaken(w->tr->fd);
	began = sks_clock_ms();
	if (w->write_ms != SKS_OFF)
		deadline = began + w->write_ms - w->waited_ms;
	sks_peer_wait_note(w->tr->peer_wait, began - w->waited_ms);
	deadline = sks_min64(deadline, sks_pace_deadline(&w->pace, began));
	rc = await_what_it_wants(w, sks_pace_look(began, deadline));
	error = errno;
	sks_peer_wait_note(w->tr->peer_wait, 0);
	note_taken(w, sks_clock_ms() - began,
	    sks_pace_taken(w->tr->fd, before, rc == 1, SKS_WRITE_STEP));
	if (rc == -1 && error == ETIMEDOUT)
		return judge(w);
	errno = error;
	return rc == -1 ? -1 : 0;
}
