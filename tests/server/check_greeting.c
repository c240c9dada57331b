/* SPDX-License-Identifier: MIT */
/*
 * check_greeting.c - SKS_KEEP from setup: what it wrote is sent, and the connection is parked
 * until its client speaks.
 */
#include "acceptance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* A limit of setup is over with setup: else the first read of handle could not wait. */
static int
greet(struct sks_request *req)
{
	acc_setup_counted(req);
	sks_puts(req->wfile, "220 hi\n");
	acc_require(sks_deadline(req, 0) == 0);
	return SKS_KEEP;
}

static int
answer(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	return acc_echo_keep(req);
}

static const struct sks_handler greeter = {
	.name = "greeter",
	.setup = greet,
	.handle = answer,
	.finish = acc_finish_bye,
};

/* Connects a client that has been greeted, and is parked where the mode counts that. */
static int
greeted(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	int fd;

	acc_streams(acc, i, handler, options);
	acc_start(acc);
	fd = acc_client(acc);
	peer_expect(fd, "220 hi\n");
	if (acc->mode->one_memory)
		ck_eventually(acc_stats(acc).parked == 1 && acc_stats(acc).active == 0);
	return fd;
}

TEST(a_greeted_client_is_parked_and_then_served, EACH_STREAM)
{
	struct acc acc;
	int fd = greeted(&acc, _i, &greeter, NULL);

	peer_puts(fd, "one");
	peer_puts(fd, "\ntwo\nthree\n");
	peer_expect(fd, "one\ntwo\nthree\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(a_client_that_goes_without_a_word_is_finished, EACH_STREAM)
{
	struct acc acc;
	int fd = greeted(&acc, _i, &greeter, NULL);

	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(a_silent_client_ends_after_idle_ms, EACH_STREAM)
{
	struct sks_options options = { .idle_ms = 50 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &greeter, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "220 hi\nbye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(a_shutdown_ends_a_greeted_client, EACH_STREAM)
{
	struct acc acc;
	int fd = greeted(&acc, _i, &greeter, NULL);

	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 0);
}

/* It has spoken before it was greeted: nothing of that is lost, also what setup has looked at. */
static int
look_and_greet(struct sks_request *req)
{
	char *bytes;

	if (sks_peek(req->rfile, 1, &bytes) == -1)
		return -1;
	return greet(req);
}

TEST(what_a_client_said_before_is_not_lost, EACH_STREAM)
{
	struct sks_handler handler = greeter;
	struct acc acc;
	int fd;

	if (_i % 2 == 0)
		handler.setup = look_and_greet;
	else
		handler.client_first = 1;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "one\ntwo\n");
	peer_half_close(fd);
	peer_expect(fd, "220 hi\none\ntwo\nbye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* More than the socket takes at once: the loop sends the rest of it. */
static int
greet_at_length(struct sks_request *req)
{
	static char text[60000];
	int small = 1;

	setsockopt(req->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	memset(text, 'g', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	return sks_write(req->wfile, text, sizeof(text)) == 0 ? SKS_KEEP : -1;
}

TEST(a_long_greeting_arrives, EACH_STREAM)
{
	struct sks_handler handler = greeter;
	struct acc acc;
	char *all;
	size_t n;
	int fd;

	handler.setup = greet_at_length;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "one\n");
	peer_half_close(fd);
	all = peer_read_all(fd, &n);
	ck_assert_uint_eq(n, 60008);
	ck_assert_str_eq(all + 60000, "one\nbye\n");
	free(all);
	close(fd);
	acc_free(&acc);
}

TEST(a_reset_after_the_greeting_is_no_failure, EACH_MODE)
{
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &greeter, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "220 hi\n");
	peer_reset(fd);
	ck_eventually(atomic_load(&seen->finishes) == 1);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(a_datagram_is_handled_at_once, EACH_DATAGRAM)
{
	struct acc acc;

	acc_datagrams(&acc, _i, &greeter, NULL);
	acc_start(&acc);
	acc_ask(&acc, "one\ntwo\n", "220 hi\none\nbye\n");
	acc_stop(&acc);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(greets_without_a_server)
{
	char *out;

	ck_assert_int_eq(sks_handle_bytes(&greeter, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "220 hi\nbye\n");
	free(out);
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_int_eq(sks_handle_bytes(&greeter, "a\nb\n", 4, &out, NULL), 0);
	ck_assert_str_eq(out, "220 hi\na\nb\nbye\n");
	free(out);
	ck_assert_int_eq(sks_handle_datagram(&greeter, NULL, NULL, "a\nb\n", 4, &out, NULL), 0);
	ck_assert_str_eq(out, "220 hi\na\nbye\n");
	free(out);
}

static void *
serve_fd(void *arg)
{
	ck_assert_int_eq(sks_serve_fd(*(int *)arg, &greeter, NULL), 0);
	return NULL;
}

TEST(greets_a_connection_that_somebody_else_accepted)
{
	pthread_t thread;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve_fd, &fds[0]), 0);
	peer_expect(fds[1], "220 hi\n");
	peer_puts(fds[1], "one\n");
	peer_expect(fds[1], "one\n");
	peer_half_close(fds[1]);
	peer_expect(fds[1], "bye\n");
	peer_expect_eof(fds[1]);
	pthread_join(thread, NULL);
}
