/* SPDX-License-Identifier: MIT */
/*
 * stream.h - the inside of rfile and wfile (socketserver/stream.h).
 */
#ifndef SKS_STREAM_STREAM_H
#define SKS_STREAM_STREAM_H

#include "base/buf.h"
#include "fiber/task.h"
#include "loop/batch.h"
#include "stream/outbox.h"
#include "stream/transport.h"

#include <errno.h>
#include <socketserver/stream.h>

struct sks_shared_watch;
struct sks_watch;

/* Limits of a connection's streams, kept while no streams are attached. */
struct sks_times {
	int idle_ms;  /* as all time limits of calls: SKS_OFF is none, 0 does not wait */
	int read_ms;
	int write_ms;
};

/* In both, what each message touches stands first: two lines of cache. */
struct sks_rfile {
	struct sks_preread preread; /* by the loop, for a fiber that waits; read NULL: not at all */
	size_t preread_bytes;       /* what it has put into buf since the wait began */
	struct sks_transport *tr;   /* NULL: memory, and buf holds all there is */
	struct sks_watch *watch;    /* of tr's input, on a loop; may be NULL */
	struct sks_shared_watch **shared_watch; /* of a client's socket, instead of watch; or NULL.
	                               Then pool is set anew by each call, to its task's */
	struct sks_wfile *peer_wfile; /* whose failure ends reading too; may be NULL */
	struct sks_buf_pool *pool;
	struct sks_buf buf;
	int idle_ms;
	int read_ms;
	size_t max_line;
	uint64_t taken;             /* bytes that reads have consumed */
	unsigned char *nul;         /* where a NUL was put for the caller; NULL: nowhere */
	unsigned char under_nul;
	unsigned char drained;      /* the last read came short, or its wait failed: wait first */
	unsigned char eof;
	unsigned char busy;
	int error;
	atomic_int claimed;         /* busy, where several threads may read */
	const struct sks_times *defaults;
};

struct sks_wfile {
	struct sks_transport *tr;   /* NULL: memory; max_output is then a hard limit */
	struct sks_buf_pool *pool;
	struct sks_buf buf;
	struct sks_list dirty;      /* on the list of the task that wrote last */
	struct sks_outbox *_Atomic *outbox; /* where a connection keeps one; may be NULL */
	size_t max_output;
	atomic_int error;           /* a reader of the same peer looks at it, perhaps on a thread */
	atomic_int claimed;         /* busy, where several threads may write */
	unsigned char borrows_pool; /* a client's: pool is set anew by each call, to its task's */
	unsigned char partial;      /* of the first message in buf something is sent */
	unsigned char busy;
	int write_ms;
	const struct sks_times *defaults;
};

/*
 * One reader and one writer at a time, also between threads that share a
 * request (task->shares): a claim for the length of a call. Everywhere else
 * `busy` is enough, which costs nothing. 0, or -1 and EBUSY.
 */
static inline int
sks_stream_claim(const struct sks_task *task, atomic_int *claimed)
{
	if (!task->shares || atomic_exchange(claimed, 1) == 0)
		return 0;
	errno = EBUSY;
	return -1;
}

static inline void
sks_stream_release(const struct sks_task *task, atomic_int *claimed)
{
	if (task->shares)
		atomic_store(claimed, 0);
}

/* Zeroed streams with these limits; the caller sets what else they have. */
void sks_rfile_init(struct sks_rfile *r, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_line);
void sks_wfile_init(struct sks_wfile *w, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_output);

/* Puts back the byte under a NUL, so that the buffer may go elsewhere. */
void sks_rfile_restore(struct sks_rfile *r);

/* Sends what it can without waiting. 0 also when bytes are left; -1 when the direction broke. */
int sks_wfile_try_flush(struct sks_wfile *w);

/*
 * Is the direction broken? Then errno says why. The failure of a datagram is
 * told once, to whoever asks first: it breaks nothing.
 */
int sks_wfile_failed(struct sks_wfile *w);

/*
 * As sks_write() of all that is in buf, which is emptied, memory and all: no
 * byte is copied. 0: not like this; nothing was done.
 */
int sks_wfile_adopt(struct sks_wfile *w, struct sks_buf *buf);

/* Gives memory back and leaves the list of its task; unsent bytes are lost. */
void sks_wfile_close(struct sks_wfile *w);
void sks_rfile_close(struct sks_rfile *r);

/* The flush rule: sends what the current task has written. Failures stick to the streams. */
void sks_flush_dirty(void);

/* The same for a task that ends: what could not be sent is no longer its business. */
void sks_flush_end(void);

#endif
