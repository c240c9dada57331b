/* SPDX-License-Identifier: MIT */
#include "stream/pace.h"

#include "base/clock.h"
#include "base/sys.h"

#include <linux/sockios.h>

int sks_pace_window_ms = SKS_PACE_WINDOW_MS;
int sks_pace_look_ms = 1000;

int64_t
sks_pace_deadline(const struct sks_pace *pace, int64_t now)
{
	if (pace->rate == 0)
		return SKS_NEVER;
	return pace->credit <= 0 ? now : now + (pace->credit + pace->rate - 1) / pace->rate;
}

int
sks_pace_untaken(int fd)
{
	int n;

	return sks_sys_ioctl(fd, SIOCOUTQ, &n) == 0 ? n : -1;
}

size_t
sks_pace_taken(int fd, int before, int has_room, size_t enough)
{
	int now = sks_pace_untaken(fd);

	if (before == -1 || now == -1)
		return has_room ? enough : 0;
	return before > now ? (size_t)(before - now) : 0;
}
