/* SPDX-License-Identifier: MIT */
/*
 * A cancellation must not pass a reader by. The reader says that it is inside,
 * then looks whether it is cancelled; who cancels says so, then looks whether
 * somebody is inside. In one order for all, so that one of the two sees it.
 */
#include "stream/blocking.h"

#include "base/clock.h"
#include "base/sys.h"
#include "fiber/task.h"

#include <errno.h>
#include <sys/time.h>

int
sks_blocking_may(const struct sks_transport *tr)
{
	const struct sks_task *task = sks_task_current();

	/* With a deadline the time would be another at each wait; and children may read, too. */
	return tr->ops->read_waiting != NULL && task->cancel != NULL && task->cancel->up == NULL &&
	    !atomic_load_explicit(&task->cancel->soon, memory_order_relaxed) && !task->shares &&
	    task->deadline == SKS_NEVER;
}

/* 0, or -1: it has the limit it had. */
static int
limit(struct sks_blocking *b, int fd, int ms)
{
	struct timeval time = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (sks_sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == -1)
		return -1;
	b->limit_ms = ms;
	return 0;
}

static ssize_t
canceled(void)
{
	errno = ECANCELED;
	return -1;
}

ssize_t
sks_blocking_read(struct sks_blocking *b, struct sks_transport *tr, void *buf, size_t n,
    int limit_ms)
{
	struct sks_cancel *cancel = sks_task_current()->cancel;
	ssize_t got;

	if (limit_ms < 0)
		limit_ms = 0;
	if (b->limit_ms != limit_ms && limit(b, tr->fd, limit_ms) == -1) {
		errno = EAGAIN;
		return -1;
	}
	atomic_store(&b->inside, 1);
	if (atomic_load(&cancel->on)) {
		atomic_store(&b->inside, 0);
		return canceled();
	}
	got = tr->ops->read_waiting(tr, buf, n);
	atomic_store_explicit(&b->inside, 0, memory_order_release);
	if (got == 0 && atomic_load(&cancel->on))
		return canceled();
	if (got == -1 && errno == EINTR) /* by a stop, which a limited call does not outlast */
		errno = EAGAIN;
	return got;
}

void
sks_blocking_interrupt(struct sks_blocking *b, const struct sks_transport *tr)
{
	if (atomic_load(&b->inside))
		(void)shutdown(tr->fd, SHUT_RD);
}
