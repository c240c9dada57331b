/* SPDX-License-Identifier: MIT */
/*
 * check_tls_relay.c - somebody sits between a client and a server, both of the library: flips a
 * byte, cuts the connection, or sends each byte by itself. Either side gets what the other has
 * sent, or an error; never other bytes, and never an end that the other side has not said.
 */
#include "certs.h"
#include "tls_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* -- the relay: one connection after the other, on a thread of its own -- */

enum act { PASS, FLIP, CUT, SINGLE_BYTES };

enum { TO_SERVER, TO_CLIENT };

static struct relay {
	int listener;
	int is_over;        /* an eventfd: the client has left */
	pthread_t thread;
	char server[160];   /* where it connects to */
	char address[40];   /* where it listens, for sks_connect() */
	enum act act;       /* what it does to the next connection, */
	int direction;      /* to the bytes that go this way, */
	size_t offset;      /* at this one */
	size_t passed[2];   /* bytes, in each direction, of the last connection */
	int has_struck;     /* it had a byte at that offset: signatures are now and then shorter */
	atomic_int running; /* a connection is being relayed */
	unsigned int connections; /* so far, */
	unsigned int silent;      /* and in how many the server has got nothing */
} relay;

/* Sends n bytes, which come at this offset of their direction. Returns 0 where it cuts, else 1. */
static int
forward(int to, int direction, unsigned char *bytes, size_t n)
{
	size_t at = relay.passed[direction], i, step = relay.act == SINGLE_BYTES ? 1 : n;
	int is_here = relay.direction == direction && relay.offset >= at && relay.offset < at + n;

	relay.has_struck |= is_here;
	if (is_here && relay.act == FLIP)
		bytes[relay.offset - at] ^= 0x10;
	if (is_here && relay.act == CUT)
		n = step = relay.offset - at;
	for (i = 0; i < n; i += step)
		(void)!send(to, bytes + i, step, MSG_NOSIGNAL);
	relay.passed[direction] += n;
	return !is_here || relay.act != CUT;
}

/* Relays until both sides have ended, or it cuts, or is told that the client has left. */
static void
pump(int client, int server)
{
	struct pollfd p[3] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN },
		{ .fd = relay.is_over, .events = POLLIN } };
	int fds[2] = { client, server }, i, open = 2;
	unsigned char bytes[2048];

	while (open > 0 && poll(p, 3, -1) > 0 && p[2].revents == 0) {
		for (i = 0; i < 2; i++) {
			ssize_t n;

			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			n = recv(fds[i], bytes, sizeof(bytes), 0);
			if (n > 0) {
				if (!forward(fds[!i], i, bytes, (size_t)n))
					return;
				continue;
			}
			shutdown(fds[!i], SHUT_WR);
			p[i].fd = -1;
			open--;
		}
	}
}

/*
 * Reads to the other side's end, and closes: a reset would take what that side has not read yet.
 * The end was said to it before, as a child process may have a copy of the descriptor.
 */
static void
end(int fd)
{
	char dropped[2048];

	while (recv(fd, dropped, sizeof(dropped), 0) > 0)
		;
	close(fd);
}

static void *
run_relay(void *arg)
{
	static const int on = 1;
	int client, server;

	(void)arg;
	while ((client = accept(relay.listener, NULL, NULL)) != -1) {
		ck_assert_int_eq(relay.running, 1); /* which also orders what was set before it */
		relay.passed[TO_SERVER] = relay.passed[TO_CLIENT] = 0;
		relay.has_struck = 0;
		server = peer_connect(relay.server);
		ck_assert_int_eq(fcntl(server, F_SETFL, fcntl(server, F_GETFL) & ~O_NONBLOCK), 0);
		setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		pump(client, server);
		shutdown(client, SHUT_WR);
		shutdown(server, SHUT_WR);
		end(server);
		end(client);
		relay.running = 0;
	}
	return NULL;
}

static void
relay_open(const char *server)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);

	relay = (struct relay){ .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.is_over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	snprintf(relay.server, sizeof(relay.server), "%s", server);
	ck_assert_int_eq(bind(relay.listener, (struct sockaddr *)&name, len), 0);
	ck_assert_int_eq(listen(relay.listener, 10), 0);
	ck_assert_int_eq(getsockname(relay.listener, (struct sockaddr *)&name, &len), 0);
	snprintf(relay.address, sizeof(relay.address), "tls:127.0.0.1:%d", ntohs(name.sin_port));
	ck_assert_int_eq(pthread_create(&relay.thread, NULL, run_relay, NULL), 0);
}

static void
relay_close(void)
{
	shutdown(relay.listener, SHUT_RDWR);
	pthread_join(relay.thread, NULL);
	close(relay.listener);
	close(relay.is_over);
}

/* -- a server, and a client that goes by the relay -- */

static struct acc acc;
static struct sks_tls *client_tls;

static int
speak_1_2(struct ssl_ctx_st *ctx, void *data)
{
	return data == NULL || SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 ? 0 : -1;
}

static void
start(int mode, int is_1_2)
{
	static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_lines };
	struct sks_tls_options trust = { .ca = certs_path("ca"), .configure = speak_1_2,
		.data = is_1_2 ? &acc : NULL };

	tls_start(&acc, mode, &echo, (struct sks_options){ .on_error = acc_on_error },
	    (struct sks_tls_options){ 0 });
	client_tls = sks_tls_new(SKS_TLS_CLIENT, &trust);
	ck_assert_ptr_nonnull(client_tls);
	relay_open(acc.address);
}

static void
teardown(void)
{
	relay_close();
	acc_free(&acc);
	sks_tls_free(client_tls);
	tls_teardown();
}

FIXTURE(tls_setup, teardown);

/*
 * A line there and back, and the end of both sides. Returns 1, or 0 and errno; fails the test where
 * other bytes come, or an end that nobody has said.
 */
static int
use(struct sks_client *client)
{
	static const char line[] = "what the client says\n";
	char got[sizeof(line)] = "";
	ssize_t n;

	if (sks_puts(client->wfile, line) == -1)
		return 0;
	n = sks_readn(client->rfile, got, sizeof(line) - 1);
	if (n > 0)
		ck_assert_mem_eq(got, line, (size_t)n);
	if (n != sizeof(line) - 1) {
		ck_assert(n == -1 || sks_end(client->rfile) == -1); /* the server has not ended */
		return 0;
	}
	if (sks_wfile_shutdown(client->wfile) == -1)
		return 0;
	n = sks_readn(client->rfile, got, 1);
	ck_assert_int_le(n, 0);
	return n == 0 && sks_end(client->rfile) == 0;
}

/*
 * Connects by the relay, which does so to the connection. Returns 0, or the errno of the client. In
 * processes mode the server's child has a copy of the client's socket, too, and so hears of no end.
 */
static int
go(enum act act, int direction, size_t offset, int timeout_ms)
{
	struct sks_client *client;
	eventfd_t count;
	int error = 0;

	(void)eventfd_read(relay.is_over, &count);
	relay.act = act;
	relay.direction = direction;
	relay.offset = offset;
	relay.running = 1;
	relay.connections++;
	client = sks_connect_tls_quiet(relay.address, client_tls, timeout_ms, NULL, 0);
	if (client == NULL)
		error = errno;
	else {
		errno = 0;
		if (!use(client))
			error = errno;
		sks_client_close(client);
	}
	if (error != 0 && acc.mode->mode == SKS_PROCESSES)
		ck_assert_int_eq(eventfd_write(relay.is_over, 1), 0);
	ck_eventually(!relay.running);
	relay.silent += relay.passed[TO_SERVER] == 0;
	return error;
}

/*
 * Each connection was counted: its handshake as one that was complete, or as one that has failed,
 * unless its client has said nothing at all.
 */
static void
expect_counts(void)
{
	ck_assert_int_eq(go(PASS, 0, 0, 20000), 0);
	ck_eventually(acc_stats(&acc).handshakes + acc_stats(&acc).handshakes_failed + relay.silent ==
	    relay.connections);
	ck_eventually(acc_stats(&acc).active == 0 && acc_stats(&acc).lingering == 0);
}

static const char *
name_of_version(int i)
{
	return i == 0 ? "TLS 1.3" : "TLS 1.2";
}

#define EACH_VERSION .times = 2, .variant = name_of_version

/* Two numbers without a common factor, so that each kind of byte is hit. */
static size_t
stride(void)
{
	return is_slow() ? 67 : 7;
}

/* Client and server may both wait for the rest of a record whose length was changed. */
TEST(a_byte_that_is_flipped_is_noticed, EACH_VERSION)
{
	size_t n[2], offset;
	unsigned int failed = 0;
	int direction;

	start(ACC_FIBERS, _i);
	ck_assert_int_eq(go(PASS, 0, 0, 20000), 0);
	memcpy(n, relay.passed, sizeof(n));
	for (direction = 0; direction < 2; direction++)
		for (offset = 0; offset < n[direction]; offset += stride())
			failed += go(FLIP, direction, offset, is_slow() ? 2000 : 200) != 0;
	ck_assert_uint_ge(failed, (n[0] + n[1]) / stride() / 2);
	ck_assert_uint_gt(acc_stats(&acc).handshakes_failed, 0);
	expect_counts();
}

/* Of a connection that was cut, the client and the server are told by ECONNRESET or EPIPE. */
TEST(a_connection_that_is_cut_has_not_ended, EACH_VERSION)
{
	size_t n[2], offset;
	int direction;

	start(ACC_FIBERS, _i);
	ck_assert_int_eq(go(PASS, 0, 0, 20000), 0);
	memcpy(n, relay.passed, sizeof(n));
	ck_assert_int_ne(go(CUT, TO_SERVER, n[TO_SERVER] - 10, 20000), 0); /* in the end */
	for (direction = 0; direction < 2; direction++) {
		for (offset = 0; offset < n[direction]; offset += stride()) {
			int error = go(CUT, direction, offset, 20000);

			ck_assert(error == ECONNRESET || error == EPIPE || !relay.has_struck);
			ck_assert(seen->errors == 0 || seen->last_error == ECONNRESET ||
			    seen->last_error == EPIPE);
		}
	}
	ck_eventually(seen->errors > 0); /* of those that were cut behind the first line, */
	ck_assert_uint_gt(acc_stats(&acc).handshakes_failed, 0); /* and in it */
	expect_counts();
}

/* The same in each mode, at a few places: in both hellos, the finish, the line and the end. */
TEST(it_is_so_in_each_mode, EACH_MODE)
{
	size_t n[2], i;
	int direction;

	start(_i, 0);
	ck_assert_int_eq(go(PASS, 0, 0, 20000), 0);
	memcpy(n, relay.passed, sizeof(n));
	for (direction = 0; direction < 2; direction++) {
		for (i = 0; i < 8; i++) {
			size_t offset = 8 + i * (n[direction] - 9) / 7;

			(void)go(FLIP, direction, offset, is_slow() ? 2000 : 500);
			ck_assert(go(CUT, direction, offset, 20000) != 0 || !relay.has_struck);
		}
	}
	expect_counts();
}

TEST(bytes_may_come_one_by_one, EACH_MODE)
{
	start(_i, 0);
	ck_assert_int_eq(go(SINGLE_BYTES, 0, 0, 20000), 0);
	expect_counts();
	ck_assert_uint_eq(acc_stats(&acc).handshakes_failed, 0);
	ck_assert_int_eq(seen->errors, 0);
}
