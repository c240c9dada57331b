/* SPDX-License-Identifier: MIT */
/*
 * check_keep.c - SKS_KEEP: handle is called again for more input, and nothing of it is lost.
 */
#include "acceptance.h"
#include "line_handlers.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

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

/* A connection that is parked until the rest of a line comes ends at once. */
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

/* Each exchange says how many bytes were read before it. */
static int
tell_and_keep(struct sks_request *req)
{
	unsigned long before = (unsigned long)sks_tell(req->rfile);

	if (sks_gets(req->rfile) == NULL)
		return sks_end(req->rfile);
	sks_printf(req->wfile, "%lu %lu\n", before, (unsigned long)sks_tell(req->rfile));
	return SKS_KEEP;
}

/* What finish sees of a connection that ended while it was parked. */
static void
note_the_end(struct sks_request *req)
{
	atomic_store(&seen->note, (int)sks_tell(req->rfile) + 100 * sks_eof(req->rfile));
	atomic_store(&seen->last_error, sks_error(req->rfile));
	atomic_fetch_add(&seen->finishes, 1);
}

static const struct sks_handler teller = { .handle = tell_and_keep, .finish = note_the_end };

/* Two exchanges, between which it is parked; it is parked behind the second. */
static int
begin_to_tell(struct acc *acc, int i, const struct sks_options *options)
{
	int fd;

	acc_streams(acc, i, &teller, options);
	acc_start(acc);
	fd = acc_client(acc);
	peer_puts(fd, "one\n");
	peer_expect(fd, "0 4\n");
	if (acc->mode->one_memory)
		ck_eventually(acc_has_parked(acc, 1));
	peer_puts(fd, "three\n");
	peer_expect(fd, "4 10\n");
	if (acc->mode->one_memory)
		ck_eventually(acc_has_parked(acc, 1));
	return fd;
}

/* note is that of the end, and error the one that broke the stream. */
static void
expect_the_end(struct acc *acc, int note, int error)
{
	ck_eventually(atomic_load(&seen->finishes) == 1);
	ck_assert_int_eq(seen->note, note);
	ck_assert_int_eq(seen->last_error, error);
	acc_free(acc);
}

TEST(tell_goes_on_and_finish_sees_an_end, EACH_STREAM)
{
	struct acc acc;
	int fd = begin_to_tell(&acc, _i, NULL);

	peer_half_close(fd);
	peer_expect_eof(fd);
	expect_the_end(&acc, 110, 0);
}

TEST(finish_sees_a_reset_of_a_parked_connection, EACH_MODE)
{
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &teller, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "one\n");
	peer_expect(fd, "0 4\n");
	if (acc.mode->one_memory)
		ck_eventually(acc_has_parked(&acc, 1));
	peer_reset(fd);
	expect_the_end(&acc, 4, ECONNRESET);
}

TEST(finish_sees_no_end_after_a_time_out, EACH_STREAM)
{
	struct sks_options options = { .idle_ms = 300 };
	struct acc acc;
	int fd = begin_to_tell(&acc, _i, &options);

	peer_expect_eof(fd);
	expect_the_end(&acc, 10, 0);
}

/* "l" sets long limits for the rest of the connection; each line is written back. */
static int
set_limits_and_keep(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return sks_end(req->rfile);
	if (line[0] == 'l') {
		sks_rfile_set_idle(req->rfile, 60000);
		sks_set_timeout(req->rfile, 60000);
	}
	return sks_printf(req->wfile, "%s\n", line) == -1 ? -1 : SKS_KEEP;
}

/* A client of the server's own, short limits, is let go while the other one is not. */
static void
outlive_another(const struct acc *acc, const char *text)
{
	int fd = acc_client(acc);

	peer_puts(fd, text);
	if (text[0] == 'x')
		peer_expect(fd, "x\n");
	peer_expect_gone(fd);
}

TEST(limits_that_a_handler_set_hold_after_a_park, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = set_limits_and_keep };
	struct sks_options options = { .idle_ms = 30, .timeout_ms = 30 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, &options);
	if (acc.mode->one_at_a_time && !acc.mode->one_memory)
		return;
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "l\n");
	peer_expect(fd, "l\n");
	outlive_another(&acc, "x\n"); /* parked for longer than idle_ms */
	if (!acc.mode->one_at_a_time) {
		peer_puts(fd, "par");
		outlive_another(&acc, "par"); /* a line took longer than timeout_ms */
		peer_puts(fd, "t\n");
		peer_expect(fd, "part\n");
	} else {
		peer_puts(fd, "part\n");
		peer_expect(fd, "part\n");
	}
	close(fd);
	acc_free(&acc);
}
