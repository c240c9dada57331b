/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - names the handler that keeps its loop, also while it still does.
 *
 * A loop shows which fiber it runs and since when (struct sks_watched); the
 * thread of a watchdog looks at the loops of its server now and then. Without
 * a thread a loop reports by itself, once the handler has let go of it.
 */
#ifndef SKS_LOOP_WATCHDOG_H
#define SKS_LOOP_WATCHDOG_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/list.h"
#include "fiber/task.h"

#include <pthread.h>
#include <stdatomic.h>

/* A handler that kept its loop for too long. */
struct sks_stuck {
	char name[64];
	char peer[SKS_ADDR_TEXT];
	int64_t ms; /* for so long */
	int still;  /* and it still does */
	int again;  /* it was reported before, when it still did */
};

struct sks_watched {
	_Atomic uint64_t turn;       /* of its fibers; odd: one runs. Written by the loop, as the next two */
	_Atomic int64_t begun;       /* of that turn, by the coarse clock */
	const struct sks_task *task; /* who runs */
	atomic_int heed;             /* the watchdog sleeps, or reads the task: the loop must ask it */
	int limit_ms;                /* longer is too long; 0: nothing is measured */
	/*
	 * Set by the owner: tells of an incident, on the watchdog's thread as long as it
	 * goes on, on the loop's when it is over; on both for one that is told of twice.
	 */
	void (*report)(void *arg, const struct sks_stuck *stuck);
	void *arg;
	struct sks_watchdog *dog;    /* NULL: none, the loop looks for itself */
	/* The rest is under the watchdog's lock. */
	struct sks_list link;
	uint64_t seen; /* its turn at the last look */
	uint64_t told; /* the turn that was reported while it went on; 0: none */
};

struct sks_watchdog {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct sks_list loops;
	int limit_ms;
	pthread_t thread;
	int has_thread;
	int stop;
	int asleep;          /* until a loop runs a fiber */
	int64_t due;         /* when it looks next */
	int64_t watching;    /* it has always looked in time since then */
	int64_t quiet_until; /* it has just told of one */
};

/* For loops with this limit. end is fine for one that never started, or of zeroes. */
void sks_watchdog_init(struct sks_watchdog *dog, int limit_ms);

/* One more loop to watch, before start. It must live until end. */
void sks_watchdog_add(struct sks_watchdog *dog, struct sks_watched *loop);

/*
 * Gives it its thread, with signals blocked, unless it has one or there is no loop. 0, or -1:
 * EAGAIN or ENOMEM.
 */
int sks_watchdog_start(struct sks_watchdog *dog);

/* Its loops run no fibers any more. */
void sks_watchdog_end(struct sks_watchdog *dog);

/* The slow ways of the two below. */
void sks_watched_wake(struct sks_watched *loop);
void sks_watched_over(struct sks_watched *loop, int64_t ms);

/*
 * On the loop's thread, around each turn of a fiber: these are on the way of
 * every message. See watchdog.c for the order of turn and heed.
 */
static inline void
sks_watched_begin(struct sks_watched *loop, const struct sks_task *task)
{
	uint64_t turn = atomic_load_explicit(&loop->turn, memory_order_relaxed);

	loop->task = task;
	atomic_store_explicit(&loop->begun, sks_clock_coarse_ms(), memory_order_relaxed);
	atomic_store(&loop->turn, turn + 1);
	if (atomic_load(&loop->heed))
		sks_watched_wake(loop);
}

static inline void
sks_watched_end(struct sks_watched *loop)
{
	uint64_t turn = atomic_load_explicit(&loop->turn, memory_order_relaxed);
	int64_t ms = sks_clock_coarse_ms() -
	    atomic_load_explicit(&loop->begun, memory_order_relaxed);

	atomic_store(&loop->turn, turn + 1);
	if (atomic_load(&loop->heed) || ms >= loop->limit_ms)
		sks_watched_over(loop, ms);
}

#endif
