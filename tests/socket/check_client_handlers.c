/* SPDX-License-Identifier: MIT */
/*
 * check_client_handlers.c - handlers of every mode that are clients themselves.
 */
#include "acceptance.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static void
expect_line(struct sks_client *conn, const char *text)
{
	char *line = sks_gets(conn->rfile);

	ck_assert_msg(line != NULL, "%s", strerror(errno));
	ck_assert_str_eq(line, text);
}

static void
expect_end(struct sks_client *conn)
{
	errno = -1;
	ck_assert_ptr_null(sks_gets(conn->rfile));
	ck_assert_int_eq(errno, 0);
}

static char upstream[200];

/* Asks the upstream for each line. */
static int
relay(struct sks_request *req)
{
	struct sks_client *conn = sks_connect(upstream, 5000);
	char *line;
	int rc = 0;

	if (conn == NULL)
		return -1;
	while (rc == 0 && (line = sks_gets(req->rfile)) != NULL) {
		rc = sks_printf(conn->wfile, "<%s>\n", line);
		line = rc == 0 ? sks_gets(conn->rfile) : NULL;
		rc = line != NULL ? sks_printf(req->wfile, "%s\n", line) : -1;
	}
	if (sks_client_close(conn) == -1)
		rc = -1;
	return rc;
}

/*
 * Before the next server forks: a child cannot use AddressSanitizer's allocator
 * if another thread was in it then. (peer.c says the same of clients.)
 */
static void
rest(const struct acc *back)
{
	ck_eventually(acc_stats(back).active == 0);
}

TEST(a_handler_is_a_client_in_every_mode, EACH_TRANSPORT)
{
	static const struct sks_handler echo = { .handle = acc_echo_lines };
	static const struct sks_handler relays = { .name = "relay", .handle = relay };
	struct acc back, front;
	int fd[3], i;

	acc_all(&back, 0, &echo, NULL);
	acc_start(&back);
	snprintf(upstream, sizeof(upstream), "%s", back.address);
	acc_all(&front, _i, &relays, NULL);
	acc_start(&front);
	ck_assert_int_eq(acc_echoes(&back), 1); /* now it has its memory */
	rest(&back);
	for (i = 0; i < 3; i++) {
		fd[i] = acc_client(&front);
		peer_puts(fd[i], "one\n");
		peer_expect(fd[i], "<one>\n");
		if (front.mode->one_at_a_time || !acc_is_stream(&front)) {
			close(fd[i]);
			fd[i] = -1;
			rest(&back);
		}
	}
	for (i = 0; i < 3; i++) {
		if (fd[i] == -1)
			continue;
		peer_puts(fd[i], "two\nthree\n");
		peer_expect(fd[i], "<two>\n<three>\n");
		peer_half_close(fd[i]);
		peer_expect_eof(fd[i]);
	}
	acc_free(&front);
	acc_free(&back);
	ck_assert_int_eq(log_lines(), 0);
}

/* The client is kept between exchanges, and nobody flushes it. */
static int
pass_on(struct sks_request *req)
{
	struct sks_client **kept = req->state;
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return -1;
	if (*kept == NULL && (*kept = sks_connect(upstream, 5000)) == NULL)
		return -1;
	if (sks_printf((*kept)->wfile, "%s\n", line) == -1)
		return -1;
	return line[0] == 'q' ? SKS_DONE : SKS_KEEP;
}

static void
hang_up(struct sks_request *req)
{
	struct sks_client **kept = req->state;

	sks_client_close(*kept);
}

TEST(what_a_handler_wrote_to_its_client_goes_when_it_returns, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler passes = {
		.handle = pass_on,
		.finish = hang_up,
		.state_size = sizeof(struct sks_client *),
	};
	struct sks_socket *server = sks_socket_new(AF_INET, SOCK_STREAM, 0), *client;
	struct sockaddr_storage addr;
	struct sks_client *conn;
	struct acc front;
	socklen_t len;
	int fd, i;

	ck_assert_int_eq(sks_address_parse("127.0.0.1:0", &addr, &len), 0);
	ck_assert_int_eq(sks_socket_bind(server, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_socket_listen(server, 1), 0);
	ck_assert_int_eq(sks_socket_getsockname(server, (struct sockaddr *)&addr, &len), 0);
	sks_address_format((struct sockaddr *)&addr, len, upstream, sizeof(upstream));
	acc_tcp(&front, _i, &passes, NULL);
	acc_start(&front);
	fd = acc_client(&front);
	peer_puts(fd, "one\n");
	client = sks_socket_accept(server, NULL, NULL);
	conn = sks_socket_makefile(client, "r");
	expect_line(conn, "one");
	for (i = 0; i < 20; i++) { /* on whichever fiber or thread */
		peer_puts(fd, "more\n");
		expect_line(conn, "more");
	}
	peer_puts(fd, "quit\n");
	expect_line(conn, "quit");
	expect_end(conn);
	peer_expect_eof(fd);
	sks_client_close(conn);
	sks_socket_free(client);
	sks_socket_free(server);
	acc_free(&front);
}
