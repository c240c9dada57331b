/* SPDX-License-Identifier: MIT */
/*
 * check_client_datagrams.c - the streams of clients over datagrams.
 */
#include "acceptance.h"
#include "base/sys.h"
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

static struct sks_client *
connected(const char *address)
{
	struct sks_client *conn = sks_connect(address, SKS_DEFAULT);

	ck_assert_msg(conn != NULL, "%s: %s", address, strerror(errno));
	return conn;
}

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

static int
echo_all(struct sks_request *req)
{
	return sks_copy(req->rfile, req->wfile, -1);
}

/* A server of datagrams, as the address of a client. */
static void
serve_datagrams(struct acc *acc, char address[200], int transport, const struct sks_handler *handler)
{
	acc_datagrams(acc, transport, handler, NULL);
	acc_start(acc);
	snprintf(address, 200, "%s%.160s", acc->transport == ACC_UDP ? "udp:" : "unix-dgram:",
	    acc->address + (acc->transport == ACC_UDP ? 0 : strlen("unix:")));
}

static void
exchange_datagrams(void *arg)
{
	struct sks_client *conn = connected(arg);
	static char big[30000], got[30000];
	char *line;

	/* A question is one datagram however many calls wrote it. */
	ck_assert_int_eq(sks_puts(conn->wfile, "one\n"), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "two\n"), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "three"), 0);
	ck_assert_int_eq(sks_readline(conn->rfile, &line), 4);
	expect_line(conn, "two");
	ck_assert(!sks_eof(conn->rfile));
	expect_line(conn, "three");
	ck_assert(sks_eof(conn->rfile));
	expect_end(conn);
	expect_end(conn); /* and so on */
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);

	/* What is left of one goes with it. */
	ck_assert_int_eq(sks_puts(conn->wfile, "a\nb\nc\n"), 0);
	expect_line(conn, "a");
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "d\n"), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "e\n"), 0);
	expect_line(conn, "d");
	expect_end(conn);
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	expect_line(conn, "e");
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);

	/* Larger than what a stream reads at once. */
	memset(big, 'x', sizeof(big));
	ck_assert_int_eq(sks_write(conn->wfile, big, sizeof(big)), 0);
	ck_assert_int_eq(sks_readn(conn->rfile, got, sizeof(got)), sizeof(got));
	ck_assert_mem_eq(got, big, sizeof(big));
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	ck_assert_int_eq(sks_write(conn->wfile, big, sizeof(big)), 0);
	ck_assert_int_eq(sks_read(conn->rfile, got, sizeof(got)), sizeof(got));
	ck_assert_int_eq(sks_read(conn->rfile, got, sizeof(got)), 0);
	ck_assert_int_eq(sks_client_close(conn), 0);
}

TEST(a_flush_is_a_datagram_and_a_read_takes_one, TIMES(4))
{
	char address[200];
	struct acc acc;

	serve_datagrams(&acc, address, _i / 2, &(struct sks_handler){ .handle = echo_all });
	rig_run_on(_i % 2, exchange_datagrams, address);
	acc_free(&acc);
}

static void
send_too_much(void *arg)
{
	static char block[300000];
	struct sks_client *conn = connected(arg);
	size_t largest = 65507;
	int size;

	if (strncmp(arg, "unix", 4) == 0) {
		ck_assert_int_eq(sks_socket_get_option(conn->socket, SOL_SOCKET, SO_SNDBUF, &size), 0);
		largest = (size_t)size - 32;
		ck_assert_uint_lt(largest, sizeof(block));
	}
	ck_fails(sks_write(conn->wfile, block, largest + 1), EMSGSIZE);
	ck_assert_int_eq(sks_puts(conn->wfile, "kept\n"), 0);
	ck_fails(sks_write(conn->wfile, block, largest - 4), EMSGSIZE);
	ck_fails(sks_printf(conn->wfile, "%*d", (int)largest, 1), EMSGSIZE);
	expect_line(conn, "kept");
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	/* As large as can be is not too large. (The server does not take it all.) */
	ck_assert_int_eq(sks_write(conn->wfile, block, largest), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(sks_client_close(conn), 0);
}

static int
answer_short(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	return line == NULL ? -1 : sks_printf(req->wfile, "%s\n", line);
}

TEST(a_datagram_that_is_too_large_is_emsgsize, TIMES(4))
{
	char address[200];
	struct acc acc;

	serve_datagrams(&acc, address, _i / 2, &(struct sks_handler){ .handle = answer_short });
	rig_run_on(_i % 2, send_too_much, address);
	acc_free(&acc);
}

/* A port that nobody has, until somebody does. */
TEST_ON_BOTH(a_refused_datagram_breaks_nothing)
{
	struct sockaddr_storage addr;
	struct sks_socket *server = sks_socket_new(AF_INET, SOCK_DGRAM, 0);
	struct sks_client *conn;
	socklen_t len = sizeof(addr);
	char address[100] = "udp:", buf[16];
	int i;

	ck_assert_int_eq(sks_address_parse("127.0.0.1:0", &addr, &len), 0);
	ck_assert_int_eq(sks_socket_bind(server, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_socket_getsockname(server, (struct sockaddr *)&addr, &len), 0);
	sks_address_format((struct sockaddr *)&addr, len, address + 4, sizeof(address) - 4);
	sks_socket_free(server);
	conn = connected(address);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sks_puts(conn->wfile, "anybody?\n"), 0);
		ck_assert_ptr_null(sks_gets(conn->rfile));
		ck_assert_int_eq(errno, ECONNREFUSED);
	}
	/* Told by a flush: the datagram that met it is dropped, and the next goes alone. */
	ck_assert_int_eq(sks_puts(conn->wfile, "anybody?\n"), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "dropped\n"), 0);
	ck_fails(sks_flush(conn->wfile), ECONNREFUSED);

	server = sks_socket_new(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(sks_socket_bind(server, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_puts(conn->wfile, "now?\n"), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(sks_wfile_error(conn->wfile), 0);
	ck_assert_int_eq(sks_socket_recvfrom(server, buf, sizeof(buf), 0, (struct sockaddr *)&addr,
	    &len, NULL), 5);
	ck_assert_mem_eq(buf, "now?\n", 5);
	/* An empty answer is an end at once. */
	ck_assert_int_eq(sks_socket_sendto(server, "", 0, 0, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_socket_sendto(server, "yes\n", 4, 0, (struct sockaddr *)&addr, len), 4);
	expect_end(conn);
	ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	expect_line(conn, "yes");
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(server);
}

/* A flush by a wait has nobody to tell; the read that waits tells. */
TEST_ON_BOTH(a_lost_datagram_is_told_once)
{
	struct sks_socket *pair[2];
	struct sks_client *conn;

	ck_assert_int_eq(sks_socket_pair(SOCK_DGRAM, pair), 0);
	sks_socket_settimeout(pair[0], 20);
	conn = sks_socket_makefile(pair[0], "rw");
	sks_fault("send:EMSGSIZE");
	ck_assert_int_eq(sks_puts(conn->wfile, "x"), 0);
	ck_assert_ptr_null(sks_gets(conn->rfile));
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_ptr_null(sks_gets(conn->rfile));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_puts(conn->wfile, "y"), 0);
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[0]);
	sks_fault_clear();
	conn = sks_socket_makefile(pair[1], "r");
	expect_line(conn, "y");
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[1]);
}

struct shared {
	char address[200];
	struct sks_client *conn;
};

static void
wait_for_an_answer(void *arg)
{
	struct shared *s = arg;

	s->conn = connected(s->address);
	expect_line(s->conn, "late");
	ck_assert_int_eq(sks_next_datagram(s->conn->rfile), 0);
	ck_assert_int_eq(sks_client_close(s->conn), 0);
}

static void
ask_for_next_meanwhile(void *arg)
{
	struct shared *s = arg;

	while (s->conn == NULL)
		sks_yield();
	ck_fails(sks_next_datagram(s->conn->rfile), EBUSY);
	ck_assert_int_eq(sks_puts(s->conn->wfile, "late\n"), 0);
	ck_assert_int_eq(sks_flush(s->conn->wfile), 0);
}

TEST(a_datagram_is_not_passed_over_while_another_task_reads, TIMES(2))
{
	struct shared s = { .conn = NULL };
	struct rig_loop rig;
	struct acc acc;

	serve_datagrams(&acc, s.address, _i, &(struct sks_handler){ .handle = echo_all });
	rig_loop_open(&rig);
	rig_go(&rig, wait_for_an_answer, &s);
	rig_go(&rig, ask_for_next_meanwhile, &s);
	rig_run(&rig);
	rig_loop_close(&rig);
	acc_free(&acc);
}

static int
ask_for_next(struct sks_request *req)
{
	ck_assert_int_eq(sks_next_datagram(req->rfile), -1);
	return errno == EINVAL ? sks_puts(req->wfile, "EINVAL\n") : -1;
}

TEST(only_datagrams_of_clients_have_a_next, TIMES(4))
{
	struct acc acc;

	acc_all(&acc, _i, &(struct sks_handler){ .handle = ask_for_next }, NULL);
	acc_start(&acc);
	acc_ask(&acc, "x\n", "EINVAL\n");
	acc_free(&acc);
}
