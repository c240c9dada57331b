/* SPDX-License-Identifier: MIT */
/*
 * The clients of restart.py: threads that connect, ask and go, again and again, and count the
 * requests that are lost.
 *
 * A connection has one request or five, and each fifth connection is silent for up to 3 ms first.
 * A request is lost when a new connection gets no answer. A client that has had an answer may find
 * its connection closed, and asks again on a new one. An answer is the line that was asked; a
 * number and ": " may stand in front.
 *
 * A line "more" is printed each time that REQUESTS more are answered. At the end of standard input
 * the clients end, and the last line tells how many were answered and how many are lost.
 *
 * usage: restart_load HOST|PATH PORT CLIENTS REQUESTS   a PATH is of a Unix socket, with port 0
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 30
#define MOST_CLIENTS 1000

static union {
	struct sockaddr any;
	struct sockaddr_in ip;
	struct sockaddr_un path;
} target;
static socklen_t target_len;
static unsigned long step;
static atomic_ulong answered, lost;
static atomic_int stops;

static void
set_target(const char *where, const char *port)
{
	if (where[0] == '/') {
		target.path.sun_family = AF_UNIX;
		target_len = sizeof(target.path);
		if (snprintf(target.path.sun_path, sizeof(target.path.sun_path), "%s", where) >=
		    (int)sizeof(target.path.sun_path))
			errx(2, "%s: too long", where);
		return;
	}
	target.ip.sin_family = AF_INET;
	target.ip.sin_port = htons((uint16_t)atoi(port));
	target_len = sizeof(target.ip);
	if (inet_pton(AF_INET, where, &target.ip.sin_addr) != 1)
		errx(2, "%s: no address", where);
}

static int
new_socket(void)
{
	static const struct timeval patience = { PATIENCE_S, 0 };
	int fd = socket(target.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == -1)
		err(2, "socket");
	return fd;
}

/*
 * A port of the client's own may be missing for a moment, as earlier connections still have them.
 */
static int
open_connection(void)
{
	int fd;

	while (fd = new_socket(), connect(fd, &target.any, target_len) == -1) {
		if (errno != EADDRNOTAVAIL)
			return fd;
		close(fd);
		usleep(1000);
	}
	errno = 0;
	return fd;
}

/* Reads to the end of the line, or of the connection. How many bytes, or -1. */
static ssize_t
read_line(int fd, char *line, size_t size)
{
	size_t have = 0;
	ssize_t n = 1;

	while (n > 0 && have < size - 1 && (have == 0 || line[have - 1] != '\n')) {
		n = recv(fd, line + have, size - 1 - have, 0);
		if (n > 0)
			have += (size_t)n;
	}
	line[have] = '\0';
	return n == -1 ? -1 : (ssize_t)have;
}

static int
is_answer(const char *line, const char *asked)
{
	const char *text = strstr(line, ": ");

	return strcmp(text != NULL ? text + 2 : line, asked) == 0;
}

/* 1: it was answered. 0: not; errno is 0 where the connection has just ended. */
static int
ask(int fd, unsigned long number)
{
	char asked[32], line[64];
	int n = snprintf(asked, sizeof(asked), "%lu\n", number);

	if (send(fd, asked, (size_t)n, MSG_NOSIGNAL) == -1 ||
	    read_line(fd, line, sizeof(line)) == -1)
		return 0;
	errno = line[0] == '\0' ? 0 : EBADMSG;
	return is_answer(line, asked);
}

static void
note_answer(void)
{
	if ((atomic_fetch_add(&answered, 1) + 1) % step == 0 && write(STDOUT_FILENO, "more\n", 5) != 5)
		err(2, "standard output");
}

static void
note_lost(int error)
{
	if (atomic_fetch_add(&lost, 1) < 10)
		warnx("lost: %s", error == 0 ? "the connection has ended" : strerror(error));
}

/*
 * A connection that has had an answer may end or be reset, but it is not forgotten, and not mixed
 * up.
 */
static int
may_end(int error)
{
	return error == 0 || error == ECONNRESET || error == EPIPE;
}

static void
talk(unsigned int *seed)
{
	int fd = open_connection();
	int error = errno, left = rand_r(seed) % 4 == 0 ? 5 : 1, had = 0;

	if (error == 0 && rand_r(seed) % 5 == 0)
		usleep((useconds_t)(rand_r(seed) % 3000));
	while (error == 0 && left > 0 && ask(fd, (unsigned long)rand_r(seed))) {
		note_answer();
		had++;
		left--;
	}
	if (error == 0)
		error = errno;
	if (left > 0 && (had == 0 || !may_end(error)))
		note_lost(error);
	close(fd);
}

static void *
be_client(void *seed)
{
	while (!atomic_load(&stops))
		talk(seed);
	return NULL;
}

static void
wait_for_end(void)
{
	char buf[64];

	while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
}

int
main(int argc, char **argv)
{
	static unsigned int seeds[MOST_CLIENTS];
	pthread_t threads[MOST_CLIENTS];
	int i, n;

	if (argc != 5 || (n = atoi(argv[3])) < 1 || n > MOST_CLIENTS || atol(argv[4]) < 1)
		errx(2, "usage: restart_load HOST|PATH PORT CLIENTS REQUESTS");
	set_target(argv[1], argv[2]);
	step = strtoul(argv[4], NULL, 10);
	for (i = 0; i < n; i++) {
		seeds[i] = (unsigned int)(getpid() * MOST_CLIENTS + i);
		if ((errno = pthread_create(&threads[i], NULL, be_client, &seeds[i])) != 0)
			err(2, "thread");
	}
	wait_for_end();
	atomic_store(&stops, 1);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%lu %lu\n", atomic_load(&answered), atomic_load(&lost));
	return 0;
}
