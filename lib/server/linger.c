/* SPDX-License-Identifier: MIT */
#include "server/linger.h"

#include "base/clock.h"
#include "loop/wait.h"

#include <errno.h>

void
sks_linger(struct sks_transport *tr, int linger_ms)
{
	int64_t deadline = sks_clock_after(linger_ms);
	unsigned char drop[1024];
	ssize_t drained = 0;

	tr->ops->shutdown(tr);
	while (drained < SKS_LINGER_BYTES) {
		ssize_t n = tr->ops->read(tr, drop, sizeof(drop));

		if (n == 0 || (n == -1 && errno != EAGAIN))
			return;
		if (n == -1 && sks_wait_readable(tr->fd, NULL, NULL, deadline) == -1)
			return;
		if (n > 0)
			drained += n;
	}
}
