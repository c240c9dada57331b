/* SPDX-License-Identifier: MIT */
/*
 * wait.h - the one seam between fibers and everything else.
 *
 * Each call that waits ends here, and only here it matters what the current task is:
 * a fiber is parked until its loop has the event (wait_fiber.c), a thread blocks in
 * poll(2) (wait_thread.c). Both look at the same things in the same order: whether
 * the task is cancelled, then the event, then the deadline (of the call or of the
 * task, whichever comes first).
 *
 * All calls are for the current task, on its own thread, unless they say otherwise.
 * They return 0 or what they say, or -1 with errno: ETIMEDOUT when a deadline has
 * passed, ECANCELED, ENOMEM, or what epoll_ctl(2) or poll(2) says; task->wait_end
 * tells which deadline it was. A deadline is a moment as of sks_clock_ms(), or
 * SKS_NEVER. Waits do not flush: that is the stream's business.
 *
 * Two rejected alternatives. A table of waits carried by each stream would have tied
 * a stream to the kind of task that made it, where a handler's stream may well be used
 * by a child task or a thread. And a thread could wait in recv(2) itself, with a time
 * limit of the socket's: that saves the poll(2) (1.10 against 1.26 of a hand-written
 * thread for each connection), but nothing ends such a call except a signal, and those
 * are the host's, or shutdown(2), which cannot be undone.
 */
#ifndef SKS_LOOP_WAIT_H
#define SKS_LOOP_WAIT_H

#include "fiber/task.h"
#include "loop/loop.h"

struct pollfd;

/*
 * Waits until fd can be read. With a watch of the current fiber's loop this costs no
 * system call; preread is then what the loop does before the fiber goes on. Both may
 * be NULL.
 */
int sks_wait_readable(int fd, struct sks_watch *watch, struct sks_preread *preread,
    int64_t deadline);

/*
 * Waits for events, SKS_READ or SKS_WRITE or both. Returns those that have come. With -1 and 0
 * there is no event: the wait ends by the deadline, or returns 0 after sks_wait_wake().
 */
int sks_wait_events(int fd, int events, int64_t deadline);

/*
 * Does what sks_wait_events() does, but looks only once, without parking: ETIMEDOUT when there is
 * no event.
 */
int sks_wait_look(int fd, int events);

/*
 * Waits for the events of n entries, as poll(2) does. Returns how many have revents. The
 * array has room for SKS_CANCEL_MOST entries more. If a descriptor is closed while a
 * fiber waits for it that is not noticed, as with epoll(7).
 */
int sks_wait_set(struct pollfd *fds, size_t n, int64_t deadline);

/* Waits until the moment has come. Returns 0 then, or when sks_wait_wake() has ended the wait. */
int sks_wait_until(int64_t moment);

/*
 * Waits for a moment, longer each time, where the kernel has no event for what is
 * missing. *pause_ms begins with 0. Fails with ETIMEDOUT only if the deadline has passed
 * before the call, so that whatever is missing is looked at once more after it.
 */
int sks_wait_backoff(int *pause_ms, int64_t deadline);

/*
 * Wakes a parked fiber, whose wait returns 0, or -1 and this errno. Nothing happens if
 * the task is not parked. On the thread of its loop.
 */
void sks_wait_wake(struct sks_task *task, int error);

/* Does not wait: fails if no wait of the current task could begin now. */
int sks_wait_check(void);

/* Lets other fibers and events of the loop have their turn; on a thread, other threads. */
void sks_wait_yield(void);

/* Yields if the fiber's budget is spent. task is the current one. */
void sks_wait_yield_if_due(struct sks_task *task);

/*
 * For wait.c and wait_set.c: the waits of each kind of task. They begin with no look at the
 * task; an event of sks_wait_thread_events() is 0 where only the deadline is waited for.
 */
int sks_wait_fiber_readable(struct sks_task *task, struct sks_watch *watch,
    struct sks_preread *preread, int64_t deadline);
int sks_wait_fiber_events(int fd, int events, int64_t deadline);
int sks_wait_thread_events(int fd, int events, int64_t deadline);
int sks_wait_thread_set(struct pollfd *fds, size_t n, int64_t deadline);

/* A wait has failed with errno. Notes the reason in the task; returns -1. */
int sks_wait_failed(struct sks_task *task, int64_t deadline);

#endif
