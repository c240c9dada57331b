/* SPDX-License-Identifier: MIT */
/*
 * check_request.c - what a handler may rely on: the order of setup, handle and finish, its state,
 * client_first, and how a connection ends.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* -- order and counts -- */

static int
say_setup(struct sks_request *req)
{
	acc_setup_counted(req);
	return sks_puts(req->wfile, "setup ");
}

static int
say_handle(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	return sks_puts(req->wfile, "handle ");
}

TEST(runs_setup_handle_and_finish_in_order, EACH_TRANSPORT)
{
	static const struct sks_handler handler = {
		.setup = say_setup, .handle = say_handle, .finish = acc_finish_bye };
	struct acc acc;

	acc_all(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", "setup handle bye\n");
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

static int
fail_setup(struct sks_request *req)
{
	acc_setup_counted(req);
	sks_puts(req->wfile, "no\n");
	errno = EACCES;
	return -1;
}

/* Python: setup failing means that neither handle nor finish is called. */
TEST(failing_setup_is_the_end, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct sks_handler handler = acc_script;
	struct acc acc;

	handler.setup = fail_setup;
	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\n", "no\n"); /* what it wrote arrives nevertheless */
	acc_stop(&acc);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_int_eq(seen->finishes, 0);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EACCES);
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	acc_free(&acc);
}

static void
apologise(struct sks_request *req, int error)
{
	acc_on_error(req, error);
	sks_puts(req->wfile, "sorry\n");
}

TEST(finish_runs_once_after_an_error_which_may_write, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = apologise };
	struct sks_handler handler = acc_script;
	struct acc acc;

	handler.finish = acc_finish_bye;
	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	acc_ask(&acc, "f\n", "sorry\nbye\n");
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(seen->errors, 1);
}

TEST(finish_runs_once_after_a_reset, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n"); /* now it is in its handler */
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, ECONNRESET);
	/* And between exchanges, where no handler is there to see it. */
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).finished == 2);
	ck_assert_int_eq(seen->finishes, 2);
	ck_assert_int_eq(seen->handles, 2);
	ck_assert_int_eq(seen->errors, 1);
	acc_free(&acc);
}

TEST(reset_before_it_is_accepted_harms_nobody, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	fd = acc_client(&acc);
	peer_reset(fd);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(&acc).finished + acc_stats(&acc).refused == 2);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 2);
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, seen->finishes);
	ck_assert_int_eq(seen->errors, 0);
	ck_assert_int_eq(log_lines(), 0);
}

static int
greet_and_echo(struct sks_request *req)
{
	const char *line;

	if (sks_puts(req->wfile, "hello\n") == -1)
		return -1;
	while ((line = sks_gets(req->rfile)) != NULL)
		if (sks_printf(req->wfile, "%s\n", line) == -1)
			return -1;
	return errno == 0 ? SKS_DONE : -1;
}

/* A health check: it connects and resets, before or after the greeting. */
TEST(a_reset_before_the_first_byte_is_no_error, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = greet_and_echo };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	fd = acc_client(&acc);
	peer_reset(fd);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "hello\n");
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).finished + acc_stats(&acc).refused == 2);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "byte\n");
	peer_expect(fd, "hello\nbyte\n");
	peer_reset(fd);
	ck_eventually(log_count("handler: 127.0.0.1") == 1); /* it is counted, then logged */
	ck_eventually(acc_stats(&acc).failed == 1);
	acc_free(&acc);
}

TEST(a_reset_before_the_first_byte_does_not_call_on_error, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = greet_and_echo };
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, &options);
	peer_reset(acc_client(&acc));
	acc_start(&acc);
	ck_eventually(acc_stats(&acc).finished + acc_stats(&acc).refused == 1);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

static int
return_42(struct sks_request *req)
{
	sks_puts(req->wfile, "42\n");
	return 42;
}

TEST(any_other_value_is_done, EACH_TRANSPORT)
{
	static const struct sks_handler handler = { .handle = return_42, .finish = acc_finish };
	struct acc acc;

	acc_all(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", "42\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

/* -- what it gets -- */

struct state {
	char zero[1000];
	long calls;
};

static int
soil_state(struct sks_request *req)
{
	struct state *state = req->state;
	size_t i;

	if (state->calls++ == 0) {
		for (i = 0; i < sizeof(state->zero); i++)
			if (state->zero[i] != 0)
				sks_puts(req->wfile, "dirty ");
		if ((uintptr_t)state % _Alignof(max_align_t) != 0)
			sks_puts(req->wfile, "crooked ");
	}
	memset(state->zero, 0xff, sizeof(state->zero));
	sks_printf(req->wfile, "%ld %s\n", state->calls,
	    req->data == seen ? "data" : "no data");
	return SKS_DONE;
}

TEST(state_is_zeroed_and_data_is_there, EACH_TRANSPORT)
{
	static const struct sks_handler handler = {
		.handle = soil_state, .state_size = sizeof(struct state) };
	struct sks_options options = { .data = seen };
	struct acc acc;
	int i;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	for (i = 0; i < 20; i++)
		acc_ask(&acc, "\n", "1 data\n");
	acc_free(&acc);
}

static int
describe(struct sks_request *req)
{
	sks_printf(req->wfile, "%d %d %d\n", sks_is_datagram(req), sks_is_truncated(req),
	    req->server != NULL);
	return SKS_DONE;
}

TEST(knows_what_it_is, EACH_TRANSPORT)
{
	static const struct sks_handler handler = { .handle = describe };
	struct acc acc;

	acc_all(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", acc_is_stream(&acc) ? "0 0 1\n" : "1 0 1\n");
	acc_free(&acc);
}

/* -- client_first -- */

TEST(silent_clients_of_client_first_never_run_setup, EACH_STREAM)
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int silent[50], i;

	handler.client_first = 1;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (i = 0; i < 50; i++)
		silent[i] = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 50);
	acc_ask(&acc, "echo\nd\n", "echo\n"); /* as if they were not there, in each mode */
	ck_assert_int_eq(seen->setups, 1);
	peer_puts(silent[0], "echo\nd\n");
	peer_expect(silent[0], "echo\n");
	peer_expect_eof(silent[0]);
	ck_assert_int_eq(seen->setups, 2);
	for (i = 1; i < 25; i++)
		close(silent[i]);
	ck_eventually(acc_stats(&acc).parked == 25);
	sks_server_shutdown(acc.server);
	for (i = 25; i < 50; i++)
		peer_expect_eof(silent[i]);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->setups, 2);
	ck_assert_int_eq(seen->finishes, 2);
	ck_assert_uint_eq(acc_stats(&acc).refused, 49);
	acc_free(&acc);
}

/* -- the peer's way to the end -- */

#define PIECES 100

/* Answers when it has seen the end, behind a line that has none. */
static int
answer_behind_the_end(struct sks_request *req)
{
	static const char piece[5000];
	char *line;
	int i;

	acc_require(sks_readline(req->rfile, &line) == 6 && memcmp(line, "whole\n", 6) == 0);
	acc_require(sks_readline(req->rfile, &line) == 4 && memcmp(line, "part", 4) == 0);
	acc_require(sks_readline(req->rfile, &line) == 0 && sks_end(req->rfile) == SKS_DONE);
	for (i = 0; i < PIECES; i++)
		if (sks_write(req->wfile, piece, sizeof(piece)) == -1)
			return -1;
	return SKS_DONE;
}

TEST(half_closed_client_gets_its_reply, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = answer_behind_the_end };
	struct acc acc;
	char *all;
	size_t n;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "whole\npart");
	peer_half_close(fd);
	all = peer_read_all(fd, &n);
	ck_assert_uint_eq(n, PIECES * 5000);
	free(all);
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

/* A plain close would answer unread input with a reset, which overtakes the reply. */
TEST(reply_arrives_although_input_is_unread, EACH_STREAM)
{
	static char much[60000];
	struct acc acc;
	int fd;

	memset(much, 'x', sizeof(much));
	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	peer_send(fd, much, sizeof(much));
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* -- without a server -- */

/* Whatever it was that lacked: the request is none the worse for having waited for it. */
TEST(one_that_runs_at_the_third_try_ends_like_any_other, EACH_TRANSPORT)
{
	static const char *const lack[] = {
		[SKS_FIBERS] = "mmap:ENOMEM",
		[SKS_SERIAL] = "mmap:ENOMEM",
		[SKS_THREADS] = "pthread_create:EAGAIN",
		[SKS_PROCESSES] = "fork:EAGAIN",
	};
	const struct sks_handler handler = { .handle = acc_echo_line };
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	unsigned long k, uses;
	char rule[40];

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	sks_fault_clear();
	/* Memory for stacks is asked for in three sizes at each try. */
	uses = acc.mode->mode == SKS_FIBERS || acc.mode->mode == SKS_SERIAL ? 6 : 2;
	for (k = 1; k <= uses; k++) {
		snprintf(rule, sizeof(rule), "%s:%lu", lack[acc.mode->mode], k);
		ck_assert_int_eq(sks_fault(rule), 0);
	}
	acc_ask(&acc, "late\n", "late\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_eq(sks_fault_hits(), uses);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_uint_eq(acc_stats(&acc).refused, 0);
	ck_assert_uint_eq(acc_stats(&acc).dropped, 0);
	ck_assert_int_eq(log_count("cannot run"), 0);
	acc_free(&acc);
}
