/* Connections to the server, and the lines on them. */

#define _GNU_SOURCE 1
#include "load.h"

#include "measure.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define READY_NS (10 * NS_PER_S) /* one not listening by then never will */

int ep = -1;
size_t block_size;
char scratch[65536];

static struct sockaddr_storage server_address;
static socklen_t server_address_len;

/* ---- connections ---- */

static int
kind(void)
{
	return opt.udp ? SOCK_DGRAM : SOCK_STREAM;
}

void
resolve(void)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = kind() };
	struct addrinfo *list;
	int error;

	if ((error = getaddrinfo(opt.host, opt.port, &hints, &list)) != 0)
		errx(1, "%s port %s: %s", opt.host, opt.port, gai_strerror(error));
	memcpy(&server_address, list->ai_addr, list->ai_addrlen);
	server_address_len = list->ai_addrlen;
	freeaddrinfo(list);
}

/* Ports run out for each pair of addresses, so on loopback more addresses are more connections. */
static int
bind_source(int fd, int source)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)&server_address;
	struct sockaddr_in from = { .sin_family = AF_INET };
	const int on = 1;

	if (source == 0 || to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return 0;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)(source % SOURCES));
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == -1)
		return -1;
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

/* A blocking socket: on loopback connect waits for the kernel only, never for the server. */
static int
try_connect(int source)
{
	const struct timeval limit = { .tv_sec = SILENCE_NS / NS_PER_S };
	const int on = 1;
	int error, fd;

	if ((fd = socket(server_address.ss_family, kind() | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (bind_source(fd, source) == -1)
		err(1, "source address");
	if ((!opt.udp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == -1)
		err(1, "socket options");
	if (connect(fd, (struct sockaddr *)&server_address, server_address_len) == -1) {
		error = errno;
		close(fd);
		errno = error == EINPROGRESS ? ETIMEDOUT : error;
		return -1;
	}
	return fd;
}

int
connect_or_die(int source)
{
	int fd;

	if ((fd = try_connect(source)) == -1)
		err(1, "connect to %s port %s", opt.host, opt.port);
	return fd;
}

/*
 * A descriptor when the server is there. A datagram socket learns of one that is not by its reply.
 */
static int
try_server(void)
{
	int fd, error;

	if ((fd = try_connect(0)) == -1 || !opt.udp)
		return fd;
	if (send(fd, "\n", 1, 0) == 1 && recv(fd, scratch, sizeof(scratch), 0) != -1)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Until the server listens, as long as it lives. */
void
wait_ready(void)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	const int64_t end = now_ns() + READY_NS;
	int fd;

	while ((fd = try_server()) == -1) {
		if (errno != ECONNREFUSED || now_ns() > end)
			err(1, "connect to %s port %s", opt.host, opt.port);
		if (opt.pid != 0 && !is_running(opt.pid))
			errx(1, "the server, process %d, has ended", opt.pid);
		nanosleep(&pause, NULL);
	}
	close(fd);
}

void
raise_open_files(int64_t needed)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "open files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "open files");
	if (limit.rlim_max != RLIM_INFINITY && (int64_t)limit.rlim_max < needed + 16)
		errx(1, "%" PRId64 " connections need %" PRId64 " open files, the limit is %" PRIu64,
		    needed, needed + 16, (uint64_t)limit.rlim_max);
}

void *
zeroed(size_t count, size_t size)
{
	void *p;

	if ((p = calloc(count, size)) == NULL)
		err(1, "memory");
	return p;
}

void
interest(const struct conn *c, int operation, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = NULL } };

	ev.data.ptr = (void *)(uintptr_t)c;
	if (epoll_ctl(ep, operation, c->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

/* ---- lines ---- */

/* Printable, and different for each connection and each line of the block as far as it fits. */
void
fill_block(char *block, int number)
{
	char mark[32];
	size_t i, len;
	int line;

	for (line = 0; line < opt.pipeline; line++, block += opt.size) {
		for (i = 0; i < opt.size; i++)
			block[i] = (char)('!' + (i + (size_t)line * 7 + (size_t)number * 13) % 94);
		len = (size_t)snprintf(mark, sizeof(mark), "%d.%d ", number, line);
		if (len + 2 <= opt.size)
			memcpy(block, mark, len);
		block[opt.size - 1] = '\n';
	}
}

static void
stamp_round(char *block, unsigned round)
{
	int line;

	if (opt.size >= 2)
		for (line = 1; line <= opt.pipeline; line++)
			block[(size_t)line * opt.size - 2] = (char)('A' + round % 26);
}

void
send_some(struct conn *c)
{
	ssize_t n;

	n = send(c->fd, c->block + c->sent, block_size - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			err(1, "connection %d: send", c->number);
		n = 0;
	}
	c->sent += (size_t)n;
	if (c->wants_out != (c->sent < block_size)) {
		c->wants_out = !c->wants_out;
		interest(c, EPOLL_CTL_MOD, c->wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

void
start_round(struct conn *c, int64_t now)
{
	stamp_round(c->block, c->round++);
	c->sent = c->got = 0;
	c->since = now;
	send_some(c);
}

static void
check_reply(const struct conn *c, const char *p, size_t n)
{
	if (n > c->sent - c->got)
		errx(1, "connection %d: %zu bytes came back for %zu sent", c->number, c->got + n,
		    c->sent);
	if (memcmp(p, c->block + c->got, n) != 0)
		errx(1, "connection %d: the reply differs from what was sent, after round %u",
		    c->number, c->round - 1);
}

/* One recv. Returns 0 at the end of input, which only --connect expects. */
int
receive_some(struct conn *c)
{
	ssize_t n;

	if ((n = recv(c->fd, scratch, sizeof(scratch), MSG_DONTWAIT)) == -1) {
		if (errno != EAGAIN && errno != EINTR)
			err(1, "connection %d: recv", c->number);
		return 1;
	}
	if (n == 0) {
		if (!c->ending)
			errx(1, "connection %d: the server ended it after %zu of %zu bytes",
			    c->number, c->got, block_size);
		return 0;
	}
	check_reply(c, scratch, (size_t)n);
	c->got += (size_t)n;
	return 1;
}

int
ends_round(struct conn *c, uint32_t events)
{
	if (events & ~(uint32_t)EPOLLOUT)
		receive_some(c);
	if (c->wants_out)
		send_some(c);
	return c->got >= block_size;
}

void
speak_once(struct conn *c)
{
	size_t done;
	ssize_t n;

	if (block_size > sizeof(scratch))
		return;
	for (done = 0; done < block_size; done += (size_t)n)
		if ((n = send(c->fd, c->block + done, block_size - done, MSG_NOSIGNAL)) <= 0)
			err(1, "connection %d: send", c->number);
	for (done = 0; done < block_size; done += (size_t)n)
		if ((n = recv(c->fd, scratch, sizeof(scratch), 0)) <= 0)
			err(1, "connection %d: no reply", c->number);
}
