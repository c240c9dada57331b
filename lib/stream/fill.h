/* SPDX-License-Identifier: MIT */
/*
 * fill.h - how an rfile gets more input: it reads, or flushes, waits and reads.
 */
#ifndef SKS_STREAM_FILL_H
#define SKS_STREAM_FILL_H

#include "stream/stream.h"

/*
 * The time that one call may still wait: idle_ms for its first byte, then read_ms. It begins as 0.
 */
struct sks_patience {
	int64_t began;          /* its phase */
	int64_t deadline;
	enum sks_patience_phase {
		SKS_PATIENCE_UNSET,
		SKS_PATIENCE_FIRST, /* it waits for the first byte of its block, */
		SKS_PATIENCE_REST   /* or for a later one */
	} phase;
	int begun;              /* bytes of the block have come */
	size_t step;            /* so many of them since a long transfer has got its time anew */
	struct sks_wfile *sink; /* of a copy: a wait ends where it is broken; NULL: peer_wfile */
};

/*
 * Gets more input, into the buffer, or into n bytes of the caller's memory if into is not NULL.
 * On the task that reads. 1 to n: how many bytes have come; 0: the input ends; -1 with errno as
 * of sks_read().
 */
ssize_t sks_fill(struct sks_rfile *r, struct sks_patience *p, void *into, size_t n);

/*
 * The preread of an rfile: reads once into the buffer, on the loop's stack, for a fiber that
 * waits in sks_fill(). How many bytes have come it says in preread_bytes; an end of input or an
 * error, in eof or error.
 */
void sks_fill_preread(struct sks_preread *preread);

#endif
