/* SPDX-License-Identifier: MIT */
#include "loop/event.h"

#include "base/sys.h"

#include <errno.h>

int
sks_event_add(struct event *ev, int64_t ms)
{
	struct timeval limit = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	int saved = errno;

	if (sks_sys_fault_point("event_add") == -1)
		return -1;
	errno = 0;
	if (event_add(ev, ms >= 0 ? &limit : NULL) == -1) {
		if (errno == 0)
			errno = ENOMEM;
		return -1;
	}
	errno = saved;
	return 0;
}
