/* SPDX-License-Identifier: MIT */
/*
 * peer_wait.h - since when a connection waits for its peer, as its server sees it.
 *
 * The task of the connection, or its loop while it is parked, notes it. A loop looks at those of
 * other threads and of child processes, so that of a child lies in memory that both have. A wait
 * for input counts from the beginning of its line or block, or of 64 KiB of a longer one; a wait
 * for room from the last 64 KiB that the peer has taken.
 */
#ifndef SKS_STREAM_PEER_WAIT_H
#define SKS_STREAM_PEER_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

struct sks_peer_wait {
	_Atomic int64_t since; /* as of sks_clock_ms(); 0: it does not wait for its peer */
	atomic_int is_evicted; /* it is ended, to make room for another one */
};

/* Notes that a wait begins, or ends (0). wait may be NULL. */
static inline void
sks_peer_wait_note(struct sks_peer_wait *wait, int64_t since)
{
	if (wait != NULL)
		atomic_store_explicit(&wait->since, since, memory_order_relaxed);
}

/* Returns 1 when the connection is ended to make room. wait may be NULL. */
static inline int
sks_peer_wait_is_evicted(const struct sks_peer_wait *wait)
{
	return wait != NULL && atomic_load_explicit(&wait->is_evicted, memory_order_relaxed);
}

#endif
