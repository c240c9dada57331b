/* SPDX-License-Identifier: MIT */
/*
 * check_request.c - what a handler may rely on: the order of setup, handle and
 * finish, its state, SKS_KEEP, client_first, and life without a server.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, seen->finishes);
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
	ck_eventually(acc_stats(&acc).failed == 1);
	ck_assert_int_eq(log_count("handler: 127.0.0.1"), 1);
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

/* -- SKS_KEEP -- */

TEST(keep_calls_handle_again_for_more_input, EACH_STREAM)
{
	struct acc acc;
	int fd, i;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	for (i = 1; i <= 5; i++) {
		char text[32];

		peer_puts(fd, "c\nk\n");
		snprintf(text, sizeof(text), "call %d\n", i);
		peer_expect(fd, text);
		ck_eventually(acc_has_parked(&acc, 1));
		ck_assert_uint_eq(acc_stats(&acc).active, !acc.mode->one_memory);
	}
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 6);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(keep_loses_no_pipelined_input, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "c\nk\nc\nk\nc\nk\nc\nd\nlost\n");
	peer_expect(fd, "call 1\ncall 2\ncall 3\ncall 4\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 4);
	ck_assert_int_eq(seen->finishes, 1);
}

/* A line in pieces over an exchange's end. */
TEST(keep_loses_no_half_of_a_line, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "c\nk\nec");
	peer_expect(fd, "call 1\n");
	peer_puts(fd, "ho\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 2);
}

/* A client that pipelines takes turns with the others, also where only one may run. A
 * process belongs to its connection from beginning to end: it has no turns. */
TEST(keep_lets_others_have_their_turn, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_running = 1 };
	struct acc acc;
	int one, two;

	acc_streams(&acc, _i, &acc_script, &options);
	if (acc.mode->workers > 1) { /* each loop has a place: there is nobody to wait for */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	one = acc_client(&acc);
	peer_puts(one, "k\n");
	ck_eventually(acc_has_parked(&acc, 1));
	two = acc_client(&acc);
	peer_puts(two, "k\n");
	ck_eventually(acc_has_parked(&acc, 2));
	peer_puts(one, "echo 1\n");
	peer_expect(one, "echo 1\n"); /* it has the only place */
	peer_puts(two, "echo 2\nd\n");
	ck_eventually(acc_stats(&acc).active == 2);
	peer_puts(one, "k\necho 3\n");
	peer_expect(two, "echo 2\n");
	peer_expect_eof(two);
	peer_expect(one, "echo 3\n");
	peer_puts(one, "d\n");
	peer_expect_eof(one);
	acc_free(&acc);
}

TEST(keep_after_the_end_of_input_is_done, EACH_STREAM)
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "c\nk\n");
	peer_half_close(fd);
	peer_expect(fd, "call 1\nbye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(log_lines(), 0);
}

/* Looks at its input, and takes only a whole line of it: it does not wait for one. */
static int
take_whole_lines(struct sks_request *req)
{
	char *bytes, *line;
	ssize_t n = sks_peek(req->rfile, 1, &bytes);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (memchr(bytes, '\n', (size_t)n) == NULL)
		return SKS_KEEP;
	n = sks_readline(req->rfile, &line);
	return n > 0 && sks_write(req->wfile, line, (size_t)n) == 0 ? SKS_KEEP : -1;
}

static const struct sks_handler looking = { .handle = take_whole_lines, .finish = acc_finish_bye };

TEST(keep_of_all_input_waits_for_more, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &looking, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "a");
	ck_eventually(atomic_load(&seen->handles) == 2);
	if (acc.mode->one_memory)
		ck_eventually(acc_has_parked(&acc, 1));
	peer_puts(fd, "b");
	ck_eventually(atomic_load(&seen->handles) == 4);
	if (acc.mode->one_memory)
		ck_eventually(acc_has_parked(&acc, 1));
	peer_puts(fd, "c\nd\n");
	peer_expect(fd, "abc\nd\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 6);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(keep_of_input_that_has_ended_is_done, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &looking, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "whole\na");
	peer_half_close(fd);
	peer_expect(fd, "whole\nbye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_le(seen->handles, 3);
	ck_assert_int_eq(seen->finishes, 1);
}

/* Has seen the end itself, so there is nothing to be called for once more. */
static int
look_to_the_end(struct sks_request *req)
{
	char *bytes;

	atomic_fetch_add(&seen->handles, 1);
	return sks_peek(req->rfile, 100, &bytes) == -1 ? -1 : SKS_KEEP;
}

TEST(keep_after_a_look_at_the_end_is_done, EACH_STREAM)
{
	static const struct sks_handler handler = {
		.handle = look_to_the_end, .finish = acc_finish_bye };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "left");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

/* Left unread it is held in memory, so there must be an end to it. */
TEST(keep_of_too_much_input_ends_the_connection, EACH_STREAM)
{
	static char much[70000];
	struct acc acc;
	int fd;

	memset(much, 'x', sizeof(much));
	acc_streams(&acc, _i, &looking, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_send(fd, much, sizeof(much));
	peer_expect(fd, "bye\n");
	peer_expect_gone(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 1);
}

/* Whoever waits for the rest of a line has nothing to drain. */
TEST(keep_of_all_input_does_not_delay_the_end, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &looking, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "a");
	ck_eventually(atomic_load(&seen->handles) == 2);
	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 2);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(keep_of_a_datagram_is_done, EACH_DATAGRAM)
{
	struct acc acc;

	acc_datagrams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	acc_ask(&acc, "c\nk\nc\n", "call 1\n");
	acc_stop(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

TEST(parked_connection_ends_after_idle_ms, EACH_STREAM)
{
	struct sks_options options = { .idle_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	handler.client_first = 1;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect_eof(fd); /* said nothing at all: nothing was run */
	ck_assert_int_eq(seen->setups + seen->finishes, 0);
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
	acc_stop(&acc);
	for (i = 25; i < 50; i++)
		peer_expect_eof(silent[i]);
	ck_assert_int_eq(seen->setups, 2);
	ck_assert_int_eq(seen->finishes, 2);
	ck_assert_uint_eq(acc_stats(&acc).refused, 49);
	acc_free(&acc);
}

/* -- the peer's way to the end -- */

TEST(half_closed_client_gets_its_reply, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_half_close(fd);
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_free(&acc);
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

static int
echo_and_keep(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (req->server == NULL)
		atomic_fetch_add(&seen->note, 1);
	sks_write(req->wfile, line, (size_t)n);
	return SKS_KEEP;
}

static const struct sks_handler keeping = {
	.setup = acc_setup_counted, .handle = echo_and_keep, .finish = acc_finish_bye };

static void
assert_handles(const struct sks_handler *handler, const char *in, const char *expected)
{
	size_t n = 12345;
	char *out = NULL;

	ck_assert_int_eq(sks_handle_bytes(handler, in, strlen(in), &out, &n), 0);
	ck_assert_str_eq(out, expected);
	ck_assert_uint_eq(n, strlen(expected));
	free(out);
}

/* Nothing can be sent or read afterwards, so it has ended; that is no error. */
static int
abort_it(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	(void)line;
	sks_puts(req->wfile, "said\n");
	if (sks_abort(req) == -1 || sks_puts(req->wfile, "more\n") == -1)
		atomic_store(&seen->note, errno);
	if (sks_is_datagram(req))
		return SKS_DONE;
	ck_assert_ptr_null(sks_gets(req->rfile));
	ck_assert_int_eq(errno, ECONNABORTED);
	return SKS_KEEP;
}

static const struct sks_handler aborting = { .handle = abort_it, .finish = acc_finish };

TEST(an_aborted_connection_is_reset, EACH_TRANSPORT)
{
	struct acc acc;
	char got[8];
	int fd;

	acc_all(&acc, _i, &aborting, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "go\n");
	if (acc.transport == ACC_TCP) {
		ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
		ck_assert_int_eq(errno, ECONNRESET);
	} else if (acc.transport == ACC_UNIX) /* has no resets */
		ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), 0);
	else
		peer_expect(fd, "said\n");
	close(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	acc_stop(&acc);
	ck_assert_int_eq(seen->note, acc_is_stream(&acc) ? ECONNABORTED : ENOTSUP);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

static int
refuse_by_reset(struct sks_request *req)
{
	return sks_abort(req);
}

TEST(verify_may_refuse_by_a_reset, EACH_MODE)
{
	struct sks_options options = { .verify = refuse_by_reset };
	struct acc acc;
	char got[8];
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->setups, 0);
}

TEST(serve_fd_resets_what_is_aborted)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char got[8];

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&any, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&any, len), 0);
	peer_puts(fd, "go\n");
	ck_assert_int_eq(sks_serve_fd(accept4(listener, NULL, NULL, SOCK_CLOEXEC), &aborting, NULL), 0);
	ck_assert_int_eq(peer_recv(fd, got, sizeof(got)), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(seen->finishes, 1);
	close(fd);
	close(listener);
}

static int
abort_bytes(struct sks_request *req)
{
	return sks_abort(req) == -1 && errno == ENOTSUP ? sks_puts(req->wfile, "no\n") : SKS_DONE;
}

TEST(bytes_cannot_be_aborted)
{
	static const struct sks_handler handler = { .handle = abort_bytes };
	char *out;

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, NULL), 0);
	ck_assert_str_eq(out, "no\n");
	free(out);
}

TEST(handles_bytes)
{
	assert_handles(&keeping, "a\nb\nc", "a\nb\ncbye\n");
	ck_assert_int_eq(seen->note, 3);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 3);
	ck_assert_int_eq(seen->finishes, 1);
	assert_handles(&acc_script, "c\ne\n", "call 1\ne\n");
	ck_assert_int_eq(log_lines(), 0);
}

/* "again after SKS_KEEP while input is left", and not once more. */
TEST(handles_bytes_while_there_are_some)
{
	assert_handles(&keeping, "a\nb\n", "a\nb\nbye\n");
	ck_assert_int_eq(seen->handles, 2);
}

TEST(handles_bytes_until_they_are_left)
{
	assert_handles(&looking, "a\nb\nc", "a\nb\nbye\n");
	ck_assert_int_eq(seen->handles, 4);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(handles_no_bytes)
{
	ck_assert_int_eq(sks_handle_bytes(&keeping, NULL, 0, NULL, NULL), 0);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(handle_bytes_returns_the_handlers_error)
{
	struct sks_handler handler = acc_script;
	char *out = NULL;
	size_t n;

	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&acc_script, "echo\nf\n", 7, &out, &n), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_str_eq(out, "echo\n");
	free(out);
	handler.setup = fail_setup;
	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), -1);
	ck_assert_int_eq(errno, EACCES);
	handler.handle = NULL;
	errno = 0;
	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
}

struct fd_server {
	int fd;
	const struct sks_handler *handler;
	struct sks_options options;
	pthread_t thread;
	int rc, error;
};

static void *
serve_fd(void *arg)
{
	struct fd_server *s = arg;

	errno = 0;
	s->rc = sks_serve_fd(s->fd, s->handler, &s->options);
	s->error = errno;
	return NULL;
}

/* The client's end of a connection that is being served in a thread. */
static int
serve_pair(struct fd_server *s, const struct sks_handler *handler)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->fd = fds[0];
	s->handler = handler;
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve_fd, s), 0);
	return fds[1];
}

TEST(serves_a_connection_that_somebody_else_accepted)
{
	struct fd_server s = { 0 };
	int fd = serve_pair(&s, &keeping);

	peer_puts(fd, "one\n");
	peer_expect(fd, "one\n");
	peer_puts(fd, "two\nthree\n");
	peer_expect(fd, "two\nthree\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, 0);
	ck_assert_int_eq(seen->setups, 1);
	ck_assert_int_eq(seen->handles, 3);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(fcntl(s.fd, F_GETFD), -1); /* it closed it */
}

TEST(serve_fd_waits_for_more_than_what_is_left)
{
	struct fd_server s = { 0 };
	int fd = serve_pair(&s, &looking);

	peer_puts(fd, "a");
	ck_eventually(atomic_load(&seen->handles) == 2);
	peer_puts(fd, "b\nc");
	peer_expect(fd, "ab\n");
	peer_half_close(fd);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, 0);
	ck_assert_int_le(seen->handles, 5);
}

TEST(serve_fd_returns_the_handlers_error)
{
	struct fd_server s = { .options = { .on_error = acc_on_error } };
	int fd = serve_pair(&s, &acc_script);

	peer_puts(fd, "f\n");
	peer_expect_gone(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, EPROTO);
	ck_assert_int_eq(seen->errors, 1);
	/* The same where the error is logged. */
	s.options.on_error = NULL;
	fd = serve_pair(&s, &acc_script);
	peer_puts(fd, "f\n");
	peer_expect_gone(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(s.rc, -1);
	ck_assert_int_eq(s.error, EPROTO);
	ck_assert_int_eq(log_lines(), 1);
}

TEST(serve_fd_closes_what_is_no_socket)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	errno = 0;
	ck_assert_int_eq(sks_serve_fd(fds[0], &acc_script, NULL), -1);
	ck_assert_int_eq(errno, ENOTSOCK);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
}

TEST(serve_fd_never_runs_for_a_silent_client_first)
{
	struct sks_handler handler = acc_script;
	struct fd_server s = { .options = { .idle_ms = 1 } };
	int fd;

	handler.client_first = 1;
	fd = serve_pair(&s, &handler);
	peer_expect_eof(fd);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(seen->setups + seen->handles + seen->finishes, 0);
}

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
