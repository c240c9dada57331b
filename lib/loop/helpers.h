/* SPDX-License-Identifier: MIT */
/*
 * helpers.h - helper threads for what blocks, so that a loop need not.
 *
 * There are two crews for the whole process, not one for each loop: how much
 * blocking work a machine bears does not grow with the loops, and a bound for
 * each would be their number times too much. They are two because look-ups
 * depend on somebody else's name server: when that is dead, all who wait for
 * it must not take the threads of those who do not.
 *
 * Threads are made when work finds none idle, kept for ten seconds, and have
 * all signals blocked. They are gone when the last user is: each loop is one,
 * and each plain thread while it waits. Only work that its owner has abandoned
 * is not waited for then: its thread is let go, and ends when the work does.
 * It cannot be ended from outside, as it may hold locks of the C library.
 */
#ifndef SKS_LOOP_HELPERS_H
#define SKS_LOOP_HELPERS_H

#include "base/list.h"

struct sks_helpers;

extern struct sks_helpers sks_helpers_offload; /* 32 threads, and 1024 who wait for one */
extern struct sks_helpers sks_helpers_resolve; /* 64 threads */

#define SKS_HELPERS_LOOKUPS 64

struct sks_work {
	struct sks_list link;
	void (*run)(struct sks_work *);  /* on a thread of the pool */
	void (*done)(struct sks_work *); /* after run, on the same; may free it */
	int abandoned;                   /* the pool's */
};

/* For as long as the caller may put work: the threads are gone when the last one has released. */
void sks_helpers_retain(void);
void sks_helpers_release(void);

/* 0, or -1: EAGAIN when too much is waiting, or no thread can be had; ENOMEM. */
int sks_helpers_submit(struct sks_helpers *pool, struct sks_work *work);

/* 1: it has not begun, and never will, and done is not called. 0: too late. */
int sks_helpers_cancel(struct sks_helpers *pool, struct sks_work *work);

/* Nobody waits for it any more. Its done must not have been called. */
void sks_helpers_detach(struct sks_helpers *pool, struct sks_work *work);

#endif
