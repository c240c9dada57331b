/* SPDX-License-Identifier: MIT */
/*
 * Socket objects: the calls that may wait.
 *
 * Each call tries first, and waits only if the kernel says that it would block. MSG_DONTWAIT makes
 * that independent of O_NONBLOCK, which is shared with processes that have inherited the
 * socket; accept(2) and connect(2) know no such flag.
 */
#include "base/sys.h"
#include "socket/socket.h"

#include <errno.h>

/* Does what sks_sock_retry() does, but does not wait if the caller has said MSG_DONTWAIT. */
static int
retry(struct sks_socket *s, struct sks_sock_wait *wait, int event, int flags)
{
	if (errno == EAGAIN && (flags & MSG_DONTWAIT))
		return -1;
	return sks_sock_retry(s, wait, event);
}

struct sks_socket *
sks_socket_accept(struct sks_socket *s, struct sockaddr *addr, socklen_t *len)
{
	struct sks_sock_wait wait = { 0 };
	struct sks_socket *client;
	int fd = -1;

	if (sks_sock_begin(s) == -1)
		return NULL;
	/* First, so that no client is lost because there is no memory. */
	client = sks_sys_calloc(1, sizeof(*client));
	if (client != NULL) {
		do {
			fd = sks_sys_accept4(s->fd, addr, len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		} while (fd == -1 && sks_sock_retry(s, &wait, SKS_READ) == 0);
	}
	sks_sock_end(s);
	if (fd == -1) {
		sks_sys_free(client);
		return NULL;
	}
	sks_sock_init(client, fd);
	return client;
}

/* Waits for a connect(2) that has begun, and goes on by itself: its end is an event. 0, or -1. */
static int
await_connected(struct sks_socket *s, struct sks_sock_wait *wait)
{
	int error = 0;

	errno = EINPROGRESS;
	if (sks_sock_retry(s, wait, SKS_WRITE) == -1)
		return -1;
	if (wait->expired) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (sks_socket_get_option(s, SOL_SOCKET, SO_ERROR, &error) == -1)
		return -1;
	errno = error;
	return error != 0 ? -1 : 0;
}

static int
connect_and_wait(struct sks_socket *s, const struct sockaddr *addr, socklen_t len)
{
	struct sks_sock_wait wait = { 0 };

	while (sks_sys_connect(s->fd, addr, len) == -1) {
		if (errno == EINPROGRESS || errno == EINTR)
			return await_connected(s, &wait);
		/* For other families EAGAIN means that no port is left. */
		if (errno != EAGAIN || addr->sa_family != AF_UNIX || sks_sock_pause(s, &wait) == -1)
			return -1;
	}
	return 0;
}

int
sks_socket_connect(struct sks_socket *s, const struct sockaddr *addr, socklen_t len)
{
	int rc;

	if (sks_sock_begin(s) == -1)
		return -1;
	rc = connect_and_wait(s, addr, len);
	sks_sock_end(s);
	return rc;
}

/* Returns 1 for MSG_WAITALL on a stream. The kernel does not heed it beside our MSG_DONTWAIT. */
static int
wants_all(const struct sks_socket *s, int flags)
{
	int type = 0;

	return (flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT)) == MSG_WAITALL &&
	    sks_socket_get_option(s, SOL_SOCKET, SO_TYPE, &type) == 0 && type == SOCK_STREAM;
}

ssize_t
sks_socket_recv(struct sks_socket *s, void *buf, size_t n, int flags)
{
	struct sks_sock_wait wait = { 0 };
	size_t done = 0;
	ssize_t got;
	int all = wants_all(s, flags), error;

	if (sks_sock_begin(s) == -1)
		return -1;
	error = atomic_exchange(&s->recv_error, 0);
	if (error != 0) {
		sks_sock_end(s);
		errno = error;
		return -1;
	}
	do {
		got = sks_sys_recv(s->fd, (char *)buf + done, n - done, flags | MSG_DONTWAIT);
		if (got > 0)
			done += (size_t)got;
		else if (got == -1 && done > 0 && errno != EAGAIN && errno != EINTR) {
			atomic_store(&s->recv_error, errno); /* the kernel tells it only once */
			break;
		}
	} while (got > 0 ? all && done < n : got == -1 && retry(s, &wait, SKS_READ, flags) == 0);
	sks_sock_end(s);
	return done > 0 ? (ssize_t)done : got;
}

static ssize_t
send_some(struct sks_socket *s, struct sks_sock_wait *wait, const void *buf, size_t n, int flags)
{
	ssize_t sent;

	if (sks_sock_begin(s) == -1)
		return -1;
	do {
		sent = sks_sys_send(s->fd, buf, n, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && retry(s, wait, SKS_WRITE, flags) == 0);
	sks_sock_end(s);
	return sent;
}

ssize_t
sks_socket_send(struct sks_socket *s, const void *buf, size_t n, int flags)
{
	struct sks_sock_wait wait = { 0 };

	return send_some(s, &wait, buf, n, flags);
}

int
sks_socket_sendall(struct sks_socket *s, const void *buf, size_t n, int flags)
{
	struct sks_sock_wait wait = { 0 };
	const char *at = buf;

	do {
		ssize_t sent = send_some(s, &wait, at, n, flags);

		if (sent == -1)
			return -1;
		at += sent;
		n -= (size_t)sent;
	} while (n > 0);
	return 0;
}

ssize_t
sks_socket_recvfrom(struct sks_socket *s, void *buf, size_t n, int flags, struct sockaddr *addr,
    socklen_t *len, int *truncated)
{
	struct sks_sock_wait wait = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	if (sks_sock_begin(s) == -1)
		return -1;
	do {
		msg.msg_name = addr;
		msg.msg_namelen = addr != NULL ? *len : 0;
		got = sks_sys_recvmsg(s->fd, &msg, flags | MSG_DONTWAIT);
	} while (got == -1 && retry(s, &wait, SKS_READ, flags) == 0);
	sks_sock_end(s);
	if (got == -1)
		return -1;
	if (addr != NULL)
		*len = msg.msg_namelen;
	if (truncated != NULL)
		*truncated = (msg.msg_flags & MSG_TRUNC) != 0;
	return got;
}

ssize_t
sks_socket_sendto(struct sks_socket *s, const void *buf, size_t n, int flags,
    const struct sockaddr *addr, socklen_t len)
{
	struct sks_sock_wait wait = { 0 };
	int is_unix = addr != NULL && addr->sa_family == AF_UNIX;
	ssize_t sent;
	int rc;

	if (sks_sock_begin(s) == -1)
		return -1;
	do {
		sent = sks_sys_sendto(s->fd, buf, n, flags | MSG_DONTWAIT | MSG_NOSIGNAL, addr, len);
		if (sent != -1)
			break;
		/* Our side can be written even while the queue of the other side is full. */
		if (errno == EAGAIN && is_unix && !(flags & MSG_DONTWAIT))
			rc = sks_sock_pause(s, &wait);
		else
			rc = retry(s, &wait, SKS_WRITE, flags);
	} while (rc == 0);
	sks_sock_end(s);
	return sent;
}
