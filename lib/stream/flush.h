/* SPDX-License-Identifier: MIT */
/*
 * flush.h - sends what wfiles have, and keeps the flush rule: a task that is about to wait
 * first sends what it has written.
 *
 * All calls are for the current task.
 */
#ifndef SKS_STREAM_FLUSH_H
#define SKS_STREAM_FLUSH_H

#include "stream/file.h"
#include "stream/stream.h"

/*
 * The flush rule: sends all that the current task has written, waiting as needed. Errors are
 * noted in the wfiles. Keeps what could not be sent because the task is cancelled.
 */
void sks_flush_dirty(void);

/*
 * Does what sks_flush_dirty() does, at the end of a task, which has no wfiles to flush afterwards.
 */
void sks_flush_end(void);

/*
 * Sends the wfile's buffer and then these pieces of memory, waiting as needed, with nothing that
 * was posted between them. 0, or -1 with errno: the direction is broken, or EBUSY, ECANCELED,
 * ENOMEM.
 */
int sks_wfile_send(struct sks_wfile *w, const struct iovec *pieces, int count);

/*
 * Sends the buffer and a part of a file behind it. Also ENODATA when the file has become shorter,
 * and what read(2) says; these break the direction.
 */
int sks_wfile_send_file(struct sks_wfile *w, struct sks_file_part *file);

/* Sends what the socket takes now. 0, also if bytes are left; -1: the direction is broken. */
int sks_wfile_try_flush(struct sks_wfile *w);

/*
 * Returns 0, or -1 with errno: why the direction is broken. A failure of a datagram breaks nothing:
 * it is reported once, by the first call that comes after it.
 */
int sks_wfile_check(struct sks_wfile *w);

#endif
