/* SPDX-License-Identifier: MIT */
/*
 * The watches of a loop: an epoll set and a wheel.
 *
 * A watch that is closed while a batch is served may stand in the rest of that
 * batch; it is struck out there, as its memory goes.
 */
#include "loop/watch.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"
#include "fiber/fiber.h"

#include <errno.h>
#include <pthread.h>

#define WITHDRAWN 2 /* of a watch's armed */
#define FAR 4       /* so many before it is resumed a fiber is asked for */

static __attribute__((noinline)) int
control(struct sks_watch *watch, int operation)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = watch };

	if (sks_sys_epoll_ctl(watch->set->fd, operation, watch->fd, &ev) == -1)
		return -1;
	watch->set->armed -= watch->armed;
	watch->armed = operation != EPOLL_CTL_DEL;
	watch->set->armed += watch->armed;
	return 0;
}

/* The wheel has come to where an earlier wait put the watch. */
static int64_t
look(struct sks_due *due, int64_t now)
{
	struct sks_watch *watch = sks_container_of(due, struct sks_watch, due);
	void (*ready)(struct sks_watch *, int) = watch->ready;

	if (ready == NULL || watch->deadline == SKS_NEVER)
		return 0;
	if (now < watch->deadline)
		return watch->deadline;
	watch->ready = NULL;
	ready(watch, ETIMEDOUT);
	return 0;
}

int
sks_watch_set_init(struct sks_watch_set *set, struct event_base *base)
{
	set->count = set->next = set->last = set->armed = 0;
	set->now = sks_clock_ms();
	sks_wheel_init(&set->wheel, base, look);
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

static struct sks_watch *
watch_at(const struct sks_watch_set *set, int i)
{
	return set->batch[i].data.ptr;
}

/* From a look at a watch that strays on, its descriptor must not become another's. */
static pthread_mutex_t straying = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) void
disarm(struct sks_watch *watch)
{
	if (watch->strays)
		pthread_mutex_lock(&straying);
	if (watch->armed == 1)
		(void)control(watch, EPOLL_CTL_DEL);
	if (watch->strays)
		pthread_mutex_unlock(&straying);
}

/* Of the group that is served. NULL: struck out, or it ends before. */
static struct sks_watch *
in_group(const struct sks_watch_set *set, int i)
{
	return i < set->last ? watch_at(set, i) : NULL;
}

/*
 * Each system call, and each other connection, drives what a connection has out
 * of the first cache; with many of them, out of all. So it is asked for before
 * it is served, in two steps where a pointer leads to it.
 */
static SKS_ALWAYS_INLINE void
fetch(const void *object)
{
	if (object != NULL)
		sks_fetch(object, 2);
}

static SKS_ALWAYS_INLINE void
fetch_reader(const struct sks_watch *watch)
{
	if (watch != NULL && watch->reader != NULL)
		sks_fiber_fetch(watch->reader);
}

static SKS_ALWAYS_INLINE void
fetch_stack(const struct sks_watch *watch)
{
	if (watch != NULL && watch->reader != NULL)
		sks_fiber_fetch_stack(watch->reader);
}

/*
 * All of the group are asked for at once: with many connections each is on a page
 * that the processor has to look up, and it looks up several at a time.
 */
static void
read_ahead(const struct sks_watch_set *set)
{
	int i;

	for (i = set->next; i < set->last; i++)
		fetch(watch_at(set, i));
	for (i = set->next; i < set->last; i++) {
		const struct sks_watch *watch = watch_at(set, i);

		if (watch != NULL)
			fetch(watch->ahead);
	}
	for (i = set->next; i < set->last; i++) {
		const struct sks_watch *watch = watch_at(set, i);

		if (watch != NULL && watch->ahead != NULL)
			watch->ahead->run(watch->ahead);
	}
}

static void
on_input(struct sks_watch *watch)
{
	void (*ready)(struct sks_watch *, int) = watch->ready;

	if (ready == NULL) {
		/* Nobody waits: without this, unread input would wake the loop for ever. */
		disarm(watch);
		return;
	}
	watch->ready = NULL;
	ready(watch, 0);
}

static void
go_on(struct sks_watch_set *set)
{
	int i;

	for (i = 0; i < FAR; i++)
		fetch_reader(in_group(set, set->next + i));
	fetch_stack(in_group(set, set->next + 1));
	while (set->next < set->last) {
		struct sks_watch *watch = watch_at(set, set->next++);

		fetch_reader(in_group(set, set->next + FAR - 1));
		fetch_stack(in_group(set, set->next + 1));
		if (watch != NULL)
			on_input(watch);
	}
}

/*
 * Reads for all of a group, then lets them go on: the kernel's code for reading
 * does not fit into the first cache beside that for sending and ours, and in this
 * order it is fetched once for each group.
 */
static void
serve_group(struct sks_watch_set *set)
{
	read_ahead(set);
	go_on(set);
	set->last = 0;
}

int
sks_watch_set_serve(struct sks_watch_set *set)
{
	int n = sks_sys_epoll_wait(set->fd, set->batch, SKS_WATCH_BATCH, 0);

	if (n <= 0)
		return 0;
	set->now = sks_clock_ms();
	set->count = n;
	set->next = 0;
	while (set->next < set->count) {
		set->last = (int)sks_min((size_t)set->next + SKS_WATCH_GROUP, (size_t)set->count);
		serve_group(set);
	}
	return n;
}

void
sks_watch_set_interrupt(struct sks_watch_set *set)
{
	/* The kernel does not tell again of what was read ahead. */
	set->count = set->last > 0 ? set->last : set->next;
}

void
sks_watch_init(struct sks_watch *watch, struct sks_watch_set *set, int fd)
{
	*watch = (struct sks_watch){ .set = set, .fd = fd, .deadline = SKS_NEVER };
	sks_due_init(&watch->due);
}

int
sks_watch_expect(struct sks_watch *watch, void (*ready)(struct sks_watch *, int), int64_t deadline)
{
	/* Else a peer that answers within a millisecond would never be told. */
	if (deadline <= watch->set->now) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (!watch->armed && control(watch, EPOLL_CTL_ADD) == -1)
		return -1;
	if (deadline != SKS_NEVER && sks_wheel_set(&watch->set->wheel, &watch->due, deadline) == -1)
		return -1;
	watch->ready = ready;
	watch->deadline = deadline;
	return 0;
}

void
sks_watch_withdraw(struct sks_watch *watch)
{
	struct epoll_event ev = { .events = EPOLLIN };

	pthread_mutex_lock(&straying);
	if (watch->armed) {
		(void)sks_sys_epoll_ctl(watch->set->fd, EPOLL_CTL_DEL, watch->fd, &ev);
		watch->armed = WITHDRAWN; /* the set's count is not ours to change */
	}
	pthread_mutex_unlock(&straying);
}

void
sks_watch_close(struct sks_watch *watch)
{
	struct sks_watch_set *set = watch->set;
	int i;

	watch->ready = NULL;
	if (watch->armed == WITHDRAWN ||
	    (watch->armed && control(watch, EPOLL_CTL_DEL) == -1)) {
		watch->armed = 0; /* it is no longer in the set, or never will be served */
		set->armed--;
	}
	for (i = set->next; i < set->count; i++)
		if (set->batch[i].data.ptr == watch)
			set->batch[i].data.ptr = NULL;
	sks_wheel_remove(&set->wheel, &watch->due);
}
