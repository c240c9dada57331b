/* SPDX-License-Identifier: MIT */
/*
 * check_end_reason.c - finish learns why its request ends, in each mode the same.
 */
#include "ending.h"

#include <errno.h>

FIXTURE(ending_setup, ending_teardown);

static struct sks_handler
script(void)
{
	struct sks_handler handler = acc_script;

	handler.finish = ending_finish;
	return handler;
}

/* A server whose client has said `text` and has read what comes back, "" for nothing. */
static int
begin(struct acc *acc, int mode, const struct sks_options *options, const char *text,
    const char *answer)
{
	struct sks_handler handler = script();
	struct sks_options o = ending_options(options);
	int fd;

	acc_serve(acc, mode, &handler, &o);
	fd = acc_client(acc);
	peer_puts(fd, text);
	peer_expect(fd, answer);
	return fd;
}

static void
await_parked(struct acc *acc)
{
	ck_eventually(acc_has_parked(acc, 1));
}

TEST(done, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nd\n", "echo\n");

	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

/* Also where the client has closed its side, but the handler has not read so far. */
TEST(done_with_input_left, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nd\nmore\n", "echo\n");

	peer_half_close(fd);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

TEST(closed_by_the_peer, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\n", "echo\n");

	peer_half_close(fd);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_CLOSED);
	acc_free(&acc);
}

TEST(closed_by_the_peer_while_parked, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	peer_half_close(fd);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_CLOSED);
	acc_free(&acc);
}

TEST(idle_in_a_read, EACH_MODE)
{
	struct sks_options options = { .idle_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "", "");

	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_IDLE);
	acc_free(&acc);
}

TEST(idle_while_parked, EACH_MODE)
{
	struct sks_options options = { .idle_ms = 200 };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "k\n", "");

	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_IDLE);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

TEST(a_slow_line, EACH_MODE)
{
	struct sks_options options = { .timeout_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "half a line", "");

	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_TIMEOUT);
	acc_free(&acc);
}

TEST(a_deadline, EACH_MODE)
{
	struct sks_options options = { .deadline_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "", "");

	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_DEADLINE);
	acc_free(&acc);
}

TEST(a_reset, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;

	peer_reset(begin(&acc, _i, &options, "echo\n", "echo\n"));
	ending_expect(SKS_ENDED_RESET);
	acc_free(&acc);
}

TEST(a_reset_while_parked, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	peer_reset(fd);
	ending_expect(SKS_ENDED_RESET);
	acc_free(&acc);
}

static int
abort_it(struct sks_request *req)
{
	return sks_abort(req);
}

TEST(a_reset_by_the_handler, EACH_MODE)
{
	const struct sks_handler handler = { .handle = abort_it, .finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &o);
	fd = acc_client(&acc);
	ending_expect(SKS_ENDED_RESET);
	close(fd);
	acc_free(&acc);
}

TEST(drained, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_DRAIN);
	acc_join(&acc);
	acc_free(&acc);
}

/* It ends by itself, though it has learned that the server stops. */
TEST(done_while_the_server_drains, EACH_MODE)
{
	char answer[sizeof("draining 1\n") - 1]; /* or 0 */
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "sd\nq\n", "");

	ck_eventually(!sks_server_is_ready(acc.server));
	peer_puts(fd, "d\n");
	ck_assert_uint_eq(peer_receive(fd, answer, sizeof(answer)), sizeof(answer));
	peer_expect_eof(fd);
	acc_join(&acc);
	ending_expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

TEST(cancelled, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "w\n", "waiting\n");

	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_CANCELLED);
	acc_join(&acc);
	acc_free(&acc);
}

TEST(cancelled_in_a_read, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "echo\n", "echo\n");

	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_CANCELLED);
	acc_join(&acc);
	acc_free(&acc);
}

TEST(an_error, EACH_TRANSPORT)
{
	struct sks_options options = ending_options(&(struct sks_options){ .on_error = acc_on_error });
	struct sks_handler handler = script();
	struct acc acc;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nf\n", "echo\n");
	ending_expect(SKS_ENDED_ERROR);
	acc_free(&acc);
}

static int
fail_as_if_reset(struct sks_request *req)
{
	(void)req;
	errno = ECONNRESET;
	return -1;
}

/* The reset is that of another connection of the handler. */
TEST(a_reset_of_another_connection_is_an_error, EACH_MODE)
{
	const struct sks_handler handler = { .handle = fail_as_if_reset, .finish = ending_finish };
	struct sks_options options = ending_options(&(struct sks_options){ .on_error = acc_on_error });
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_ERROR);
	acc_free(&acc);
}

static int
look_and_echo(struct sks_request *req)
{
	acc_require(sks_end_reason(req) == SKS_ENDED_NOT);
	return acc_echo_line(req);
}

TEST(a_request_that_goes_on_has_no_reason, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = look_and_echo, .finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;

	acc_all(&acc, _i, &handler, &o);
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	ending_expect(SKS_ENDED_DONE);
	ck_assert_str_eq(sks_end_reason_name(SKS_ENDED_NOT), "-");
	ck_assert_str_eq(sks_end_reason_name(-1), "-");
	ck_assert_str_eq(sks_end_reason_name(99), "-");
	acc_free(&acc);
}

TEST(bytes_in_memory_end_as_closed)
{
	const struct sks_handler handler = { .handle = acc_echo_lines, .finish = ending_finish };

	ck_assert_int_eq(sks_handle_bytes(&handler, "line\n", 5, NULL, NULL), 0);
	ending_expect_finish(SKS_ENDED_CLOSED);
}
