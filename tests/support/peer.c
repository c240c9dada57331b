/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "assertions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static socklen_t
unix_name(const char *path, union peer_name *name)
{
	size_t n = strlen(path);

	ck_assert_uint_lt(n, sizeof(name->un.sun_path));
	name->un.sun_family = AF_UNIX;
	memcpy(name->un.sun_path, path, n + 1);
	if (path[0] != '@')
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	name->un.sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

socklen_t
peer_name(const char *address, union peer_name *name)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&name->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&name->storage;
	const char *colon = strrchr(address, ':');
	char host[64];
	size_t n;

	memset(name, 0, sizeof(*name));
	if (begins(address, "unix:"))
		return unix_name(address + 5, name);
	if (begins(address, "unix-dgram:"))
		return unix_name(address + 11, name);
	if (begins(address, "udp:"))
		address += 4;
	ck_assert_ptr_nonnull(colon);
	n = (size_t)(colon - address);
	ck_assert_uint_lt(n, sizeof(host));
	memcpy(host, address, n);
	host[n] = '\0';
	if (host[0] == '[') {
		host[n - 1] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(colon + 1));
		ck_assert_int_eq(inet_pton(AF_INET6, host + 1, &in6->sin6_addr), 1);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(colon + 1));
	ck_assert_int_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
	return sizeof(*in);
}

/*
 * Clients and server are one process here, so a child that the server forks
 * for a request has copies of the clients' sockets, and their ends would not
 * come before its own. It closes them; a number may have been given to another
 * file since, hence the inode. None is half made while another thread forks.
 */
#define SOCKETS 4096

static struct {
	int fd;
	ino_t inode;
} sockets[SOCKETS];
static unsigned int made;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void
wait_for_makers(void)
{
	pthread_mutex_lock(&making);
}

static void
let_make(void)
{
	pthread_mutex_unlock(&making);
}

static void
close_in_child(void)
{
	unsigned int i;
	struct stat st;

	for (i = 0; i < made && i < SOCKETS; i++)
		if (fstat(sockets[i].fd, &st) == 0 && st.st_ino == sockets[i].inode)
			close(sockets[i].fd);
	let_make();
}

static void
care_for_children(void)
{
	pthread_atfork(wait_for_makers, let_make, close_in_child);
}

static int
new_socket(int family, int type)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct stat st;
	int fd;

	pthread_once(&once, care_for_children);
	pthread_mutex_lock(&making);
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	if (fd != -1 && fstat(fd, &st) == 0) {
		sockets[made % SOCKETS].fd = fd;
		sockets[made % SOCKETS].inode = st.st_ino;
		made++;
	}
	pthread_mutex_unlock(&making);
	ck_assert_int_ne(fd, -1);
	return fd;
}

/*
 * A child cannot use AddressSanitizer's allocator if another thread was in it
 * at the fork, and with large blocks it is there for long.
 */
static void *
resize(void *old, size_t n)
{
	void *block;

	pthread_mutex_lock(&making);
	block = realloc(old, n);
	pthread_mutex_unlock(&making);
	ck_assert_ptr_nonnull(block);
	return block;
}

int
peer_try(const char *address)
{
	union peer_name name;
	socklen_t len = peer_name(address, &name);
	int fd, rc, error;

	/* A Unix socket that would wait for the backlog says EAGAIN instead. */
	fd = new_socket(name.any.sa_family,
	    SOCK_STREAM | (name.any.sa_family == AF_UNIX ? SOCK_NONBLOCK : 0));
	do {
		rc = connect(fd, &name.any, len);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0 && fcntl(fd, F_SETFL, 0) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
peer_dial(const char *address)
{
	int is_datagram = begins(address, "udp:") || begins(address, "unix-dgram:");
	union peer_name name, any = { .any.sa_family = AF_UNIX };
	socklen_t len = peer_name(address, &name);
	int fd = new_socket(name.any.sa_family, is_datagram ? SOCK_DGRAM : SOCK_STREAM), error;

	if ((!is_datagram || name.any.sa_family != AF_UNIX ||
		bind(fd, &any.any, sizeof(any.any.sa_family)) == 0) &&
	    connect(fd, &name.any, len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
peer_connect(const char *address)
{
	int fd = peer_try(address);

	ck_assert_msg(fd != -1, "connect %s: %s", address, strerror(errno));
	return fd;
}

int
peer_datagram(const char *address, const char *own)
{
	union peer_name name, mine;
	socklen_t len = peer_name(address, &name), mine_len;
	int fd = new_socket(name.any.sa_family, SOCK_DGRAM);

	if (name.any.sa_family == AF_UNIX && (own == NULL || own[0] != '\0')) {
		memset(&mine, 0, sizeof(mine));
		mine.any.sa_family = AF_UNIX;
		mine_len = own != NULL ? peer_name(own, &mine) : sizeof(mine.any.sa_family);
		ck_assert_msg(bind(fd, &mine.any, mine_len) == 0, "bind %s: %s",
		    own != NULL ? own : "anything", strerror(errno));
	}
	ck_assert_msg(connect(fd, &name.any, len) == 0, "connect %s: %s", address, strerror(errno));
	return fd;
}

static void
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int rc;

	do {
		rc = poll(&p, 1, PEER_DEADLINE_MS);
	} while (rc == -1 && errno == EINTR);
	ck_assert_msg(rc == 1, "nothing came in %d ms", PEER_DEADLINE_MS);
}

void
peer_send(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	do {
		ssize_t sent;

		wait_for(fd, POLLOUT);
		sent = send(fd, (const char *)buf + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		ck_assert_msg(sent != -1, "send: %s", strerror(errno));
		done += (size_t)sent;
	} while (done < n);
}

void
peer_puts(int fd, const char *text)
{
	peer_send(fd, text, strlen(text));
}

ssize_t
peer_recv(int fd, void *buf, size_t n)
{
	ssize_t got;

	do {
		wait_for(fd, POLLIN);
		got = recv(fd, buf, n, MSG_DONTWAIT);
	} while (got == -1 && (errno == EAGAIN || errno == EINTR));
	return got;
}

static int
is_datagram(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	return type == SOCK_DGRAM;
}

size_t
peer_receive(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (char *)buf + done, n - done, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
		if (is_datagram(fd))
			break;
	}
	return done;
}

void
peer_expect_bytes(int fd, const void *bytes, size_t n)
{
	size_t room = is_datagram(fd) ? 65536 : n, have = 0;
	char *got = resize(NULL, room + 1);

	while (have < n) {
		ssize_t more = peer_recv(fd, got + have, room - have);

		got[more > 0 ? have + (size_t)more : have] = '\0';
		ck_assert_msg(more > 0, "after \"%.60s\" %s instead of \"%.60s\"", got,
		    more == 0 ? "the end came" : strerror(errno), (const char *)bytes);
		have += (size_t)more;
		if (room > n)
			break;
	}
	ck_assert_msg(have == n && memcmp(got, bytes, n) == 0, "got \"%.60s\", not \"%.60s\"", got,
	    (const char *)bytes);
	free(got);
}

void
peer_expect(int fd, const char *text)
{
	peer_expect_bytes(fd, text, strlen(text));
}

void
peer_expect_eof(int fd)
{
	char got[64];
	ssize_t n = peer_recv(fd, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	ck_assert_msg(n == 0, "got \"%s\" (%s) instead of the end", got,
	    n == -1 ? strerror(errno) : "input");
	close(fd);
}

void
peer_expect_gone(int fd)
{
	char got[64];
	ssize_t n = peer_recv(fd, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	ck_assert_msg(n == 0 || (n == -1 && (errno == ECONNRESET || errno == EPIPE)),
	    "got \"%s\" instead of the end", got);
	close(fd);
}

char *
peer_read_all(int fd, size_t *n)
{
	size_t have = 0, room = 0;
	char *all = NULL;

	for (;;) {
		ssize_t got;

		if (room - have < 65536) {
			room = room * 2 + 131072;
			all = resize(all, room + 1);
		}
		got = peer_recv(fd, all + have, room - have);
		ck_assert_msg(got != -1, "recv after %zu bytes: %s", have, strerror(errno));
		if (got == 0)
			break;
		have += (size_t)got;
	}
	all[have] = '\0';
	if (n != NULL)
		*n = have;
	return all;
}

int
peer_is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

void
peer_half_close(int fd)
{
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
}

void
peer_reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}
