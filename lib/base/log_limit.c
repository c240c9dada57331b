/* SPDX-License-Identifier: MIT */
#include "base/log_limit.h"

#include "base/clock.h"

/* A window: the lines asked for in the lower bits, the second in the others. */
#define LINES_BITS 24
#define LINES_MASK ((UINT64_C(1) << LINES_BITS) - 1)

int
sks_log_limit_allows(struct sks_log_limit *limit, unsigned int most, unsigned int *missing)
{
	uint64_t now = (uint64_t)(sks_clock_ms() / 1000) << LINES_BITS;
	uint64_t old = atomic_load(&limit->window), new;
	unsigned int lines;

	do {
		lines = (unsigned int)(old & LINES_MASK);
		if ((old & ~LINES_MASK) != now)
			new = now | 1;
		else
			new = lines < LINES_MASK ? old + 1 : old;
	} while (!atomic_compare_exchange_weak(&limit->window, &old, new));
	*missing = 0;
	if ((old & ~LINES_MASK) == now)
		return lines < most;
	if (lines > most)
		*missing = lines - most;
	return 1;
}
