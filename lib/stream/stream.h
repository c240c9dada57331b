/* SPDX-License-Identifier: MIT */
/*
 * stream.h - the inside of rfile and wfile (socketserver/stream.h).
 *
 * The calls below are for the task that has the streams, on its own thread.
 */
#ifndef SKS_STREAM_STREAM_H
#define SKS_STREAM_STREAM_H

#include "base/buf.h"
#include "base/memory.h"
#include "fiber/task.h"
#include "loop/batch.h"
#include "stream/outbox.h"
#include "stream/pace.h"
#include "stream/transport.h"

#include <errno.h>
#include <socketserver/stream.h>

struct sks_log_limit;
struct sks_shared_watch;
struct sks_watch;

/* The time limits of a connection, which outlive its streams: SKS_OFF is none, 0 does not wait. */
struct sks_times {
	int idle_ms;  /* until the first byte of a read */
	int read_ms;  /* from that byte on */
	int write_ms; /* for each 64 KiB of a write */
	int min_rate; /* bytes a second, while read_ms or write_ms runs; 0: any */
};

/* The input that a write has read while it waited for room (ahead.h). */
struct sks_ahead {
	struct sks_buf buf;        /* comes behind the rfile's own */
	size_t most;               /* a read begins where fewer bytes are in it; 0: none does */
	struct sks_log_limit *log; /* of the line that says that most is reached; NULL: no line */
	enum sks_ahead_state {
		SKS_AHEAD_OPEN,
		SKS_AHEAD_ENDED,     /* behind buf the input ends */
		SKS_AHEAD_FAILED,    /* behind buf stands error */
		SKS_AHEAD_NO_MEMORY  /* nothing more is read for a while */
	} state;
	int error;
	atomic_int locked;         /* one of two threads uses it */
	int logged;                /* the log has its line */
};

/* In both streams the fields that each message touches stand first: two cache lines. */
struct sks_rfile {
	struct sks_preread preread;   /* how the loop reads for a fiber; read may be NULL */
	unsigned int preread_bytes;   /* what that has put into buf since the wait began */
	atomic_uchar has_ahead;       /* something was read ahead, bytes, an end or an error, */
	unsigned char waits;          /* and a call waits for input: both under ahead's lock */
	unsigned char is_bounded;     /* it has a pace or a bound of memory */
	struct sks_transport *tr;     /* NULL: the input is in memory, all of it in buf */
	struct sks_watch *watch;      /* of the input, on a loop; may be NULL */
	struct sks_shared_watch **shared_watch; /* of a client's socket, for watch; or NULL */
	struct sks_wfile *peer_wfile; /* to the same peer: if it breaks reading ends; or NULL */
	struct sks_buf_pool *pool;    /* of the task that uses the stream: each call sets it */
	struct sks_buf buf;
	int idle_ms;
	int read_ms;
	size_t max_line;
	uint64_t taken;               /* how many bytes the calls have consumed */
	unsigned char *nul;           /* where a NUL was put for the caller; NULL: nowhere */
	unsigned char under_nul;      /* the byte that stood there */
	unsigned char drained;        /* the socket is believed to be empty: wait before reading */
	unsigned char eof;            /* the input has ended; buf may have bytes of it */
	unsigned char busy;           /* a call waits */
	int error;                    /* why the direction is broken; 0: it is not */
	atomic_int claimed;           /* a call is under way; only where task->shares */
	const struct sks_times *defaults;
	struct sks_pace pace;         /* of the bytes that read_ms is for */
	struct sks_memory_bound *memory; /* of its server; NULL: it has none */
	struct sks_ahead ahead;
};

struct sks_wfile {
	struct sks_transport *tr;     /* NULL: output stays in memory, max_output at most */
	struct sks_buf_pool *pool;    /* of the task that uses the stream: each write sets it */
	struct sks_buf buf;
	struct sks_rfile *peer_rfile; /* from the same peer: a wait for room reads ahead; or NULL */
	struct sks_list dirty;        /* in the list of the task that has written */
	struct sks_outbox *_Atomic *outbox; /* where the connection keeps its outbox; may be NULL */
	size_t max_output;
	atomic_int error;             /* why it is broken; the peer's rfile looks at it */
	atomic_int claimed;           /* a call is under way; only where task->shares */
	unsigned char partial;        /* a part of the first message in buf was sent */
	unsigned char busy;           /* a call sends */
	unsigned char is_bounded;     /* it has a pace or a bound of memory */
	int write_ms;
	int waited_ms;                /* how much of write_ms the waits have used for these */
	size_t step;                  /* bytes; both begin anew when the peer keeps up */
	struct sks_pace pace;
	const struct sks_times *defaults;
	struct sks_memory_bound *memory; /* of its server; NULL: it has none */
};

/*
 * A stream has one reader, or writer, at a time. Where threads share it (task->shares) a call
 * claims it and releases it at its end; elsewhere `busy` is enough, which costs nothing. 0, or
 * -1: EBUSY.
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

/* Make streams with these limits. The caller sets what else they are to have. */
void sks_rfile_init(struct sks_rfile *r, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_line);
void sks_wfile_init(struct sks_wfile *w, struct sks_transport *tr, const struct sks_times *times,
    const struct sks_times *defaults, size_t max_output);

/* Gives both streams of a connection the bound of its server; NULL: there is none. */
static inline void
sks_stream_bound(struct sks_rfile *r, struct sks_wfile *w, struct sks_memory_bound *memory)
{
	r->memory = w->memory = memory;
	if (memory != NULL)
		r->is_bounded = w->is_bounded = 1;
}

/*
 * Returns 1 when a read that would have to wait fails instead: a write to the same peer has failed,
 * so there will be no answer. Where threads share the streams the reader does not look.
 */
static inline int
sks_rfile_is_refused(const struct sks_rfile *r, const struct sks_task *task)
{
	return r->peer_wfile != NULL && !task->shares && r->peer_wfile->error != 0;
}

/* Puts the byte back that the caller's NUL has replaced, so that buf may be used elsewhere. */
static inline void
sks_rfile_restore(struct sks_rfile *r)
{
	if (r->nul != NULL)
		*r->nul = r->under_nul;
	r->nul = NULL;
}

/* Gives the memory back; input that was not read is lost. */
void sks_rfile_close(struct sks_rfile *r);

/* Gives the memory back, and is no longer flushed by its task; unsent bytes are lost. */
void sks_wfile_close(struct sks_wfile *w);

/*
 * Writes all bytes of buf without copying one: buf's memory changes hands, and buf is empty
 * then. 1, or 0: that is not possible now, and nothing was done.
 */
int sks_wfile_try_adopt(struct sks_wfile *w, struct sks_buf *buf);

#endif
