/* SPDX-License-Identifier: MIT */
/*
 * wait.h - the one seam between fibers and everything else.
 *
 * All calls that wait end here, and here alone it matters what the current
 * task is: a fiber is parked until its loop has the event (wait_fiber.c), a
 * thread blocks in poll(2) (wait_thread.c). Both look at the same things in the
 * same order: cancelled, then the event, then the deadline (the call's or the
 * task's, whichever comes first).
 *
 * To wait in recv(2) itself, with a time limit of the socket's, would save a
 * thread the poll(2): 1.10 against 1.26 of a hand-written thread for each
 * connection. But nothing ends such a call but a signal, and those are the
 * host's, or shutdown(2), which cannot be undone.
 *
 * The rejected alternative was a vtable of waits carried by each stream. It
 * would have tied a stream to the kind of task that made it, where a handler's
 * stream may well be used from a child task or a thread.
 */
#ifndef SKS_LOOP_WAIT_H
#define SKS_LOOP_WAIT_H

#include "fiber/task.h"
#include "loop/loop.h"

/*
 * The waits. 0 (sks_wait_any: the events, SKS_READ and SKS_WRITE), or -1:
 * ETIMEDOUT, ECANCELED, ENOMEM or what epoll_ctl(2) or poll(2) said. They do
 * not flush: that is the stream's business.
 */
int sks_wait_readable(int fd, struct sks_watch *watch, struct sks_preread *preread,
    int64_t deadline);
int sks_wait_writable(int fd, int64_t deadline);
int sks_wait_any(int fd, int events, int64_t deadline);
int sks_wait_until(int64_t moment); /* 0 when the moment came */

/* As sks_wait_any(), but looks only once, without parking: ETIMEDOUT when there is none of them. */
int sks_wait_look(int fd, int events);

/*
 * Where the kernel has no event for what is missing: sleeps for a moment, each
 * time for a longer one. *pause_ms begins with 0. 0: look again; -1 as above,
 * ETIMEDOUT when the deadline had passed before.
 */
int sks_wait_pause(int *pause_ms, int64_t deadline);

/*
 * The same for many: n entries as of poll(2), with room for SKS_CANCEL_MOST
 * more behind them. How many have revents, or -1 as above. An entry whose descriptor is
 * closed while a fiber waits is not noticed, as by epoll(7).
 */
struct pollfd;
int sks_wait_set(struct pollfd *fds, size_t n, int64_t deadline);
void sks_wait_turn(void);           /* lets other fibers and events go first */

/* One client with much to say must not keep the loop from the others: a turn, when it is due. */
#define SKS_FAIR_CALLS 32
#define SKS_FAIR_BYTES (256 * 1024)
#define SKS_FAIR_LINES 1024
static inline int
sks_wait_was_long(const struct sks_task *task)
{
	return task->calls >= SKS_FAIR_CALLS || task->bytes >= SKS_FAIR_BYTES ||
	    task->lines >= SKS_FAIR_LINES;
}
void sks_wait_fair(struct sks_task *task);

/*
 * Fibers only. Parks the current one until sks_wait_end() or the deadline (0,
 * or -1 as above); sks_wait_parked() leaves out what all waits begin with.
 */
int sks_wait_word(int64_t deadline);
int sks_wait_parked(int64_t deadline);

/* For calls that begin by waiting for their turn: 0, or -1 when no wait may begin any more. */
int sks_wait_may(void);

/*
 * Ends a fiber's wait with this error (0: none), on its loop's thread. Does
 * nothing for a task that is not parked.
 */
void sks_wait_end(struct sks_task *task, int error);

/* A fiber, from its loop's thread: every wait answers ECANCELED from now on. */
void sks_wait_cancel(struct sks_task *task);

/*
 * The same for all threads and children whose tasks share it. init: -1 and
 * EMFILE, ENFILE or ENOMEM. set is safe in a signal handler, and keeps errno.
 */
int sks_cancel_init(struct sks_cancel *cancel);
void sks_cancel_set(struct sks_cancel *cancel, int on);

/* The two kinds; wait.c and wait_many.c pick one. */
int sks_wait_fiber_readable(struct sks_task *task, struct sks_watch *watch,
    struct sks_preread *preread, int64_t deadline);
int sks_wait_fiber_any(int fd, int events, int64_t deadline);
int sks_wait_thread_any(int fd, int events, int64_t deadline);
int sks_wait_thread_set(struct pollfd *fds, size_t n, int64_t deadline);

#endif
