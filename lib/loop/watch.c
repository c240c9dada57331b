/* SPDX-License-Identifier: MIT */
/*
 * The watches of a loop: an epoll set and a wheel.
 *
 * A watch may be closed, and its memory freed, while it still stands in the list of
 * those that were reported. So closing a watch takes it off that list.
 */
#include "loop/watch.h"

#include "base/clock.h"
#include "base/fork.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>

/*
 * Between a look at a shared watch and the epoll_ctl(2) that follows, no other thread
 * may close its descriptor: the number could be somebody else's by then.
 */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static int
is_copy(const struct sks_watch_set *set)
{
	return set->forks != sks_forks;
}

/* Calls epoll_ctl(2). 0, or -1 and its errno; ECHILD for a copy. */
static __attribute__((noinline)) int
control(struct sks_watch *watch, int operation)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = watch };

	if (is_copy(watch->set)) {
		errno = ECHILD;
		return -1;
	}
	if (sks_sys_epoll_ctl(watch->set->fd, operation, watch->fd, &ev) == -1)
		return -1;
	watch->armed = operation != EPOLL_CTL_DEL;
	return 0;
}

/* The wheel has come to the slot where an earlier wait has put the watch. */
static int64_t
on_due(struct sks_due *due, int64_t now)
{
	struct sks_watch *watch = sks_container_of(due, struct sks_watch, due);
	void (*wake)(struct sks_watch *, enum sks_watch_event) = watch->wake;

	if (wake == NULL || watch->deadline == SKS_NEVER || is_copy(watch->set))
		return 0;
	if (now < watch->deadline)
		return watch->deadline;
	watch->wake = NULL;
	wake(watch, SKS_WATCH_EXPIRED);
	return 0;
}

int
sks_watch_set_init(struct sks_watch_set *set, struct event_base *base)
{
	sks_fork_guard(&shared_lock);
	set->forks = sks_forks;
	set->count = set->next = 0;
	set->now = sks_clock_ms();
	sks_wheel_init(&set->wheel, base, on_due);
	set->fd = sks_sys_epoll_create1(EPOLL_CLOEXEC);
	return set->fd == -1 ? -1 : 0;
}

void
sks_watch_set_end(struct sks_watch_set *set)
{
	sks_wheel_end(&set->wheel);
	if (set->fd != -1)
		sks_sys_close(set->fd);
	set->fd = -1;
}

int
sks_watch_set_poll(struct sks_watch_set *set)
{
	int n = sks_sys_epoll_wait(set->fd, set->ready, SKS_WATCH_READY, 0);

	set->next = 0;
	set->count = n > 0 ? n : 0;
	if (n > 0)
		set->now = sks_clock_ms();
	return set->count;
}

/*
 * The watch has input for which nobody waits. At the first report it stays in the set, since a
 * fiber that has only yielded soon reads that input. Then it is taken out, as it would wake the
 * loop without end.
 */
static __attribute__((noinline)) void
note_idle(struct sks_watch *watch)
{
	if (!watch->idle) {
		watch->idle = 1;
		return;
	}
	if (watch->shared)
		pthread_mutex_lock(&shared_lock);
	if (watch->armed)
		(void)control(watch, EPOLL_CTL_DEL);
	if (watch->shared)
		pthread_mutex_unlock(&shared_lock);
}

int
sks_watch_set_wake_next(struct sks_watch_set *set)
{
	void (*wake)(struct sks_watch *, enum sks_watch_event);
	struct sks_watch *watch;

	if (set->next == set->count)
		return 0;
	watch = set->ready[set->next++].data.ptr;
	if (watch == NULL) /* closed meanwhile */
		return 1;
	wake = watch->wake;
	if (wake == NULL) {
		note_idle(watch);
		return 1;
	}
	watch->wake = NULL;
	wake(watch, SKS_WATCH_INPUT);
	return 1;
}

void
sks_watch_init(struct sks_watch *watch, struct sks_watch_set *set, int fd)
{
	*watch = (struct sks_watch){ .set = set, .fd = fd, .deadline = SKS_NEVER };
	sks_due_init(&watch->due);
}

int
sks_watch_expect(struct sks_watch *watch, void (*wake)(struct sks_watch *, enum sks_watch_event),
    int64_t deadline)
{
	/* Else a deadline would never pass where a peer answers within a millisecond. */
	if (deadline <= watch->set->now) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (!watch->armed && control(watch, EPOLL_CTL_ADD) == -1)
		return -1;
	if (deadline != SKS_NEVER && sks_wheel_set(&watch->set->wheel, &watch->due, deadline) == -1)
		return -1;
	watch->wake = wake;
	watch->deadline = deadline;
	watch->idle = 0;
	return 0;
}

void
sks_watch_remove_threadsafe(struct sks_watch *watch)
{
	pthread_mutex_lock(&shared_lock);
	if (watch->armed)
		(void)control(watch, EPOLL_CTL_DEL);
	watch->armed = 0;
	pthread_mutex_unlock(&shared_lock);
}

void
sks_watch_close(struct sks_watch *watch)
{
	struct sks_watch_set *set = watch->set;
	int i;

	watch->wake = NULL;
	if (watch->armed)
		(void)control(watch, EPOLL_CTL_DEL);
	watch->armed = 0; /* also where that has failed */
	for (i = set->next; i < set->count; i++)
		if (set->ready[i].data.ptr == watch)
			set->ready[i].data.ptr = NULL;
	sks_wheel_remove(&set->wheel, &watch->due);
}
