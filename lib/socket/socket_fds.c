/* SPDX-License-Identifier: MIT */
/*
 * Descriptors over a Unix socket.
 *
 * As many are received as one message can bring, and those for which the caller has no room are
 * closed here. A control buffer of just the caller's size would leave that to the kernel. But
 * the kernel rounds up (room for one is room for two, of which the second would leak), and where
 * SO_PASSCRED is on it puts credentials before the descriptors.
 */
#include "base/sys.h"
#include "base/util.h"
#include "socket/socket.h"

#include <errno.h>
#include <string.h>

/* Room for the descriptors of one message, and for credentials. */
union control {
	char bytes[CMSG_SPACE(SKS_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct cmsghdr align;
};

ssize_t
sks_socket_send_fds(struct sks_socket *s, const void *buf, size_t n, const int *fds, size_t nfds)
{
	struct sks_sock_wait wait = { 0 };
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t sent;

	if (nfds > SKS_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (sks_sock_begin(s) == -1)
		return -1;
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = (socklen_t)CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, nfds * sizeof(int));
	}
	do {
		sent = sks_sys_sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && sks_sock_retry(s, &wait, SKS_WRITE) == 0);
	sks_sock_end(s);
	return sent;
}

/* Takes the descriptors of one control message: into fds while there is room; closes the others. */
static void
take(const struct cmsghdr *cmsg, int *fds, size_t room, size_t *taken, int *cut)
{
	size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;

	for (i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
		if (*taken < room) {
			fds[(*taken)++] = fd;
			continue;
		}
		sks_sys_close(fd);
		*cut = 1;
	}
}

ssize_t
sks_socket_recv_fds(struct sks_socket *s, void *buf, size_t n, int *fds, size_t *nfds,
    int *truncated)
{
	struct sks_sock_wait wait = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = n };
	struct msghdr msg;
	struct cmsghdr *cmsg;
	union control control;
	size_t room = *nfds;
	ssize_t got;
	int cut;

	*nfds = 0;
	if (room > SKS_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (sks_sock_begin(s) == -1)
		return -1;
	do {
		msg = (struct msghdr){
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		got = sks_sys_recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got == -1 && sks_sock_retry(s, &wait, SKS_READ) == 0);
	sks_sock_end(s);
	if (got == -1)
		return -1;
	cut = (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg != NULL; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
			take(cmsg, fds, room, nfds, &cut);
	if (truncated != NULL)
		*truncated = cut;
	return got;
}
