/* SPDX-License-Identifier: MIT */
/*
 * How tasks are cancelled. A fiber looks at its task, and is woken if it is parked. Threads and
 * child processes poll the eventfd of their cancel, so one write wakes all of them.
 */
#include "loop/cancel.h"

#include "base/fork.h"
#include "base/sys.h"
#include "loop/wait.h"

#include <errno.h>
#include <unistd.h>

void
sks_cancel_fiber(struct sks_task *task)
{
	atomic_store(&task->cancelled, 1);
	sks_wait_wake(task, ECANCELED);
}

int
sks_cancel_init(struct sks_cancel *cancel)
{
	atomic_init(&cancel->on, 0);
	cancel->up = NULL;
	sks_fork_watch();
	cancel->forks = sks_forks;
	cancel->fd = sks_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return cancel->fd == -1 ? -1 : 0;
}

void
sks_cancel_end(struct sks_cancel *cancel)
{
	if (cancel->fd != -1)
		sks_sys_close(cancel->fd);
	cancel->fd = -1;
}

void
sks_cancel_set(struct sks_cancel *cancel, int on)
{
	static const uint64_t one = 1;
	uint64_t count;
	int error = errno;

	atomic_store(&cancel->on, on);
	/* The parent has the same eventfd, and would be cancelled, too. */
	if (cancel->forks != sks_forks)
		return;
	if (on)
		(void)!write(cancel->fd, &one, sizeof(one));
	else
		(void)!read(cancel->fd, &count, sizeof(count));
	errno = error;
}
