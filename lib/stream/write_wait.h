/* SPDX-License-Identifier: MIT */
/*
 * write_wait.h - how a write waits for room in its socket, and how long.
 */
#ifndef SKS_STREAM_WRITE_WAIT_H
#define SKS_STREAM_WRITE_WAIT_H

#include "stream/stream.h"

/*
 * On the task that writes: waits until the socket may take more, reading ahead meanwhile. 0; or
 * -1, as the waits of loop/wait.h. After ETIMEDOUT the caller tries once more, but not where the
 * peer is too slow (w->pace.is_slow).
 */
int sks_write_wait(struct sks_wfile *w);

/* All was sent without a wait: the peer's time limit and its time for min_rate begin anew. */
static inline void
sks_write_wait_renew(struct sks_wfile *w)
{
	w->step = 0;
	w->waited_ms = 0;
	if (w->is_bounded)
		sks_pace_begin(&w->pace);
}

#endif
