/* SPDX-License-Identifier: MIT */
/*
 * The plain transports: a connected stream or datagram socket.
 *
 * MSG_DONTWAIT makes it independent of the descriptor's O_NONBLOCK, which is
 * shared with whoever inherited the socket. Only a read that waits needs that
 * flag to be off; where it is on, it does not wait.
 */
#include "io/transport.h"

#include "base/sys.h"

#include <errno.h>

static void
count(struct sks_traffic *traffic, int out, ssize_t n)
{
	if (traffic != NULL && n > 0)
		atomic_fetch_add_explicit(out ? &traffic->out : &traffic->in, (uint64_t)n,
		    memory_order_relaxed);
}

static ssize_t
plain_read(struct sks_transport *tr, void *buf, size_t n)
{
	ssize_t got;

	do {
		got = sks_sys_recv(tr->fd, buf, n, MSG_DONTWAIT);
	} while (got == -1 && errno == EINTR);
	count(tr->traffic, 0, got);
	return got;
}

static ssize_t
plain_read_waiting(struct sks_transport *tr, void *buf, size_t n)
{
	ssize_t got = sks_sys_recv(tr->fd, buf, n, 0);

	count(tr->traffic, 0, got);
	return got;
}

/* Apart, since its header takes the stack of every fiber that never needs it. */
static __attribute__((noinline)) ssize_t
send_pieces(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	return sks_sys_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t
plain_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	ssize_t sent;

	do {
		if (n == 1)
			sent = sks_sys_send(tr->fd, iov->iov_base, iov->iov_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			sent = send_pieces(tr->fd, iov, n);
	} while (sent == -1 && errno == EINTR);
	count(tr->traffic, 1, sent);
	return sent;
}

static void
plain_shutdown(struct sks_transport *tr)
{
	sks_sys_shutdown(tr->fd, SHUT_WR);
}

const struct sks_transport_ops sks_plain_transport = {
	.read = plain_read,
	.read_waiting = plain_read_waiting,
	.write = plain_write,
	.shutdown = plain_shutdown,
};

static ssize_t
datagram_size(struct sks_transport *tr)
{
	ssize_t n;

	do {
		n = sks_sys_recv(tr->fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
	} while (n == -1 && errno == EINTR);
	return n;
}

const struct sks_transport_ops sks_datagram_transport = {
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
	.next_size = datagram_size,
};
