/* SPDX-License-Identifier: MIT */
/*
 * fault_calls.c - the calls of base/sys.h in the library of the tests: each asks the table of
 * faults, and fails, moves a part, or is the system's.
 */
#include "fault_rules.h"

#include "base/util.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

/* Would the kernel ever move a part of what was asked, on this descriptor? */
static int
moves_parts(int fd)
{
	int saved = errno, type = 0;
	socklen_t len = sizeof(type);
	struct stat st;

	/* An eventfd, timerfd or signalfd has no type and takes whole words only. */
	if (fstat(fd, &st) == -1)
		st.st_mode = 0;
	else if (S_ISSOCK(st.st_mode) &&
	    (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_STREAM))
		st.st_mode = 0;
	errno = saved;
	return (st.st_mode & S_IFMT) != 0;
}

/* n, or fewer when a rule said so and it is for such a descriptor. */
static size_t
cut(int fd, size_t n, size_t most)
{
	if (n <= most || !moves_parts(fd))
		return n;
	fault_count_hit();
	return most;
}

#define PARTS 16

/*
 * As cut() for the vector of msg: where it has to be cut, to[] gets its first bytes, at most
 * `most` in at most PARTS pieces, and is the vector of msg then.
 */
static void
cut_parts(int fd, struct iovec to[PARTS], struct msghdr *msg, size_t most)
{
	const struct iovec *from = msg->msg_iov;
	size_t i, n = (size_t)msg->msg_iovlen, used = 0, total = 0;

	if (most == SIZE_MAX)
		return;
	for (i = 0; i < n; i++)
		total += from[i].iov_len;
	most = cut(fd, total, most);
	if (most == total)
		return;
	/* No empty pieces: PARTS of them would read as the end of input. */
	for (i = 0; i < n && used < PARTS && most > 0; i++) {
		if (from[i].iov_len == 0)
			continue;
		to[used] = from[i];
		to[used].iov_len = sks_min(from[i].iov_len, most);
		most -= to[used++].iov_len;
	}
	msg->msg_iov = to;
	msg->msg_iovlen = (unsigned char)used; /* size_t in glibc, int in musl */
}

/* ---- the calls ---- */

#define X(type, failed, name, params, call)           \
	type sks_sys_##name params                    \
	{                                             \
		if (fault_refuse(CALL_##name, NULL) == -1)  \
			return failed;                \
		return call;                          \
	}
SKS_SYS_CALLS(X)
#undef X

/* ---- memory, which is counted ---- */

static atomic_long held;

/* A block: one more than before, or in the place of another one. */
static void *
hold(void *block, int one_more)
{
	if (block != NULL && one_more)
		atomic_fetch_add(&held, 1);
	return block;
}

void *
sks_sys_malloc(size_t size)
{
	return fault_refuse(CALL_malloc, NULL) == -1 ? NULL : hold(malloc(size), 1);
}

void *
sks_sys_calloc(size_t n, size_t size)
{
	return fault_refuse(CALL_malloc, NULL) == -1 ? NULL : hold(calloc(n, size), 1);
}

void *
sks_sys_realloc(void *old, size_t size)
{
	int one_more = old == NULL;

	return fault_refuse(CALL_malloc, NULL) == -1 ? NULL : hold(realloc(old, size), one_more);
}

void
sks_sys_give_away(const void *ptr)
{
	if (ptr != NULL)
		atomic_fetch_sub(&held, 1);
}

void
sks_sys_free(void *ptr)
{
	sks_sys_give_away(ptr);
	free(ptr);
}

void *
sks_sys_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	void *got = MAP_FAILED;

	if (fault_refuse(CALL_mmap, NULL) == 0)
		got = mmap(at, n, prot, flags, fd, off);
	if (got != MAP_FAILED)
		atomic_fetch_add(&held, 1);
	return got;
}

int
sks_sys_munmap(void *at, size_t size)
{
	int rc = munmap(at, size);

	if (rc == 0)
		atomic_fetch_sub(&held, 1);
	return rc;
}

long
sks_sys_held(void)
{
	return atomic_load(&held);
}

/* ---- the others ---- */

/*
 * As on Linux, the descriptor is gone whatever close says. To close it once more may hit another
 * one.
 */
int
sks_sys_close(int fd)
{
	int error = fault_ask(CALL_close, NULL);
	int rc = close(fd);

	if (rc == -1 && errno == EBADF) {
		fprintf(stderr, "faults: descriptor %d is not open, and closed\n", fd);
		abort();
	}
	if (error == 0)
		return rc;
	errno = error;
	return -1;
}

/* A connect that was interrupted, or goes on by itself, has begun. */
int
sks_sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int error = fault_ask(CALL_connect, NULL);

	if ((error == 0 || error == EINTR || error == EINPROGRESS) &&
	    connect(fd, addr, len) == -1 && error == 0)
		return -1;
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

ssize_t
sks_sys_recv(int fd, void *buf, size_t n, int flags)
{
	size_t most;

	if (fault_refuse(CALL_recv, &most) == -1)
		return -1;
	return recv(fd, buf, cut(fd, n, most), flags);
}

ssize_t
sks_sys_send(int fd, const void *buf, size_t n, int flags)
{
	size_t most;

	if (fault_refuse(CALL_send, &most) == -1)
		return -1;
	return send(fd, buf, cut(fd, n, most), flags);
}

ssize_t
sks_sys_read(int fd, void *buf, size_t n)
{
	size_t most;

	if (fault_refuse(CALL_read, &most) == -1)
		return -1;
	return read(fd, buf, cut(fd, n, most));
}

ssize_t
sks_sys_write(int fd, const void *buf, size_t n)
{
	size_t most;

	if (fault_refuse(CALL_write, &most) == -1)
		return -1;
	return write(fd, buf, cut(fd, n, most));
}

ssize_t
sks_sys_sendfile(int to, int from, off_t *at, size_t n)
{
	size_t most;

	if (fault_refuse(CALL_sendfile, &most) == -1)
		return -1;
	return sendfile(to, from, at, cut(to, n, most));
}

ssize_t
sks_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct msghdr copy = *msg;
	struct iovec parts[PARTS];
	size_t most;
	ssize_t n;

	if (fault_refuse(CALL_recvmsg, &most) == -1)
		return -1;
	cut_parts(fd, parts, msg, most);
	/* The kernel has written into the header; its list of parts is the caller's again. */
	n = recvmsg(fd, msg, flags);
	msg->msg_iov = copy.msg_iov;
	msg->msg_iovlen = copy.msg_iovlen;
	return n;
}

ssize_t
sks_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct iovec parts[PARTS];
	struct msghdr copy = *msg;
	size_t most;

	if (fault_refuse(CALL_sendmsg, &most) == -1)
		return -1;
	cut_parts(fd, parts, &copy, most);
	return sendmsg(fd, &copy, flags);
}

/* Returns its error and leaves errno alone. */
int
sks_sys_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
    void *arg)
{
	int error = fault_ask(CALL_pthread_create, NULL);

	if (error != 0)
		return error;
	return pthread_create(thread, attr, run, arg);
}

/* What a resolver call returns for a rule's error; an errno is EAI_SYSTEM's. */
static int
resolver_error(int error)
{
	if (IS_GAI(error))
		return GAI(error);
	errno = error;
	return EAI_SYSTEM;
}

int
sks_sys_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **list)
{
	int error = fault_ask(CALL_getaddrinfo, NULL);

	if (error != 0)
		return resolver_error(error);
	return getaddrinfo(host, port, hints, list);
}

int
sks_sys_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_size,
    char *port, socklen_t port_size, int flags)
{
	int error = fault_ask(CALL_getnameinfo, NULL);

	if (error != 0)
		return resolver_error(error);
	return getnameinfo(addr, len, host, host_size, port, port_size, flags);
}
