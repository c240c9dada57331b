/* SPDX-License-Identifier: MIT */
/*
 * The plain transports: a connected stream or datagram socket.
 *
 * MSG_DONTWAIT makes them independent of the descriptor's O_NONBLOCK, which is shared with
 * processes that have inherited the socket.
 *
 * The kernel reports a reset only once, to the first call that it concerns; a read that comes
 * later sees the end of input. So a write that fails by a reset notes that for the reads. If the
 * write is another thread's, the read may come before that note. Then it asks the kernel for the
 * state of the connection.
 */
#include "stream/transport.h"

#include "base/sigpipe.h"
#include "base/sys.h"

#include <errno.h>
#include <netinet/tcp.h>

/*
 * Returns 1 when the TCP connection is closed both ways. After an end of input ours is still open.
 */
static int
is_closed(int fd)
{
	unsigned char state; /* the first byte of struct tcp_info */
	socklen_t len = sizeof(state);

	return sks_sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 &&
	    state == TCP_CLOSE;
}

/* A read has seen the end of input. 0: it is one; -1, ECONNRESET: it was a reset. */
static __attribute__((noinline)) ssize_t
judge_end(struct sks_transport *tr)
{
	int writing = atomic_load_explicit(&tr->writing, memory_order_acquire);

	if (!atomic_load_explicit(&tr->reset, memory_order_relaxed) &&
	    !(writing && is_closed(tr->fd)))
		return 0;
	errno = ECONNRESET;
	return -1;
}

static ssize_t
receive(struct sks_transport *tr, void *buf, size_t n)
{
	ssize_t got;

	do {
		got = sks_sys_recv(tr->fd, buf, n, MSG_DONTWAIT);
	} while (got == -1 && errno == EINTR);
	sks_transport_count_in(tr->traffic, tr->flow, got);
	return got;
}

static ssize_t
plain_read(struct sks_transport *tr, void *buf, size_t n)
{
	ssize_t got = receive(tr, buf, n);

	return got == 0 && n > 0 ? judge_end(tr) : got;
}

/* A function of its own, so that msghdr takes no stack of the many fibers that never need it. */
static __attribute__((noinline)) ssize_t
send_pieces(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	return sks_sys_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A write has ended, and has sent so much. */
static void
end_write(struct sks_transport *tr, ssize_t sent)
{
	if (sent == -1 && errno == ECONNRESET)
		atomic_store_explicit(&tr->reset, 1, memory_order_relaxed);
	atomic_store_explicit(&tr->writing, 0, memory_order_release);
	sks_transport_count_out(tr->traffic, tr->flow, sent);
}

static ssize_t
plain_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	ssize_t sent;

	atomic_store_explicit(&tr->writing, 1, memory_order_relaxed);
	do {
		if (n == 1)
			sent = sks_sys_send(tr->fd, iov->iov_base, iov->iov_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			sent = send_pieces(tr->fd, iov, n);
	} while (sent == -1 && errno == EINTR);
	end_write(tr, sent);
	return sent;
}

/* It has no MSG_DONTWAIT: the O_NONBLOCK of the socket decides, which the library has set. */
static ssize_t
plain_sendfile(struct sks_transport *tr, int file, off_t *at, size_t n)
{
	struct sks_sigpipe hold;
	ssize_t sent;

	sks_sigpipe_hold(&hold);
	atomic_store_explicit(&tr->writing, 1, memory_order_relaxed);
	do {
		sent = sks_sys_sendfile(tr->fd, file, at, n);
	} while (sent == -1 && errno == EINTR);
	end_write(tr, sent);
	sks_sigpipe_release(&hold, sent == -1 && errno == EPIPE);
	return sent;
}

static void
plain_shutdown(struct sks_transport *tr)
{
	sks_sys_shutdown(tr->fd, SHUT_WR);
}

const struct sks_transport_ops sks_plain_transport = {
	.read = plain_read,
	.write = plain_write,
	.sendfile = plain_sendfile,
	.shutdown = plain_shutdown,
};

int
sks_transport_cut(int fd)
{
	static const struct linger at_once = { .l_onoff = 1 };

	return sks_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

int
sks_transport_set_nonblocking(int fd)
{
	int flags = sks_sys_fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : sks_sys_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

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
	.read = receive,
	.write = plain_write,
	.shutdown = plain_shutdown,
	.next_size = datagram_size,
};
