/* SPDX-License-Identifier: MIT */
/*
 * rfile.h - what the calls that read have in common: rfile.c (bytes), rfile_line.c (lines),
 * frame.c (numbers and blocks) and rfile_copy.c (from an rfile to a wfile).
 */
#ifndef SKS_STREAM_RFILE_H
#define SKS_STREAM_RFILE_H

#include "stream/fill.h"
#include "stream/stream.h"

/*
 * Each public call begins with it, and ends with sks_rfile_end() unless it has failed. The fiber
 * yields here if that is due. 0, or -1: EBUSY.
 */
int sks_rfile_begin(struct sks_rfile *r);

static inline void
sks_rfile_end(struct sks_rfile *r)
{
	sks_stream_release(sks_task_current(), &r->claimed);
}

/*
 * Within a call that may be long: n bytes more have come. A new step gives the call its time anew,
 * and the fiber yields if that is due. Other tasks find the rfile busy meanwhile.
 */
void sks_rfile_progress(struct sks_rfile *r, struct sks_patience *p, size_t n);

/*
 * Gets more input until the buffer has n bytes. 1: it has. 0: the input ends before that. -1. On
 * both others the bytes that have come stay in the buffer.
 */
int sks_rfile_gather(struct sks_rfile *r, struct sks_patience *p, size_t n);

/* Takes the first n bytes off the buffer. */
static inline void
sks_rfile_consume(struct sks_rfile *r, size_t n)
{
	sks_buf_consume(&r->buf, n);
	r->taken += n;
}

/*
 * Hands out n bytes of the buffer, which stand at first: with a NUL behind, in *block. What stands
 * in front of them the caller consumes afterwards.
 */
static inline ssize_t
sks_rfile_hand_out(struct sks_rfile *r, struct sks_task *task, unsigned char *first, size_t n,
    char **block)
{
	unsigned char *nul = first + n;

	*block = (char *)first;
	r->nul = nul;
	r->under_nul = *nul;
	sks_rfile_consume(r, n);
	task->lines++;
	*nul = '\0'; /* the last: the compiler takes the byte for a part of anything, also of *r */
	return (ssize_t)n;
}

#endif
