/* SPDX-License-Identifier: MIT */
/*
 * clock.h - time for deadlines: CLOCK_MONOTONIC in milliseconds, so that a
 * change of the wall clock moves no deadline.
 */
#ifndef SKS_BASE_CLOCK_H
#define SKS_BASE_CLOCK_H

#include "base/sys.h"

#include <errno.h>
#include <socketserver/export.h>
#include <stdint.h>

#define SKS_NEVER INT64_MAX

static inline int64_t
sks_clock_ms(void)
{
	struct timespec ts;

	sks_sys_clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Returns the time in nanoseconds: for what is measured and not waited for. */
static inline int64_t
sks_clock_ns(void)
{
	struct timespec ts;

	sks_sys_clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Returns the time by a clock that is as exact as the kernel's tick, and costs nearly nothing. */
static inline int64_t
sks_clock_coarse_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define SKS_CLOCK_TICK_MS 10 /* the longest that Linux has */
#define SKS_CLOCK_LONG_MS 1000

/*
 * Returns the moment ms from now; SKS_NEVER for a negative ms. Each wait asks for one. That of a
 * long time is up to a tick late, which nobody sees: the exact clock takes three times as long.
 */
static inline int64_t
sks_clock_after(int64_t ms)
{
	if (ms < 0)
		return SKS_NEVER;
	if (ms >= SKS_CLOCK_LONG_MS)
		return sks_clock_coarse_ms() + SKS_CLOCK_TICK_MS + ms;
	return sks_clock_ms() + ms;
}

/* Checks that ms is a time limit that a public call takes. 0, or -1 and EINVAL. */
static inline int
sks_limit_check(int ms)
{
	if (ms >= SKS_OFF)
		return 0;
	errno = EINVAL;
	return -1;
}

/*
 * Sets *deadline to the moment at which a time limit that begins now has passed: SKS_OFF never, 0
 * at once. 0, or -1 and EINVAL.
 */
static inline int
sks_limit_begin(int ms, int64_t *deadline)
{
	*deadline = sks_clock_after(ms);
	return sks_limit_check(ms);
}

/* Sets a time limit that is kept, where SKS_DEFAULT is fallback. 0, or -1 and EINVAL. */
static inline int
sks_limit_set(int *limit, int ms, int fallback)
{
	if (ms == SKS_DEFAULT)
		ms = fallback;
	else if (sks_limit_check(ms) == -1)
		return -1;
	*limit = ms;
	return 0;
}

/*
 * Returns the ms until a deadline, as poll(2) and sks_event_add() take it: -1 for never, 0 when it
 * has passed. A time that is too long for an int is cut.
 */
static inline int
sks_clock_left(int64_t deadline)
{
	int64_t left;

	if (deadline == SKS_NEVER)
		return -1;
	left = deadline - sks_clock_ms();
	if (left < 0)
		return 0;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

#endif
