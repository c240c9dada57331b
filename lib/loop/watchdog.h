/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - names the handler, or the hook, that keeps its loop, also while it still does.
 *
 * A loop shows which fiber it runs and since when (struct sks_watched). The thread of a
 * watchdog looks at the loops of its server now and then. Without such a thread a loop
 * reports by itself, when the handler has let go of it.
 */
#ifndef SKS_LOOP_WATCHDOG_H
#define SKS_LOOP_WATCHDOG_H

#include "base/clock.h"
#include "base/list.h"
#include "fiber/task.h"

#include <pthread.h>
#include <stdatomic.h>

/* A report: a handler, or a hook, has kept its loop for too long. */
struct sks_stuck {
	const char *hook; /* NULL: the handler itself */
	struct sks_log_origin origin; /* valid until the report returns; no peer: for no request */
	int64_t ms; /* how long it has kept the loop so far */
	int still;  /* it still does */
	int again;  /* it was reported before, while it still did */
};

struct sks_watched {
	/* The loop writes the first four. */
	_Atomic uint64_t turn;       /* counts the beginnings and ends of turns; odd: a fiber runs */
	_Atomic int64_t begun;       /* when the turn began, by the coarse clock */
	const struct sks_task *task; /* which runs */
	const char *hook;            /* which hook, while one runs; else NULL */
	atomic_int heed;             /* the watchdog sleeps, or reads task: the loop has to ask it */
	int limit_ms;                /* how long a turn may take; 0: nothing is measured */
	/*
	 * Set by the owner. Called on the watchdog's thread while the handler still keeps the
	 * loop, and on the loop's thread when it has let go; for one handler perhaps on both.
	 */
	void (*report)(void *arg, const struct sks_stuck *stuck);
	void *arg;
	struct sks_watchdog *dog;    /* NULL: the loop reports by itself */
	/* The rest is under the watchdog's lock. */
	struct sks_list link;
	uint64_t seen;     /* its turn at the last look */
	uint64_t reported; /* the turn that was reported while it went on; 0: none */
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
	int64_t in_time;     /* since this moment it has always looked in time */
	int64_t quiet_until; /* it has just reported, and waits for so long before the next time */
};

/* Makes a watchdog for loops with this limit. */
void sks_watchdog_init(struct sks_watchdog *dog, int limit_ms);

/* Adds a loop, which must live until sks_watchdog_end(). Before sks_watchdog_start(). */
void sks_watchdog_add(struct sks_watchdog *dog, struct sks_watched *loop);

/*
 * Starts the thread, with signals blocked, unless there is one already or there are no loops.
 * 0, or -1: EAGAIN, ENOMEM.
 */
int sks_watchdog_start(struct sks_watchdog *dog);

/* Ends the thread. Its loops run no fibers any more. dog may be zeroed, or never started. */
void sks_watchdog_end(struct sks_watchdog *dog);

/* The slow paths of the two calls below. */
void sks_watched_wake(struct sks_watched *loop);
void sks_watched_over(struct sks_watched *loop, int64_t ms);

/*
 * The loop calls these around each turn of a fiber, on the way of every message. The order of
 * turn and heed is explained in watchdog.c.
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

/*
 * From any thread: 1 when one fiber or hook has kept the loop since that moment, or for longer.
 */
static inline int
sks_watched_runs_since(const struct sks_watched *loop, int64_t moment)
{
	uint64_t turn = atomic_load(&loop->turn);

	return turn % 2 == 1 && atomic_load(&loop->begun) <= moment &&
	    atomic_load(&loop->turn) == turn;
}

/*
 * These two stand around a hook, which runs on the loop itself and not on a fiber. task has the
 * name and the peer to report.
 */
static inline void
sks_watched_begin_hook(struct sks_watched *loop, const char *hook, const struct sks_task *task)
{
	loop->hook = hook;
	sks_watched_begin(loop, task);
}

static inline void
sks_watched_end_hook(struct sks_watched *loop)
{
	sks_watched_end(loop);
	loop->hook = NULL;
}

#endif
