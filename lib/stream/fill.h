/* SPDX-License-Identifier: MIT */
/*
 * fill.h - how an rfile gets more input: it reads, or flushes, waits and reads.
 */
#ifndef SKS_STREAM_FILL_H
#define SKS_STREAM_FILL_H

#include "stream/stream.h"

/* How long one call may still wait: idle_ms for its first byte, then read_ms. Zeroed at first. */
struct sks_patience {
	int64_t deadline;
	enum sks_patience_phase {
		SKS_PATIENCE_UNSET,
		SKS_PATIENCE_FIRST,
		SKS_PATIENCE_REST
	} phase;
	int begun; /* bytes of this block have come */
};

/* A long transfer gets its time anew. */
static inline void
sks_patience_renew(struct sks_patience *p)
{
	p->phase = SKS_PATIENCE_UNSET;
}

/*
 * Gets more input, into the buffer (into is NULL) or the caller's memory.
 * 1..n, 0 at the end of input, or -1.
 */
ssize_t sks_fill(struct sks_rfile *r, struct sks_patience *p, void *into, size_t n);

/*
 * Of an rfile: reads once into the buffer, on the loop's stack, for a fiber that waits in
 * sks_fill(). That finds the number of bytes in preread_bytes, an end or an error in r.
 */
void sks_fill_preread(struct sks_preread *preread);

#endif
