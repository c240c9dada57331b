/* SPDX-License-Identifier: MIT */
/*
 * The waits of socketserver/fiber.h: those of loop/wait.h, with the flush rule before them.
 */
#include "base/clock.h"
#include "stream/flush.h"
#include "loop/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <socketserver/fiber.h>

int
sks_sleep(int ms)
{
	if (sks_limit_check(ms) == -1)
		return -1;
	sks_flush_dirty();
	if (ms == SKS_OFF)
		return sks_wait_until(SKS_NEVER);
	if (ms > 0) /* one more, as the present millisecond of the clock is partly over */
		return sks_wait_until(sks_clock_after((int64_t)ms + 1));
	sks_wait_yield();
	return sks_wait_check();
}

void
sks_yield(void)
{
	sks_flush_dirty();
	sks_wait_yield();
}

int
sks_wait_fd(int fd, int events, int timeout_ms)
{
	int64_t deadline;

	if (events == 0 || (events & ~(SKS_READ | SKS_WRITE)) != 0) {
		errno = EINVAL;
		return -1;
	}
	/* libevent makes room for all numbers up to this one. */
	if (fcntl(fd, F_GETFD) == -1)
		return -1;
	if (sks_limit_begin(timeout_ms, &deadline) == -1)
		return -1;
	if (timeout_ms == 0)
		return sks_wait_look(fd, events);
	sks_flush_dirty();
	return sks_wait_events(fd, events, deadline);
}
