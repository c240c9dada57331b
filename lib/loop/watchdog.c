/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - a thread that looks whether the loops go on.
 *
 * It looks twice in the time that a handler may keep its loop, and once right when that time
 * is over. If no loop has run a fiber since the last look it sleeps without a limit, and the
 * next fiber wakes it. So an idle server wakes up for nothing.
 *
 * A loop runs a fiber for each message, so its part is a few stores, and two loads of a flag
 * that is nearly always zero. Two things must hold all the same: no fiber runs unseen while
 * the watchdog goes to sleep, and no task or peer is freed while the watchdog reads it. Both
 * follow from one pattern. The loop writes its turn and then reads heed, the watchdog writes
 * heed and then reads the turn, and at least one of them must see what the other has
 * written. So these four accesses are sequentially consistent.
 *
 * A signal to the loop's thread, whose handler looks at the task, was the alternative. But
 * signals are the host's.
 *
 * If the whole process did not run, because it or its machine was stopped, no handler is to
 * blame. Then the watchdog itself comes too late to look, and the time before that does not count.
 */
#include "loop/watchdog.h"

#include "base/sys.h"
#include "base/thread.h"
#include "base/util.h"

#define LATE_LEAST_MS 50
#define NAMES_EVERY_MS 1000
/* The thread also runs the log's function, which has as much stack on a fiber. */
#define STACK_SIZE (128 * 1024)

static int64_t
pause_ms(const struct sks_watchdog *dog)
{
	return sks_max64(dog->limit_ms / 2, 1);
}

static int64_t
late_ms(const struct sks_watchdog *dog)
{
	return sks_max64(dog->limit_ms / 2, LATE_LEAST_MS);
}

/* Of the turn that the loop is in: its task is not freed before it has ended. */
static struct sks_stuck
describe(const struct sks_watched *loop, int64_t ms)
{
	return (struct sks_stuck){ .hook = loop->hook, .origin = loop->task->origin, .ms = ms };
}

/* -- the thread; all functions are called under the lock -- */

/* From now on the watchdog looks in time, first at this moment. */
static void
look_from(struct sks_watchdog *dog, int64_t moment)
{
	dog->in_time = sks_clock_ms();
	dog->due = moment;
}

/* Reports the turn, unless the handler lets go of the loop right now. */
static void
report(struct sks_watchdog *dog, struct sks_watched *loop, uint64_t turn, int64_t ms)
{
	struct sks_stuck stuck;

	/*
	 * If the turn still goes on after this store, it has to ask the watchdog before it ends.
	 */
	atomic_store(&loop->heed, 1);
	if (atomic_load(&loop->turn) != turn) {
		atomic_store(&loop->heed, 0);
		return;
	}
	stuck = describe(loop, ms);
	stuck.still = 1;
	loop->reported = turn;
	loop->report(loop->arg, &stuck); /* under the lock: before the report of its end */
	dog->due = sks_clock_ms();
	dog->quiet_until = dog->due + NAMES_EVERY_MS;
}

/* Returns 1 when the loop runs a fiber, or has run one since the last look. */
static int
look_at(struct sks_watchdog *dog, struct sks_watched *loop, int64_t now)
{
	uint64_t turn = atomic_load(&loop->turn);
	int64_t begun, over;
	int moved = turn != loop->seen;

	loop->seen = turn;
	if (turn % 2 == 0)
		return moved;
	if (turn == loop->reported)
		return 1;
	begun = sks_max64(atomic_load_explicit(&loop->begun, memory_order_relaxed), dog->in_time);
	over = sks_max64(begun + dog->limit_ms, dog->quiet_until);
	if (now >= over)
		report(dog, loop, turn, now - begun);
	else
		dog->due = sks_min64(dog->due, over);
	return 1;
}

static int
look(struct sks_watchdog *dog)
{
	int64_t now = sks_clock_ms();
	int moves = 0;

	if (now - dog->due > late_ms(dog))
		dog->in_time = now;
	dog->due = now + pause_ms(dog);
	sks_list_each (link, &dog->loops)
		moves |= look_at(dog, sks_list_entry(link, struct sks_watched, link), now);
	return moves;
}

static void
wait_until_due(struct sks_watchdog *dog)
{
	(void)sks_cond_wait_until(&dog->wake, &dog->lock, dog->due);
}

static void
set_all_heed(struct sks_watchdog *dog, int on)
{
	sks_list_each (link, &dog->loops)
		atomic_store(&sks_list_entry(link, struct sks_watched, link)->heed, on);
}

static int
any_has_moved(struct sks_watchdog *dog)
{
	sks_list_each (link, &dog->loops) {
		struct sks_watched *loop = sks_list_entry(link, struct sks_watched, link);

		if (atomic_load(&loop->turn) != loop->seen)
			return 1;
	}
	return 0;
}

/* Sleeps until a loop runs a fiber. A fiber that did not see heed is seen by any_has_moved(). */
static void
sleep_until_woken(struct sks_watchdog *dog)
{
	set_all_heed(dog, 1);
	dog->asleep = !any_has_moved(dog);
	while (dog->asleep && !dog->stop)
		pthread_cond_wait(&dog->wake, &dog->lock);
	dog->asleep = 0;
	set_all_heed(dog, 0);
}

static void *
watch(void *arg)
{
	struct sks_watchdog *dog = arg;

	pthread_mutex_lock(&dog->lock);
	if (!dog->stop) /* which may be set before this thread has begun */
		wait_until_due(dog);
	while (!dog->stop) {
		if (look(dog))
			wait_until_due(dog);
		else
			sleep_until_woken(dog);
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

/* -- on the loop's thread -- */

void
sks_watched_wake(struct sks_watched *loop)
{
	struct sks_watchdog *dog = loop->dog;

	pthread_mutex_lock(&dog->lock);
	atomic_store(&loop->heed, 0);
	if (dog->asleep) {
		dog->asleep = 0;
		look_from(dog, sks_clock_ms());
		pthread_cond_signal(&dog->wake);
	}
	pthread_mutex_unlock(&dog->lock);
}

/* Returns the time from begun to now, without gaps in which the process did not run. */
static int64_t
without_gaps(const struct sks_watchdog *dog, int64_t begun, int64_t now)
{
	return now - dog->due > late_ms(dog) ? 0 : now - sks_max64(begun, dog->in_time);
}

void
sks_watched_over(struct sks_watched *loop, int64_t ms)
{
	struct sks_watchdog *dog = loop->dog;
	struct sks_stuck stuck;
	int64_t now;
	int again = 0;

	if (dog != NULL) {
		pthread_mutex_lock(&dog->lock); /* waits until the watchdog has read the task */
		atomic_store(&loop->heed, 0);
		again = loop->reported != 0;
		loop->reported = 0;
		if (dog->has_thread && !again) {
			now = sks_clock_coarse_ms();
			ms = sks_min64(ms, without_gaps(dog, now - ms, now));
		}
		pthread_mutex_unlock(&dog->lock);
	}
	if (ms < loop->limit_ms && !again)
		return;
	stuck = describe(loop, ms);
	stuck.again = again;
	loop->report(loop->arg, &stuck);
}

/* -- its life -- */

void
sks_watchdog_init(struct sks_watchdog *dog, int limit_ms)
{
	*dog = (struct sks_watchdog){ .limit_ms = limit_ms };
	sks_list_init(&dog->loops);
	pthread_mutex_init(&dog->lock, NULL);
	sks_cond_init(&dog->wake);
}

void
sks_watchdog_add(struct sks_watchdog *dog, struct sks_watched *loop)
{
	loop->dog = dog;
	sks_list_append(&dog->loops, &loop->link);
}

int
sks_watchdog_start(struct sks_watchdog *dog)
{
	int rc;

	if (dog->has_thread || sks_list_empty(&dog->loops))
		return 0;
	pthread_mutex_lock(&dog->lock);
	rc = sks_thread_start(&dog->thread, STACK_SIZE, watch, dog);
	dog->has_thread = rc == 0;
	look_from(dog, sks_clock_ms() + pause_ms(dog));
	pthread_mutex_unlock(&dog->lock);
	return rc;
}

void
sks_watchdog_end(struct sks_watchdog *dog)
{
	if (!dog->has_thread)
		return;
	pthread_mutex_lock(&dog->lock);
	dog->stop = 1;
	pthread_cond_signal(&dog->wake);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	dog->has_thread = 0;
	dog->stop = 0;
}
