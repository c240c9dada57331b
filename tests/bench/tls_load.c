/*
 * The load of TLS: connections that send a block each and wait until it has come back, or
 * handshakes one after the other. It trusts any server.
 *
 * usage: tls_load HOST PORT --pid PID [--connections N] [--size BYTES] [--messages N] [--seconds S]
 *        tls_load HOST PORT --pid PID --handshakes N [--seconds S]
 *        tls_load HOST PORT --pid PID --hold N     (memory of N connections that have said a line)
 */

#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

struct conn {
	SSL *ssl;
	int fd;
	int sent, got;
};

static SSL_CTX *ctx;
static struct sockaddr_in server = { .sin_family = AF_INET };
static int size = 64;
static double seconds;                  /* 0: as long as the work lasts */
static char *block, *answer;

static void
open_connection(struct conn *c)
{
	const int on = 1;

	*c = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) == -1)
		err(1, "connect");
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_connect(c->ssl) != 1)
		errx(1, "handshake");
}

static void
close_connection(struct conn *c)
{
	SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	close(c->fd);
}

/* All of a block there and back, waiting. */
static void
one_round(struct conn *c)
{
	int got = 0, n;

	if (SSL_write(c->ssl, block, size) != size)
		errx(1, "write");
	for (; got < size; got += n)
		if ((n = SSL_read(c->ssl, answer, size)) <= 0)
			errx(1, "read");
}

static void
expect_room(const struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT | POLLIN };

	if (poll(&p, 1, 10000) != 1)
		errx(1, "a server is silent");
}

static void
send_block(struct conn *c)
{
	int n;

	c->got = 0;
	while ((n = SSL_write(c->ssl, block, size)) != size) {
		if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE)
			errx(1, "write");
		expect_room(c);
	}
}

/* Reads what is there. 1: all of the block is back. */
static int
read_block(struct conn *c)
{
	int n;

	while (c->got < size) {
		if ((n = SSL_read(c->ssl, answer, size - c->got)) > 0)
			c->got += n;
		else if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
			return 0;
		else
			errx(1, "the server has closed");
	}
	return 1;
}

static int64_t
end_of_time(void)
{
	return seconds > 0 ? now_ns() + (int64_t)(seconds * 1e9) : INT64_MAX;
}

/* Returns how many messages have come back. */
static long
load(struct conn *conns, int n, long messages)
{
	const int64_t end = end_of_time();
	struct epoll_event events[512], ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), i, ready;
	long begun = 0, done = 0;

	for (i = 0; i < n; i++) {
		ev.data.ptr = &conns[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev);
		send_block(&conns[i]);
		begun++;
	}
	while (done < begun) {
		if ((ready = epoll_wait(ep, events, 512, 10000)) <= 0)
			errx(1, "a server is silent");
		for (i = 0; i < ready; i++) {
			struct conn *c = events[i].data.ptr;

			if (!read_block(c))
				continue;
			done++;
			if (begun < messages && now_ns() < end) {
				send_block(c);
				begun++;
			}
		}
	}
	close(ep);
	return done;
}

static void
echo(pid_t pid, int n, long messages)
{
	struct conn *conns = calloc((size_t)n, sizeof(*conns));
	int64_t before;
	int i;

	for (i = 0; i < n; i++) {
		open_connection(&conns[i]);
		one_round(&conns[i]);
		if (setsockopt(conns[i].fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 }, sizeof(int)) == -1)
			err(1, "setsockopt");
	}
	for (i = 0; i < n; i++)
		SSL_set_mode(conns[i].ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	settle(pid);
	before = cpu_ns(pid, 0);
	for (i = 0; i < n; i++) {
		int on = 1;

		if (ioctl(conns[i].fd, FIONBIO, &on) == -1)
			err(1, "FIONBIO");
	}
	messages = load(conns, n, messages);
	settle(pid);
	printf("server_cpu_ns_per_message=%ld\n", (long)((cpu_ns(pid, 0) - before) / messages));
	free(conns);
}

static void
handshakes(pid_t pid, long n)
{
	int64_t before, end;
	struct conn c;
	long i;

	settle(pid);
	before = cpu_ns(pid, 0);
	end = end_of_time();
	for (i = 0; i < n && now_ns() < end; i++) {
		open_connection(&c);
		one_round(&c);
		close_connection(&c);
	}
	settle(pid);
	printf("server_cpu_ns_per_connection=%ld\n", (long)((cpu_ns(pid, 0) - before) / i));
}

static void
hold(pid_t pid, int n)
{
	struct conn *conns = calloc((size_t)n, sizeof(*conns));
	struct memory before, after;
	int i;

	for (i = 0; i < 20; i++) { /* what the server has for all of them */
		open_connection(&conns[0]);
		one_round(&conns[0]);
		close_connection(&conns[0]);
	}
	settle(pid);
	memory_of(pid, &before);
	for (i = 0; i < n; i++) {
		open_connection(&conns[i]);
		one_round(&conns[i]);
	}
	settle(pid);
	memory_of(pid, &after);
	printf("bytes_per_connection=%ld\n",
	    (long)((after.private_dirty - before.private_dirty) / n));
	free(conns);
}

int
main(int argc, char **argv)
{
	static const struct option known[] = { { "pid", 1, NULL, 'p' }, { "connections", 1, NULL, 'c' },
		{ "size", 1, NULL, 's' }, { "messages", 1, NULL, 'm' }, { "handshakes", 1, NULL, 'h' },
		{ "hold", 1, NULL, 'k' }, { "seconds", 1, NULL, 't' }, { 0 } };
	long messages = 10000, shakes = 0;
	int option, connections = 64, held = 0;
	pid_t pid = 0;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'p': pid = atoi(optarg); break;
		case 'c': connections = atoi(optarg); break;
		case 's': size = atoi(optarg); break;
		case 'm': messages = atol(optarg); break;
		case 'h': shakes = atol(optarg); break;
		case 'k': held = atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		default: return 2;
		}
	}
	if (optind + 2 != argc || pid == 0)
		errx(2, "usage: tls_load HOST PORT --pid PID ...");
	inet_pton(AF_INET, argv[optind], &server.sin_addr);
	server.sin_port = htons((in_port_t)atoi(argv[optind + 1]));
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	block = calloc(1, (size_t)size);
	answer = malloc((size_t)size);
	memset(block, 'x', (size_t)size - 1);
	block[size - 1] = '\n';
	if (held > 0)
		hold(pid, held);
	else if (shakes > 0)
		handshakes(pid, shakes);
	else
		echo(pid, connections, messages);
	return 0;
}
