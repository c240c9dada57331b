/*
 * What the kernel loses by itself when a server with SO_REUSEPORT is restarted: the least that a
 * server over epoll(7) does. On SIGTERM it accepts whoever waits, closes its listener when
 * accept4(2) says that nobody does, and serves its connections to their end. It sends back what
 * comes, and knows nothing of libsocketserver.
 *
 * usage: bare_server [OPTION]... tcp:HOST:PORT   options are ignored
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 64

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
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	sin.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 || listen(fd, SOMAXCONN) == -1)
		err(1, "%s", address);
	return fd;
}

static void
watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == -1)
		err(1, "epoll_ctl");
}

static void
accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		watch(fd);
		clients++;
	}
}

static void
echo(int fd)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n > 0) {
		(void)!send(fd, buf, (size_t)n, MSG_NOSIGNAL);
		return;
	}
	close(fd);
	clients--;
}

static void
take_turn(int listener, const sigset_t *mask)
{
	struct epoll_event events[EVENTS];
	int i, n = epoll_pwait(set, events, EVENTS, -1, mask);

	for (i = 0; i < n; i++)
		if (events[i].data.fd == listener)
			accept_all(listener);
		else
			echo(events[i].data.fd);
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
	watch(listener);
	puts("it listens");
	fflush(stdout);
	while (!stops)
		take_turn(listener, &before);
	accept_all(listener);
	close(listener);
	while (clients > 0)
		take_turn(-1, &before);
	return 0;
}
