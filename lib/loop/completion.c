/* SPDX-License-Identifier: MIT */
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
sks_completion_init(struct sks_completion *w)
{
	*w = (struct sks_completion){ .task = sks_task_current(), .fd = -1 };
	sks_list_init(&w->link);
	if (w->task->fiber != NULL)
		return 0;
	w->fd = sks_sys_eventfd(0, EFD_CLOEXEC);
	return w->fd == -1 ? -1 : 0;
}

void
sks_completion_end(struct sks_completion *w)
{
	int error = errno;

	if (w->fd != -1)
		close(w->fd);
	errno = error;
}

/* The teller has written, and is about to look at the completion for the last time. */
static void
await_last_look(struct sks_completion *w)
{
	while (!atomic_load(&w->completed))
		sched_yield();
	sks_tell_acquire(w);
}

int
sks_completion_wait(struct sks_completion *w, int64_t deadline)
{
	if (w->fd == -1)
		return sks_wait_park(deadline);
	if (sks_wait_events(w->fd, SKS_READ, deadline) == -1)
		return -1;
	await_last_look(w);
	return 0;
}

static void
hold_thread(struct sks_completion *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	while (sks_sys_poll(&p, 1, -1) == -1 && errno == EINTR)
		;
	await_last_look(w);
}

static void
hold_fiber(struct sks_completion *w)
{
	struct sks_loop *loop = w->task->loop;

	w->held = 1;
	loop->held++;
	sks_fiber_suspend();
	loop->held--;
}

void
sks_completion_wait_certain(struct sks_completion *w)
{
	int error = errno;

	if (w->fd != -1)
		hold_thread(w);
	else if (!atomic_load(&w->completed))
		hold_fiber(w);
	errno = error;
}

static void
tell_fiber(struct sks_message *message)
{
	struct sks_completion *w = sks_container_of(message, struct sks_completion, message);
	struct sks_task *task = w->task;

	atomic_store(&w->completed, 1);
	if (w->held)
		sks_loop_ready(task->loop, task);
	else
		sks_wait_wake(task, 0);
}

void
sks_complete(struct sks_completion *w)
{
	static const uint64_t one = 1;

	if (w->fd != -1) {
		(void)!write(w->fd, &one, sizeof(one));
		sks_tell_release(w);
		atomic_store(&w->completed, 1);
		return;
	}
	w->message.run = tell_fiber;
	if (sks_loop_is_here(w->task->loop))
		tell_fiber(&w->message);
	else
		sks_loop_post(w->task->loop, &w->message);
}
