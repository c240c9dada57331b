/* SPDX-License-Identifier: MIT */
/*
 * transport.h - how bytes move: a table that sockets fill now, TLS later.
 *
 * A transport does not wait. It moves what it can at once, or
 * answers -1 with EAGAIN and in `want` which event (SKS_READ or SKS_WRITE) it
 * needs first: a TLS read may want to write. Waiting is the stream's business.
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
	/* 1..n bytes, 0 at the end of input, or -1. EINTR never comes out. */
	ssize_t (*read)(struct sks_transport *, void *buf, size_t n);
	/* How many bytes were taken, or -1. Never raises SIGPIPE. */
	ssize_t (*write)(struct sks_transport *, const struct iovec *iov, int n);
	/* No more bytes will be written; the peer reads an end. Errors are ignored. */
	void (*shutdown)(struct sks_transport *);
	/*
	 * NULL where bytes flow. Of datagrams, which go one by one: how many bytes
	 * the next one has, that a read has room for it, or -1 as read.
	 */
	ssize_t (*next_size)(struct sks_transport *);
};

/* Payload bytes that went through; one for many transports. */
struct sks_traffic {
	_Atomic uint64_t in;
	_Atomic uint64_t out;
};

struct sks_transport {
	const struct sks_transport_ops *ops;
	struct sks_traffic *traffic; /* may be NULL */
	int fd;
	short want;           /* 0: the natural one, SKS_READ to read and SKS_WRITE to write */
	atomic_uchar writing; /* one thread, while another may read */
	atomic_uchar reset;   /* a write was told of it; a read would find an end */
};

extern const struct sks_transport_ops sks_plain_transport;

/* A connected datagram socket: each read takes one whole, each write sends one. */
extern const struct sks_transport_ops sks_datagram_transport;

static inline int
sks_transport_is_datagram(const struct sks_transport *tr)
{
	return tr != NULL && tr->ops->next_size != NULL;
}

#endif
