/* SPDX-License-Identifier: MIT */
/*
 * transport.h - how bytes move: a table that sockets fill, and TLS (stream/tls.h).
 *
 * A transport does not wait, which is the stream's business. It moves what it can at once. If
 * that is nothing it fails with EAGAIN: a write needs room in the socket then, and a read, input.
 */
#ifndef SKS_STREAM_TRANSPORT_H
#define SKS_STREAM_TRANSPORT_H

#include "base/clock.h"
#include "stream/peer_wait.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct sks_transport;

struct sks_transport_ops {
	/*
	 * Returns 1 to n, the bytes that were read; 0 at the end of input; or -1, never with
	 * EINTR.
	 */
	ssize_t (*read)(struct sks_transport *, void *buf, size_t n);
	/* Returns how many bytes were taken, or -1. Raises no SIGPIPE. */
	ssize_t (*write)(struct sks_transport *, const struct iovec *iov, int n);
	/* No more bytes will be written: the peer reads an end. Errors are ignored. */
	void (*shutdown)(struct sks_transport *);
	/*
	 * NULL where a socket's own end is enough. Says to the peer that the output ends, before
	 * shutdown. Returns 0, also where that is impossible, or -1: EAGAIN.
	 */
	int (*say_end)(struct sks_transport *);
	/*
	 * NULL where the socket has all input. Returns 1 when a read would not say EAGAIN,
	 * although the socket may have no input.
	 */
	int (*has_input)(struct sks_transport *);
	/*
	 * NULL where a socket with input always has some for a read. Takes in what the socket
	 * has, and returns as has_input.
	 */
	int (*look)(struct sks_transport *);
	/*
	 * NULL where there is nothing to do. Gives back memory, before a long time without input.
	 */
	void (*rest)(struct sks_transport *);
	/*
	 * NULL where there is nothing to do. Frees what the transport has, but not the descriptor.
	 */
	void (*end)(struct sks_transport *);
	/*
	 * NULL for streams of bytes. For datagrams, which are read one by one: returns how many
	 * bytes the next one has, or -1 as read.
	 */
	ssize_t (*next_size)(struct sks_transport *);
	/*
	 * Sends up to n bytes of a file from *at on, which it advances. Returns as write; 0 at the
	 * end of the file; EINVAL where the file is of a kind that cannot be sent so. NULL: this
	 * transport takes bytes from memory only.
	 */
	ssize_t (*sendfile)(struct sks_transport *, int file, off_t *at, size_t n);
};

/* Counts the bytes that went through many transports. */
struct sks_traffic {
	_Atomic uint64_t in;
	_Atomic uint64_t out;
};

/*
 * Counts the bytes of one connection. It has one reader and one writer at a time, so no addition is
 * locked; others may look at any time.
 */
struct sks_flow {
	_Atomic uint64_t in;
	_Atomic uint64_t out;
	_Atomic int64_t first_ns; /* when its first bytes came in, by sks_clock_ns(); 0: none */
};

struct sks_tls_engine;

struct sks_transport {
	const struct sks_transport_ops *ops;
	union {
		struct sks_traffic *traffic;  /* may be NULL */
		struct sks_tls_engine *tls;   /* of sks_tls_transport, which counts by itself */
	};
	struct sks_flow *flow; /* may be NULL */
	struct sks_peer_wait *peer_wait; /* may be NULL */
	int fd;
	unsigned char begun;  /* a write has said EAGAIN, but its first bytes are on their way: the
	                         next write has to begin with them */
	atomic_uchar writing; /* a write is under way, while another thread may read */
	atomic_uchar reset;   /* a write has failed by a reset; a read would see an end of input */
};

/* Pieces of a write that are shorter may become one record with what stands behind them. */
#define SKS_TRANSPORT_JOINED 1024

extern const struct sks_transport_ops sks_plain_transport;

/* Makes the transport of a connected datagram socket: each read or write is one datagram. */
extern const struct sks_transport_ops sks_datagram_transport;

static inline int
sks_transport_is_datagram(const struct sks_transport *tr)
{
	return tr != NULL && tr->ops->next_size != NULL;
}

/* The operations that most transports have no need of. */

static inline int
sks_transport_say_end(struct sks_transport *tr)
{
	return tr->ops->say_end != NULL ? tr->ops->say_end(tr) : 0;
}

static inline int
sks_transport_has_input(struct sks_transport *tr)
{
	return tr->ops->has_input != NULL && tr->ops->has_input(tr);
}

/* The socket has input. Returns 1 when a read would not wait. */
static inline int
sks_transport_look(struct sks_transport *tr)
{
	return tr->ops->look == NULL || tr->ops->look(tr);
}

static inline void
sks_transport_rest(struct sks_transport *tr)
{
	if (tr->ops->rest != NULL)
		tr->ops->rest(tr);
}

static inline void
sks_transport_end(struct sks_transport *tr)
{
	if (tr->ops->end != NULL)
		tr->ops->end(tr);
}

/*
 * The next close(2) of the socket resets the connection and drops what the peer has not taken.
 * 0, or -1 as of setsockopt(2).
 */
int sks_transport_cut(int fd);

/* Sets O_NONBLOCK, since sendfile(2) has no flag against a wait. 0, or -1 as of fcntl(2). */
int sks_transport_set_nonblocking(int fd);

/* Adds n to a counter that one thread at a time adds to. */
static inline void
sks_flow_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

/* Adds n bytes that came in or went out; n may be 0 or -1, and traffic and flow NULL. */
static inline void
sks_transport_count_in(struct sks_traffic *traffic, struct sks_flow *flow, ssize_t n)
{
	if (n <= 0)
		return;
	if (traffic != NULL)
		atomic_fetch_add_explicit(&traffic->in, (uint64_t)n, memory_order_relaxed);
	if (flow == NULL)
		return;
	if (atomic_load_explicit(&flow->in, memory_order_relaxed) == 0)
		atomic_store_explicit(&flow->first_ns, sks_clock_ns(), memory_order_relaxed);
	sks_flow_add(&flow->in, (uint64_t)n);
}

static inline void
sks_transport_count_out(struct sks_traffic *traffic, struct sks_flow *flow, ssize_t n)
{
	if (n <= 0)
		return;
	if (traffic != NULL)
		atomic_fetch_add_explicit(&traffic->out, (uint64_t)n, memory_order_relaxed);
	if (flow != NULL)
		sks_flow_add(&flow->out, (uint64_t)n);
}

#endif
