/* SPDX-License-Identifier: MIT */
/*
 * A fiber is parked, and its loop wakes it. A thread polls an eventfd of its own.
 */
#include "loop/completion.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/tools.h"
#include "fiber/fiber.h"
#include "loop/wait.h"

#include <errno.h>
#include <sched.h>
#include <socketserver/fiber.h>

int
sks_completion_init(struct sks_completion *c)
{
	*c = (struct sks_completion){ .task = sks_task_current(), .fd = -1 };
	sks_list_init(&c->link);
	if (c->task->fiber != NULL)
		return 0;
	c->fd = sks_sys_eventfd(0, EFD_CLOEXEC);
	return c->fd == -1 ? -1 : 0;
}

void
sks_completion_end(struct sks_completion *c)
{
	int error = errno;

	if (c->fd != -1)
		close(c->fd);
	errno = error;
}

/* sks_complete() has written, and is about to touch the completion for the last time. */
static void
await_last_touch(struct sks_completion *c)
{
	while (!atomic_load(&c->completed))
		sched_yield();
	sks_tell_acquire(c);
}

int
sks_completion_wait(struct sks_completion *c, int64_t deadline)
{
	if (c->fd == -1)
		return sks_wait_events(-1, 0, deadline);
	if (sks_wait_events(c->fd, SKS_READ, deadline) == -1)
		return -1;
	await_last_touch(c);
	return 0;
}

static void
wait_on_thread(struct sks_completion *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	while (sks_sys_poll(&p, 1, -1) == -1 && errno == EINTR)
		;
	await_last_touch(c);
}

static void
wait_on_fiber(struct sks_completion *c)
{
	struct sks_loop *loop = c->task->loop;

	c->certain = 1;
	loop->certain_waits++;
	sks_fiber_suspend();
	loop->certain_waits--;
}

void
sks_completion_wait_certain(struct sks_completion *c)
{
	int error = errno;

	if (c->fd != -1)
		wait_on_thread(c);
	else if (!atomic_load(&c->completed))
		wait_on_fiber(c);
	errno = error;
}

int
sks_completion_wait_in_list(struct sks_completion *c, pthread_mutex_t *lock)
{
	int claimed;

	if (sks_completion_wait(c, SKS_NEVER) == 0)
		return 0;
	pthread_mutex_lock(lock);
	claimed = c->claimed;
	if (!claimed) /* else the link is for whoever has claimed it */
		sks_list_remove(&c->link);
	pthread_mutex_unlock(lock);
	if (!claimed)
		return -1;
	sks_completion_wait_certain(c);
	return 0;
}

struct sks_completion *
sks_completion_claim(struct sks_list *waiters)
{
	struct sks_list *link = sks_list_pop(waiters);
	struct sks_completion *c;

	if (link == NULL)
		return NULL;
	c = sks_list_entry(link, struct sks_completion, link);
	c->claimed = 1;
	return c;
}

static void
complete_fiber(struct sks_message *message)
{
	struct sks_completion *c = sks_container_of(message, struct sks_completion, message);
	struct sks_task *task = c->task;

	atomic_store(&c->completed, 1);
	if (c->certain)
		sks_loop_ready(task->loop, task);
	else
		sks_wait_wake(task, 0);
}

void
sks_complete(struct sks_completion *c)
{
	static const uint64_t one = 1;

	if (c->fd != -1) {
		(void)!write(c->fd, &one, sizeof(one));
		sks_tell_release(c);
		atomic_store(&c->completed, 1);
		return;
	}
	c->message.run = complete_fiber;
	if (sks_loop_is_here(c->task->loop))
		complete_fiber(&c->message);
	else
		sks_loop_post(c->task->loop, &c->message);
}
