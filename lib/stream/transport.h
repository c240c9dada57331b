/* SPDX-License-Identifier: MIT */
/*
 * transport.h - how bytes move: a table that sockets fill now, TLS later.
 *
 * A transport does not wait, which is the stream's business. It moves what it can at once. If
 * that is nothing it fails with EAGAIN, and `want` is the event that it needs first (SKS_READ
 * or SKS_WRITE): a read of TLS may have to write.
 */
#ifndef SKS_STREAM_TRANSPORT_H
#define SKS_STREAM_TRANSPORT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct sks_transport;

struct sks_transport_ops {
	/* Returns 1 to n, the bytes that were read; 0 at the end of input; or -1, never with EINTR. */
	ssize_t (*read)(struct sks_transport *, void *buf, size_t n);
	/* Returns how many bytes were taken, or -1. Raises no SIGPIPE. */
	ssize_t (*write)(struct sks_transport *, const struct iovec *iov, int n);
	/* No more bytes will be written: the peer reads an end. Errors are ignored. */
	void (*shutdown)(struct sks_transport *);
	/*
	 * NULL for streams of bytes. For datagrams, which are read one by one: returns how many
	 * bytes the next one has, or -1 as read.
	 */
	ssize_t (*next_size)(struct sks_transport *);
};

/* How many bytes went through. One counts for many transports. */
struct sks_traffic {
	_Atomic uint64_t in;
	_Atomic uint64_t out;
};

struct sks_transport {
	const struct sks_transport_ops *ops;
	struct sks_traffic *traffic; /* may be NULL */
	int fd;
	short want;           /* what EAGAIN waits for; 0: SKS_READ for a read, SKS_WRITE for a write */
	atomic_uchar writing; /* a write is under way, while another thread may read */
	atomic_uchar reset;   /* a write has failed by a reset, and a read would see an end of input */
};

extern const struct sks_transport_ops sks_plain_transport;

/* Of a connected datagram socket: each read takes one datagram, each write sends one. */
extern const struct sks_transport_ops sks_datagram_transport;

static inline int
sks_transport_is_datagram(const struct sks_transport *tr)
{
	return tr != NULL && tr->ops->next_size != NULL;
}

#endif
