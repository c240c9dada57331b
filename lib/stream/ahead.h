/* SPDX-License-Identifier: MIT */
/*
 * ahead.h - input that a write reads while it waits for room.
 *
 * A client may send all of its commands before it reads the first reply. A handler that
 * answers as it reads would then wait for its client to read, and the client for the handler
 * to read, until a time limit ends both. So a task that waits for room in the socket also
 * reads what comes meanwhile. The next read takes that first, and learns of an end or an error
 * only behind it.
 *
 * These bytes have memory of their own beside the rfile's buffer, since the handler may be
 * using a line in that one. Beyond max_input bytes nothing more is read: then the peer has to
 * read first, and the log says so.
 *
 * Reader and writer may be two threads. Then a lock holds them apart, for the time of one read
 * that does not wait. A writer reads nothing while a reader waits for input, as that reader
 * would not learn of it.
 */
#ifndef SKS_STREAM_AHEAD_H
#define SKS_STREAM_AHEAD_H

#include "stream/stream.h"

/* The events for which a task that waits for room is to wait beside it. */
enum sks_ahead_wish {
	SKS_AHEAD_NOTHING,      /* nothing more can be read */
	SKS_AHEAD_FULL,         /* no more is to be read before a read has taken some */
	SKS_AHEAD_LATER,        /* another task waits for input, or there is no memory; look again
	                           after a while */
	SKS_AHEAD_INPUT
};

/* Waits for the lock. Callers use sks_ahead_lock(). */
void sks_ahead_lock_slowly(struct sks_rfile *r);

/*
 * Takes the lock of what was read ahead, where another thread may use the rfile. task is the
 * current one. Returns what the caller hands to sks_ahead_unlock().
 */
static inline int
sks_ahead_lock(struct sks_rfile *r, const struct sks_task *task)
{
	if (r->shared_watch == NULL && !task->shares)
		return 0;
	sks_ahead_lock_slowly(r);
	return 1;
}

static inline void
sks_ahead_unlock(struct sks_rfile *r, int locked)
{
	if (locked)
		atomic_store_explicit(&r->ahead.locked, 0, memory_order_release);
}

/*
 * On the task that reads: from now on, until its wait has ended, nothing is read ahead. Returns 0
 * when something was, so that there is nothing to wait for.
 */
static inline int
sks_ahead_begin_wait(struct sks_rfile *r, const struct sks_task *task)
{
	int locked = sks_ahead_lock(r, task);

	r->waits = !r->has_ahead;
	sks_ahead_unlock(r, locked);
	return r->waits;
}

static inline void
sks_ahead_end_wait(struct sks_rfile *r, const struct sks_task *task)
{
	int locked = sks_ahead_lock(r, task);

	r->waits = 0;
	sks_ahead_unlock(r, locked);
}

/* On the task that writes, which waits for room; r may be NULL. Logs that the bound is reached. */
enum sks_ahead_wish sks_ahead_wish(struct sks_rfile *r);

/* On the task that writes, when there is input: reads once, unless a reader waits. */
void sks_ahead_read(struct sks_rfile *r);

/*
 * On the task that reads, under the lock: some of what was read ahead goes into the buffer, and
 * behind the last of it its end into eof or error. How many bytes; 0: there were none; -1:
 * ENOMEM, and all is as it was.
 */
ssize_t sks_ahead_take(struct sks_rfile *r);

/*
 * On the task, when handle has returned and reads no more: does what sks_ahead_take() does.
 * 1: bytes were taken.
 */
int sks_ahead_settle(struct sks_rfile *r);

/* At the end of an exchange: takes all that was read ahead. Without memory the rfile is broken. */
void sks_ahead_end(struct sks_rfile *r);

#endif
