/* SPDX-License-Identifier: MIT */
#include "io/waiter.h"

#include "base/clock.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "io/wait.h"

#include <errno.h>
#include <sched.h>
#include <socketserver/fiber.h>

int
sks_waiter_init(struct sks_waiter *w)
{
	*w = (struct sks_waiter){ .task = sks_task_current(), .fd = -1 };
	sks_list_init(&w->link);
	if (w->task->fiber != NULL)
		return 0;
	w->fd = sks_sys_eventfd(0, EFD_CLOEXEC);
	return w->fd == -1 ? -1 : 0;
}

void
sks_waiter_end(struct sks_waiter *w)
{
	int error = errno;

	if (w->fd != -1)
		close(w->fd);
	errno = error;
}

/* The teller has written, and is about to look at the waiter for the last time. */
static void
await_last_look(struct sks_waiter *w)
{
	while (!atomic_load(&w->told))
		sched_yield();
}

int
sks_waiter_wait(struct sks_waiter *w, int64_t deadline)
{
	if (w->fd == -1)
		return sks_wait_word(deadline);
	if (sks_wait_any(w->fd, SKS_READ, deadline) == -1)
		return -1;
	await_last_look(w);
	return 0;
}

static void
hold_thread(struct sks_waiter *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	while (sks_sys_poll(&p, 1, -1) == -1 && errno == EINTR)
		;
	await_last_look(w);
}

static void
hold_fiber(struct sks_waiter *w)
{
	struct sks_loop *loop = w->task->loop;

	w->held = 1;
	loop->held++;
	sks_fiber_suspend();
	loop->held--;
}

void
sks_waiter_hold(struct sks_waiter *w)
{
	int error = errno;

	if (!atomic_load(&w->told)) {
		if (w->fd != -1)
			hold_thread(w);
		else
			hold_fiber(w);
	}
	errno = error;
}

static void
tell_fiber(struct sks_message *message)
{
	struct sks_waiter *w = sks_container_of(message, struct sks_waiter, message);
	struct sks_task *task = w->task;

	atomic_store(&w->told, 1);
	if (w->held)
		sks_loop_ready(task->loop, task);
	else
		sks_wait_end(task, 0);
}

void
sks_waiter_tell(struct sks_waiter *w)
{
	static const uint64_t one = 1;

	if (w->fd != -1) {
		(void)!write(w->fd, &one, sizeof(one));
		atomic_store(&w->told, 1);
		return;
	}
	w->message.run = tell_fiber;
	if (sks_loop_is_here(w->task->loop))
		tell_fiber(&w->message);
	else
		sks_loop_post(w->task->loop, &w->message);
}
