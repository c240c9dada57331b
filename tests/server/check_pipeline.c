/* SPDX-License-Identifier: MIT */
/*
 * check_pipeline.c - a client that sends a pipeline whole and reads afterwards, as hiredis and
 * redis-py do, has all of its answers from a handler that answers as it reads.
 */
#include "acceptance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

#define LINES 768
#define FEW 300    /* a client of the library reads their answers ahead */
#define LINE 1024  /* the client sends LINES of them */

/* Twice as much as was sent, so that no buffer in between is large enough. */
static int
answer(struct sks_request *req, const char *line, size_t n)
{
	return sks_write(req->wfile, line, n) == -1 || sks_write(req->wfile, line, n) == -1 ? -1 : 0;
}

static int
answer_all(struct sks_request *req)
{
	char *line;
	ssize_t n;

	while ((n = sks_readline(req->rfile, &line)) > 0)
		if (answer(req, line, (size_t)n) == -1)
			return -1;
	return sks_end(req->rfile);
}

static int
answer_one(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return sks_end(req->rfile);
	return answer(req, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

/* -- one task reads, another one answers -- */

struct pair {
	struct sks_request *req;
	struct sks_channel *lines;
};

static int
read_for_another(void *arg)
{
	struct pair *pair = arg;
	char *line, copy[LINE];
	ssize_t n;

	while ((n = sks_readline(pair->req->rfile, &line)) == LINE) {
		memcpy(copy, line, LINE);
		if (sks_channel_send(pair->lines, copy) == -1)
			return -1;
	}
	sks_channel_close(pair->lines);
	return (int)n;
}

static int
answer_from_another(struct sks_request *req)
{
	struct pair pair = { req, sks_channel_new(LINE, 1) };
	struct sks_child *child = sks_go(read_for_another, &pair);
	char line[LINE];
	int rc = -1, failed = 0;

	acc_require(child != NULL);
	while (!failed && sks_channel_recv(pair.lines, line) == 1)
		failed = answer(req, line, LINE);
	if (failed)
		sks_child_cancel(child);
	acc_require(sks_child_join(child, &rc) == 0);
	sks_channel_free(pair.lines);
	return failed ? -1 : rc;
}

/* -- the client -- */

/* Where both sides wait for each other this is when it ends. */
static const struct sks_options limited = { .timeout_ms = 5000 };

static void
make_line(char *line, int i)
{
	memset(line, 'a' + i % 26, LINE - 1);
	snprintf(line, 8, "%07d", i);
	line[7] = ' ';
	line[LINE - 1] = '\n';
}

static void
send_pipeline(int fd, int lines)
{
	char line[LINE];
	int i;

	for (i = 0; i < lines; i++) {
		make_line(line, i);
		peer_send(fd, line, LINE);
	}
}

static void
expect_answers(int fd)
{
	char line[LINE];
	int i;

	for (i = 0; i < LINES; i++) {
		make_line(line, i);
		peer_expect_bytes(fd, line, LINE);
		peer_expect_bytes(fd, line, LINE);
	}
}

static void
talk(const struct sks_handler *handler, int i)
{
	struct acc acc;
	int fd;

	acc_tcp(&acc, i, handler, &limited);
	acc_start(&acc);
	fd = acc_client(&acc);
	acc_make_small(fd);
	send_pipeline(fd, LINES);
	peer_half_close(fd);
	expect_answers(fd);
	peer_expect_eof(fd);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

TEST(a_pipeline_is_sent_before_its_answers_are_read, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = acc_setup_small, .handle = answer_all };

	talk(&handler, _i);
}

TEST(a_pipeline_is_answered_in_many_exchanges, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = acc_setup_small, .handle = answer_one };

	talk(&handler, _i);
}

TEST(a_pipeline_is_read_by_one_task_and_answered_by_another, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = acc_setup_small, .handle = answer_from_another };

	talk(&handler, _i);
}

/* What it has written is left to the loop, or to its process. */
static int
answer_and_go(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) != LINE)
		return -1;
	return sks_write(req->wfile, line, LINE) == -1 ||
	    sks_post(req, line, LINE) == -1 ? errno == ENOTSUP ? SKS_DONE : -1 : SKS_DONE;
}

static void
fill_socket(int fd)
{
	static const char block[ACC_SMALL];

	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
}

static int
set_up_full(struct sks_request *req)
{
	acc_make_small(req->fd);
	fill_socket(req->fd);
	return 0;
}

/*
 * The handler is through after one line; its answer goes when the client has sent all. It is a
 * Unix socket because one of TCP that is full can have room again later.
 */
TEST(an_answer_waits_for_a_client_that_still_sends, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = set_up_full, .handle = answer_and_go };
	char line[LINE], *all;
	struct acc acc;
	size_t n;
	int fd;

	acc_streams(&acc, 2 * _i + 1, &handler, &limited);
	ck_assert_int_eq(acc.transport, ACC_UNIX);
	acc_start(&acc);
	fd = acc_client(&acc);
	send_pipeline(fd, LINES);
	peer_half_close(fd);
	all = peer_read_all(fd, &n);
	make_line(line, 0);
	ck_assert_uint_gt(n, LINE);
	ck_assert_mem_eq(all + n - LINE, line, LINE);
	free(all);
	close(fd);
	acc_free(&acc);
}

/*
 * The peer sends more than the server takes, so the server says why it waits. The log of a child
 * process cannot be kept.
 */
TEST(more_than_max_input_waits_and_is_told, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .name = "echo", .setup = acc_setup_small,
		.handle = answer_all };
	struct sks_options options = { .max_input = 16384 };
	char line[128], text[LINE];
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	acc_make_small(fd);
	getsockname(fd, (struct sockaddr *)&own, &len);
	snprintf(line, sizeof(line), "echo: 127.0.0.1:%d: sends and does not read: max_input (16384",
	    ntohs(own.sin_port));
	make_line(text, 1);
	while (log_count(line) == 0)
		if (send(fd, text, LINE, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			breathe();
	ck_assert_int_eq(log_count(line), 1);
	close(fd);
	acc_free(&acc);
}

/* -- clients of the library -- */

/* A server that reads nothing while it writes. */
static int
answer_without_reading(struct sks_request *req)
{
	sks_rfile_set_max_input(req->rfile, 0);
	return answer_all(req);
}

static void
send_and_then_read(void *unused)
{
	struct sks_client *client = unused;
	char line[LINE], *got;
	int i;

	for (i = 0; i < FEW; i++) {
		make_line(line, i);
		ck_assert_int_eq(sks_write(client->wfile, line, LINE), 0);
	}
	for (i = 0; i < 2 * FEW; i++) {
		make_line(line, i / 2);
		ck_assert_int_eq(sks_readline(client->rfile, &got), LINE);
		ck_assert_mem_eq(got, line, LINE);
	}
}

TEST(a_client_may_send_all_before_it_reads)
{
	static const struct sks_handler handler = { .setup = acc_setup_small,
		.handle = answer_without_reading };
	struct sks_client *client;
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &handler, &limited);
	acc_start(&acc);
	client = sks_connect(acc.address, 30000);
	ck_assert_ptr_nonnull(client);
	acc_make_small(sks_socket_fileno(client->socket));
	send_and_then_read(client);
	ck_assert_int_eq(sks_client_close(client), 0);
	acc_free(&acc);
}
