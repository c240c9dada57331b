/* SPDX-License-Identifier: MIT */
/*
 * watch.h - the standing interest of a loop's connections in their input.
 *
 * A watch stays in place between waits, and is taken away only when there is
 * input and nobody waits for it: adding and deleting it for each wait costs a
 * third of the throughput. Its time limit is lazy too: see wheel.h.
 *
 * It is level-triggered, so that nothing is lost by those who read in other
 * ways, or not at all. To be edge-triggered, where a short read says that a
 * socket is empty, gained less than one percent.
 *
 * The watches of a loop are an epoll set of their own, which is one descriptor
 * to libevent. With an event of libevent's for each connection a message cost
 * a third more instructions, and five more lines of memory that no cache held;
 * and who has the whole set of what is ready can ask for the memory of the
 * next connection while the present one is served.
 */
#ifndef SKS_LOOP_WATCH_H
#define SKS_LOOP_WATCH_H

#include "fiber/task.h"
#include "loop/wheel.h"

#include <sys/epoll.h>

/* The kernel has looked at each of a batch: when it is served that should be in a cache still. */
#define SKS_WATCH_BATCH 64
#define SKS_WATCH_GROUP 16 /* served together */

/* Those of one loop. */
struct sks_watch_set {
	int fd;             /* an epoll set; readable when a watch is */
	int armed;          /* watches in it */
	int count;          /* of the batch that is being served, */
	int next;           /* and the first that was not; */
	int last;           /* its group ends here; 0: none is served */
	int64_t now;        /* when the batch came: no later than the clock */
	struct epoll_event batch[SKS_WATCH_BATCH];
	struct sks_wheel wheel; /* the last: its slots are many pages */
};

/* Done on the loop's stack for all of a group, before the first of them goes on. */
struct sks_ahead {
	void (*run)(struct sks_ahead *);
};

struct sks_watch {
	void (*ready)(struct sks_watch *, int error); /* 0: input; ETIMEDOUT. NULL: nobody waits */
	struct sks_ahead *ahead; /* what comes before it when there is input, or NULL */
	struct sks_task *reader; /* the fiber in sks_wait_readable(), else NULL */
	int64_t deadline;
	struct sks_watch_set *set;
	int fd;
	unsigned char armed;
	unsigned char strays;    /* it may be withdrawn on another thread */
	struct sks_due due;      /* its place in the wheel */
};

/* -1: EMFILE, ENFILE, ENOMEM. Fine to end after a failed init. */
int sks_watch_set_init(struct sks_watch_set *set, struct event_base *base);
void sks_watch_set_end(struct sks_watch_set *set);

/* Serves what has input now, each watch once. Returns how many there were. */
int sks_watch_set_serve(struct sks_watch_set *set);

/* From a watch's ready: what comes after its group is served later. */
void sks_watch_set_interrupt(struct sks_watch_set *set);

void sks_watch_init(struct sks_watch *watch, struct sks_watch_set *set, int fd);

/*
 * ready will be called once for input or when the deadline has passed: until
 * then, or until sks_watch_forget(). 0, or -1: ETIMEDOUT when it passed
 * before, ENOMEM, or what epoll_ctl(2) said.
 */
int sks_watch_expect(struct sks_watch *watch, void (*ready)(struct sks_watch *, int error),
    int64_t deadline);

static inline void
sks_watch_forget(struct sks_watch *watch)
{
	watch->ready = NULL;
}

/* Before its fd is closed, always: an epoll set outlives a descriptor. */
void sks_watch_close(struct sks_watch *watch);

/*
 * From any thread, of a watch that strays and that nobody waits for: its fd may
 * be closed then. Closing it is still due, on the loop's thread, and so long its
 * memory stays.
 */
void sks_watch_withdraw(struct sks_watch *watch);

#endif
