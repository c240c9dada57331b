/* SPDX-License-Identifier: MIT */
/*
 * check_makefile.c - the streams of clients: of sks_connect() and of sks_socket_makefile(); in a
 * thread and on a fiber.
 */
#include "acceptance.h"
#include "base/sys.h"
#include "base/util.h"
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

/* -- makefile -- */

TEST_ON_BOTH(streams_and_socket_end_in_any_order)
{
	struct sks_socket *pair[2];
	struct sks_client *r, *w, *rw;
	char byte;
	int fd;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	r = sks_socket_makefile(pair[0], "r");
	w = sks_socket_makefile(pair[0], "w");
	rw = sks_socket_makefile(pair[1], "rw");
	ck_assert(r != NULL && w != NULL && rw != NULL);
	ck_assert(r->rfile != NULL && r->wfile == NULL && r->socket == pair[0]);
	ck_assert(w->rfile == NULL && w->wfile != NULL);
	ck_assert_int_eq(sks_puts(w->wfile, "there\n"), 0);
	ck_assert_int_eq(sks_flush(w->wfile), 0);
	expect_line(rw, "there");
	ck_assert_int_eq(sks_printf(rw->wfile, "and %s\n", "back"), 0);
	ck_assert_int_eq(sks_flush(rw->wfile), 0);
	expect_line(r, "and back");

	/* Closed for its owner; the streams go on, and the last closes it. */
	fd = sks_socket_fileno(pair[0]);
	ck_fails(sks_socket_detach(pair[0]), EBUSY);
	ck_assert_int_eq(sks_socket_close(pair[0]), 0);
	ck_fails(sks_socket_send(pair[0], "x", 1, 0), EBADF);
	ck_assert_int_eq(sks_puts(w->wfile, "still here\n"), 0);
	ck_assert_int_eq(sks_client_close(w), 0); /* which flushes */
	expect_line(rw, "still here");
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(sks_client_close(r), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	expect_end(rw);
	sks_socket_free(pair[0]);

	/* And the other way: the socket outlives its streams. */
	ck_assert_int_eq(sks_client_close(rw), 0);
	ck_assert_int_eq(sks_socket_recv(pair[1], &byte, 1, 0), 0);
	sks_socket_free(pair[1]);
	ck_assert_int_eq(sks_client_close(NULL), 0);
}

TEST_ON_BOTH(a_freed_socket_lives_as_long_as_its_streams)
{
	struct sks_socket *pair[2];
	struct sks_client *conn;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	conn = sks_socket_makefile(pair[0], "rw");
	sks_socket_free(pair[0]);
	ck_assert_int_eq(sks_socket_send(pair[1], "x\n", 2, 0), 2);
	expect_line(conn, "x");
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[1]);
}

static void *
close_client(void *client)
{
	ck_assert_int_eq(sks_client_close(client), 0);
	return NULL;
}

/* Each of two threads ends its own; the last one frees the memory. */
TEST(a_socket_and_its_streams_may_end_at_the_same_time, TIMES(2))
{
	struct sks_socket *pair[2];
	pthread_t thread;
	int i;

	for (i = 0; i < 200; i++) {
		struct sks_client *client;

		ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
		client = sks_socket_makefile(pair[0], "rw");
		if (_i == 1)
			ck_assert_int_eq(sks_socket_close(pair[0]), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, close_client, client), 0);
		sks_socket_free(pair[0]);
		sks_socket_free(pair[1]);
		pthread_join(thread, NULL);
	}
}

TEST(modes_and_sockets_that_make_no_files)
{
	static const char *const modes[] = { "", "wr", "rwr", "rb", "x", "w+" };
	struct sks_socket *pair[2];
	size_t i;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	for (i = 0; i < SKS_ARRAY_LEN(modes); i++) {
		errno = 0;
		ck_assert_ptr_null(sks_socket_makefile(pair[0], modes[i]));
		ck_assert_int_eq(errno, EINVAL);
	}
	sks_fault("malloc:ENOMEM");
	ck_assert_ptr_null(sks_socket_makefile(pair[0], "rw"));
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
	ck_assert_int_eq(sks_socket_pair(SOCK_SEQPACKET, pair), 0);
	ck_assert_ptr_null(sks_socket_makefile(pair[0], "rw"));
	ck_assert_int_eq(errno, EINVAL);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

TEST_ON_BOTH(closing_tells_what_lost_output)
{
	static char block[200000];
	struct sks_socket *pair[2];
	struct sks_client *conn;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	conn = sks_socket_makefile(pair[0], "w");
	ck_assert_int_eq(sks_puts(conn->wfile, "lost"), 0);
	sks_socket_free(pair[1]);
	ck_fails(sks_client_close(conn), EPIPE);
	sks_socket_free(pair[0]);

	/* Nobody reads: close waits no longer than the time limit. */
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	sks_socket_settimeout(pair[0], 0);
	while (sks_socket_send(pair[0], block, sizeof(block), 0) > 0)
		;
	sks_socket_settimeout(pair[0], 20);
	conn = sks_socket_makefile(pair[0], "rw");
	ck_assert_int_eq(sks_puts(conn->wfile, "lost"), 0);
	ck_fails(sks_client_close(conn), ETIMEDOUT);
	conn = sks_socket_makefile(pair[0], "rw");
	ck_assert_ptr_null(sks_gets(conn->rfile));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

static void
read_a_line(void *arg)
{
	struct sks_client *conn = arg;

	ck_assert_ptr_null(sks_gets(conn->rfile));
	ck_assert_int_eq(errno, 0);
}

static void
close_in_use(void *arg)
{
	struct sks_socket *pair[2];
	struct sks_client *conn;

	(void)arg;
	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	conn = sks_socket_makefile(pair[0], "rw");
	rig_go(rig_here(), read_a_line, conn);
	sks_yield();
	ck_fails(sks_client_close(conn), EBUSY);
	ck_assert_int_eq(sks_socket_shutdown(conn->socket, SHUT_RD), 0);
	while (rig_here()->live > 1)
		sks_yield();
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

TEST(streams_in_use_are_not_closed)
{
	rig_run_on(1, close_in_use, NULL);
}

/* -- both directions at once, from two tasks -- */

#define LINES 20000

static void
write_lines(void *arg)
{
	struct sks_client *conn = arg;
	int i;

	for (i = 0; i < LINES; i++)
		ck_assert_int_eq(sks_printf(conn->wfile, "line %d\n", i), 0);
	ck_assert_int_eq(sks_flush(conn->wfile), 0);
	ck_assert_int_eq(sks_socket_shutdown(conn->socket, SHUT_WR), 0);
}

static void *
write_lines_in_thread(void *arg)
{
	write_lines(arg);
	return NULL;
}

static void
read_lines(struct sks_client *conn)
{
	char text[32];
	int i;

	for (i = 0; i < LINES; i++) {
		snprintf(text, sizeof(text), "line %d", i);
		expect_line(conn, text);
	}
	expect_end(conn);
}

static void
talk_both_ways(void *arg)
{
	struct sks_client *conn = connected(arg);
	pthread_t thread;

	if (rig_here() != NULL) {
		rig_go(rig_here(), write_lines, conn);
		read_lines(conn);
	} else {
		ck_assert_int_eq(pthread_create(&thread, NULL, write_lines_in_thread, conn), 0);
		read_lines(conn);
		pthread_join(thread, NULL);
	}
	ck_assert_int_eq(sks_client_close(conn), 0);
}

static int
echo_all(struct sks_request *req)
{
	return sks_copy(req->rfile, req->wfile, -1);
}

TEST(one_task_writes_while_another_reads, TIMES(4))
{
	struct acc acc;

	acc_streams(&acc, _i / 2, &(struct sks_handler){ .handle = echo_all }, NULL);
	acc_start(&acc);
	rig_run_on(_i % 2, talk_both_ways, acc.address);
	acc_free(&acc);
}

static char upstream[200];

/* -- nuisances -- */

static const char *const nuisances[] = {
	"recv:EINTR:%2,send:EINTR:%2,poll:EINTR:%2",
	"recv:EAGAIN:%2,send:EAGAIN:%2",
	"recv:short=1,send:short=1,sendmsg:short=1",
};

static void
be_pestered(void *arg)
{
	struct sks_client *conn;
	char text[32];
	int i;

	sks_fault(nuisances[*(int *)arg]);
	conn = connected(upstream);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(sks_printf(conn->wfile, "line %d\n", i), 0);
		snprintf(text, sizeof(text), "line %d", i);
		expect_line(conn, text);
	}
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_fault_clear();
}

TEST(interruptions_and_short_counts_change_nothing, TIMES(6))
{
	static const struct sks_handler echo = { .handle = acc_echo_lines };
	int which = _i / 2;
	struct acc back;

	acc_all(&back, 0, &echo, NULL);
	acc_start(&back);
	snprintf(upstream, sizeof(upstream), "%s", back.address);
	rig_run_on(_i % 2, be_pestered, &which);
	acc_free(&back);
}

/* Each allocation of an exchange in turn. Whatever comes of it, nothing leaks. */
static void
exchange_without_memory(void *arg)
{
	int k, good = 0;

	for (k = 1; good < 2; k++) {
		struct sks_client *conn;
		char rule[32], *line = NULL;
		unsigned long hits;

		ck_assert_int_lt(k, 100);
		snprintf(rule, sizeof(rule), "malloc:ENOMEM:%d", k);
		sks_fault(rule);
		conn = sks_connect(arg, 5000);
		if (conn != NULL) {
			if (sks_puts(conn->wfile, "question\n") == 0)
				line = sks_gets(conn->rfile);
			ck_assert(line != NULL || errno == ENOMEM);
			(void)sks_client_close(conn);
		} else
			ck_assert_int_eq(errno, ENOMEM);
		hits = sks_fault_hits();
		sks_fault_clear();
		if (hits == 0) {
			ck_assert_ptr_nonnull(line);
			good++;
		}
	}
}

/* Only this program's side fails: the server is plain. */
static void *
echo_plainly(void *arg)
{
	int listener = *(int *)arg, fd;
	char buf[64];
	ssize_t n;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) != -1) {
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
			(void)!send(fd, buf, (size_t)n, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

TEST(without_memory_a_client_fails_and_leaks_nothing, ON_BOTH)
{
	struct sockaddr_storage addr;
	socklen_t len;
	pthread_t thread;
	char address[160];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(sks_address_parse("127.0.0.1:0", &addr, &len), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	sks_address_format((struct sockaddr *)&addr, len, address, sizeof(address));
	ck_assert_int_eq(pthread_create(&thread, NULL, echo_plainly, &fd), 0);
	rig_run_on(_i, exchange_without_memory, address);
	shutdown(fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(fd);
}

/* As a fiber of a server does, whose streams have their memory from its loop. */
static void
print_nothing(void *client)
{
	sks_task_current()->bufs = &rig_here()->loop->bufs;
	ck_assert_int_eq(sks_printf(((struct sks_client *)client)->wfile, "%s", ""), 0);
}

TEST(a_flush_gives_no_memory_to_another_loop_or_to_one_that_is_gone)
{
	struct sks_client *clients[2];
	struct sks_socket *pair[2];
	struct rig_loop rig;
	size_t idle;
	int i;

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	rig_loop_open(&rig);
	for (i = 0; i < 2; i++) {
		clients[i] = sks_socket_makefile(pair[i], "w");
		ck_assert_ptr_nonnull(clients[i]);
		rig_go(&rig, print_nothing, clients[i]);
	}
	rig_run(&rig);
	idle = sks_buf_pool_idle(&rig.loop->bufs);
	ck_assert_int_eq(sks_flush(clients[0]->wfile), 0);
	ck_assert_uint_eq(sks_buf_pool_idle(&rig.loop->bufs), idle);
	rig_loop_close(&rig);
	ck_assert_int_eq(sks_flush(clients[1]->wfile), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sks_client_close(clients[i]), 0);
		sks_socket_free(pair[i]);
	}
}
