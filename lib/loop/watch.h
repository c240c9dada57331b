/* SPDX-License-Identifier: MIT */
/*
 * watch.h - the standing interest of a loop's connections in their input.
 *
 * A watch stays in the epoll set between waits. It is taken out only when it is reported
 * twice while nobody waits for its input: to add and to delete it for each wait would cost
 * a third of the throughput. Its time limit is lazy too (wheel.h). Watches are
 * level-triggered, so nothing is lost whatever a reader leaves in the socket. (To
 * be edge-triggered, where a short read tells that the socket is drained, gained
 * less than one percent.)
 *
 * The watches of a loop are an epoll set of their own, which libevent sees as one
 * descriptor. An event of libevent's for each connection took a third more
 * instructions for each message, and hid the list of those that are ready, which
 * batch.c wants to see whole.
 *
 * All calls are for the loop's thread, but for sks_watch_remove_threadsafe().
 *
 * In a child process the set is a copy, while the kernel's set is shared with the
 * parent. So nothing is added to a copy or taken out of it: a wait fails with
 * ECHILD, and to close a watch leaves the parent's watch alone.
 */
#ifndef SKS_LOOP_WATCH_H
#define SKS_LOOP_WATCH_H

#include "base/histogram.h"
#include "fiber/task.h"
#include "loop/wheel.h"

#include <sys/epoll.h>

#define SKS_WATCH_READY 16 /* watches that are reported at once, at most */

struct sks_preread;

/* The watches of one loop. */
struct sks_watch_set {
	int fd;        /* an epoll set: readable when one of its watches has input */
	unsigned int forks; /* sks_forks when it was made: elsewhere it is a copy (base/fork.h) */
	int count;     /* how many were reported, */
	int next;      /* and the first of them that was not woken yet */
	int64_t now;   /* when they were reported: never later than the clock */
	struct sks_histogram turns; /* how long those took that were served together, while */
	const atomic_int *is_timed; /* this is set, by its owner; NULL: never */
	struct epoll_event ready[SKS_WATCH_READY];
	struct sks_wheel wheel; /* the last: its slots are many pages */
};

enum sks_watch_event { SKS_WATCH_INPUT, SKS_WATCH_EXPIRED };

struct sks_watch {
	void (*wake)(struct sks_watch *, enum sks_watch_event); /* NULL: nobody waits */
	struct sks_preread *preread; /* how the loop reads before it wakes; NULL: not at all */
	struct sks_task *reader;     /* the fiber that waits; NULL: a callback does, or nobody */
	int64_t deadline;
	struct sks_watch_set *set;
	int fd;
	unsigned char armed;         /* it is in the epoll set */
	unsigned char idle;          /* it was reported since the last wait, while nobody waited */
	unsigned char shared;        /* another thread may take it out of the set */
	struct sks_due due;          /* its place in the wheel */
};

/*
 * Makes an empty set, in zeroed memory, whose timer is an event of base. 0, or -1: EMFILE, ENFILE,
 * ENOMEM; then it can be ended as well.
 */
int sks_watch_set_init(struct sks_watch_set *set, struct event_base *base);

/* Closes the epoll set. Watches that are still in it report nothing any more. */
void sks_watch_set_end(struct sks_watch_set *set);

/* Asks the kernel which watches have input, without waiting. Returns how many set->ready has. */
int sks_watch_set_poll(struct sks_watch_set *set);

/*
 * Takes the next watch off the list of those that were reported, and wakes the task that
 * waits for its input. 0: none was left.
 */
int sks_watch_set_wake_next(struct sks_watch_set *set);

/* Makes a watch for the input of fd, which is not in the epoll set before the first wait. */
void sks_watch_init(struct sks_watch *watch, struct sks_watch_set *set, int fd);

/*
 * wake will be called once, when there is input or when the deadline has passed,
 * unless sks_watch_forget() comes before. 0, or -1: ETIMEDOUT when the deadline has
 * passed already, ENOMEM, or what epoll_ctl(2) says.
 */
int sks_watch_expect(struct sks_watch *watch,
    void (*wake)(struct sks_watch *, enum sks_watch_event), int64_t deadline);

/* Nobody waits any more. The watch stays in the epoll set. */
static inline void
sks_watch_forget(struct sks_watch *watch)
{
	watch->wake = NULL;
}

/* Ends a watch; to be called before its descriptor is closed, since an epoll set outlives that. */
void sks_watch_close(struct sks_watch *watch);

/*
 * Thread-safe, for a shared watch that nobody waits with. Takes it out of the epoll
 * set, so that the caller may close the descriptor. sks_watch_close() is still due on
 * the loop's thread; the watch must not be freed before.
 */
void sks_watch_remove_threadsafe(struct sks_watch *watch);

#endif
