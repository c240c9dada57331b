/*
 * The least that a server over epoll(7) does, without libsocketserver. restart.py shows by it what
 * the kernel loses when a server with SO_REUSEPORT is restarted, hostile.py how long good clients
 * wait beside others. It sends back what comes with the end of a line, drops what comes without
 * one, and whoever says "big" gets bytes without end. On SIGTERM it accepts whoever waits, closes
 * its listener when accept4(2) says that nobody does, and serves its connections to their end.
 *
 * usage: bare_server [OPTION]... tcp:ADDRESS:PORT   of IPv4; options are ignored
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 16
#define BIG (UINT64_C(1) << 32) /* in the data of an event, above the descriptor */
#define UNSENT (128 * 1024)     /* as much output waits in the kernel for each, as with libsocketserver */

static volatile sig_atomic_t stops;
static int set, clients;

static void
on_stop(int signo)
{
	(void)signo;
	stops = 1;
}

static int
open_listener(const char *address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, most = UNSENT;
	socklen_t len = sizeof(sin);
	char host[INET_ADDRSTRLEN];
	int port;

	if (sscanf(address, "tcp:%15[0-9.]:%d", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		errx(2, "%s: it has to be tcp:ADDRESS:PORT", address);
	sin.sin_port = htons((uint16_t)port);
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, len) == -1 || listen(fd, SOMAXCONN) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "%s", address);
	printf("tcp:%s:%d\n", host, ntohs(sin.sin_port));
	fflush(stdout);
	return fd;
}

static void
watch(int operation, int fd, uint32_t events, uint64_t is_big)
{
	struct epoll_event event = { .events = events, .data.u64 = (uint64_t)fd | is_big };

	if (epoll_ctl(set, operation, fd, &event) == -1)
		err(1, "epoll_ctl");
}

static void
accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		watch(EPOLL_CTL_ADD, fd, EPOLLIN, 0);
		clients++;
	}
}

static void
end(int fd)
{
	close(fd);
	clients--;
}

/* Sends until the socket is full. */
static void
send_much(int fd)
{
	static const char block[65536];

	while (send(fd, block, sizeof(block), MSG_NOSIGNAL) != -1)
		;
	if (errno != EAGAIN)
		end(fd);
}

static void
echo(int fd)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n >= 3 && memcmp(buf, "big", 3) == 0)
		watch(EPOLL_CTL_MOD, fd, EPOLLOUT, BIG);
	else if (n > 0 && buf[n - 1] == '\n')
		(void)!send(fd, buf, (size_t)n, MSG_NOSIGNAL);
	else if (n <= 0)
		end(fd);
}

static void
take_turn(int listener, const sigset_t *mask)
{
	struct epoll_event events[EVENTS];
	int i, n = epoll_pwait(set, events, EVENTS, -1, mask);

	for (i = 0; i < n; i++) {
		int fd = (int)(events[i].data.u64 & ~BIG);

		if (fd == listener)
			accept_all(listener);
		else if (events[i].data.u64 & BIG)
			send_much(fd);
		else
			echo(fd);
	}
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_stop };
	int listener = open_listener(argv[argc - 1]);
	sigset_t stop, before;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, &before);
	sigaction(SIGTERM, &action, NULL);
	set = epoll_create1(EPOLL_CLOEXEC);
	watch(EPOLL_CTL_ADD, listener, EPOLLIN, 0);
	while (!stops)
		take_turn(listener, &before);
	accept_all(listener);
	close(listener);
	while (clients > 0)
		take_turn(-1, &before);
	return 0;
}
