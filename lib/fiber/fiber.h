/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - sequential code that can stop and go on: a stack and a context.
 *
 * A fiber knows no events. The loop resumes it, it runs until it suspends or
 * its function returns, and the loop goes on. Fibers are only resumed from a
 * thread's own stack, never from another fiber, and never change thread.
 * Ended fibers go back to their pool with stack, context and sanitizer
 * handles as they are, so that a warm start is a few stores and a switch.
 */
#ifndef SKS_FIBER_FIBER_H
#define SKS_FIBER_FIBER_H

#include "base/util.h"
#include "fiber/cxx.h"
#include "fiber/task.h"

#include <stddef.h>

/* So many cache lines of its stack a handler in sks_readline() uses, its streams included. */
#define SKS_FIBER_FETCHED 12

struct sks_stacks;

struct sks_fiber_pool; /* the fibers of one loop and one stack size; one thread only */

/*
 * It lives at the top of its own stack. Only fiber.c uses the members, except for the task.
 * Those that each switch touches, the first ones of the task included, share two lines of cache.
 */
struct sks_fiber {
	void *sp;                   /* where it stopped; stale while it runs */
	struct sks_fiber_pool *pool;
	void (*run)(void *);        /* NULL: it has ended */
	int error;                  /* its errno while it does not run */
	unsigned int valgrind_id;
	struct sks_task task;       /* task.fiber points back to the fiber */
	void *arg;
	struct sks_fiber *next;     /* idle in its pool: the one that ended before it */
	const struct sks_stacks *stacks;
	char *stack;                /* lowest usable byte, right above the guard */
	size_t stack_size;          /* as asked for: what reports and hints name */
	void *asan_fake_stack;
	void *tsan_fiber;
	struct sks_cxx_state cxx[SKS_CXX_MOST]; /* its own, or the thread's while it runs */
};

/*
 * A pool of fibers with stacks of at least stack_size usable bytes (0: 128
 * KiB; rounded up to pages, minimum 16 KiB). NULL: ENOMEM.
 */
struct sks_fiber_pool *sks_fiber_pool_new(size_t stack_size);

/* Frees a pool, of which no fiber may be live. NULL is fine. */
void sks_fiber_pool_free(struct sks_fiber_pool *pool);

/* Returns how many fibers were started and have not ended. Any thread. */
size_t sks_fiber_pool_live(const struct sks_fiber_pool *pool);

/* Returns how many have ended, and are kept for the next starts. Any thread. */
size_t sks_fiber_pool_idle(const struct sks_fiber_pool *pool);

/*
 * A fiber that will call run(arg) at its first resume, with errno 0 and a
 * fresh task. NULL: ENOMEM (memory, or the system's limit of mappings).
 */
struct sks_fiber *sks_fiber_start(struct sks_fiber_pool *pool, void (*run)(void *), void *arg);

/*
 * Runs the fiber until it suspends or ends; from a thread's own stack, or from a fiber of another
 * pool: its handler may free a server.
 * Returns 1 when it ended (the fiber is back in its pool: do not touch it),
 * 0 when it suspended. The caller's errno is kept.
 */
int sks_fiber_resume(struct sks_fiber *fiber);

/*
 * Asks the caches for what a resume of this task's fiber touches first: its struct, and once that
 * is there, the top of its stack.
 */
static SKS_ALWAYS_INLINE void
sks_fiber_fetch(const struct sks_task *task)
{
	sks_fetch(sks_container_of(task, struct sks_fiber, task), 2);
}

static SKS_ALWAYS_INLINE void
sks_fiber_fetch_stack(const struct sks_task *task)
{
	sks_fetch(sks_container_of(task, struct sks_fiber, task)->sp, SKS_FIBER_FETCHED);
}

/* Stops the running fiber until it is resumed; its errno is kept. Only on a fiber. */
void sks_fiber_suspend(void);

#endif
