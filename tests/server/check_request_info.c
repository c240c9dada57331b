/* SPDX-License-Identifier: MIT */
/*
 * check_request_info.c - what is told of a request beside the reason of its end: bytes, exchanges
 * and times, its listener, and the note that its handler has made.
 */
#include "ending.h"

#include "base/sys.h"

#include <errno.h>
#include <string.h>

FIXTURE(ending_setup, ending_teardown);

TEST(tells_bytes_exchanges_and_times, EACH_MODE)
{
	const struct sks_handler handler = { .name = "keeper", .handle = acc_echo_keep,
		.finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;
	int fd, i;

	acc_serve(&acc, _i, &handler, &o);
	fd = acc_client(&acc);
	for (i = 0; i < 3; i++) {
		peer_puts(fd, "four\n");
		peer_expect(fd, "four\n");
	}
	peer_half_close(fd);
	peer_expect_eof(fd);
	ending_expect(SKS_ENDED_CLOSED);
	ck_assert_uint_eq(ending->info.bytes_in, 15);
	ck_assert_uint_eq(ending->info.bytes_out, 15);
	/*
	 * A thread or child is there when the last exchange has ended, and may learn the end in it.
	 */
	ck_assert_uint_ge(ending->info.exchanges, 3);
	ck_assert_uint_le(ending->info.exchanges, 4);
	ck_assert_uint_gt(ending->info.began_ns, 0);
	ck_assert_uint_gt(ending->info.first_ns, 0);
	ck_assert_uint_le(ending->info.first_ns, ending->info.duration_ns);
	ck_assert_ptr_null(ending->info.tls_version);
	ck_assert_int_eq(ending->has_note, 0);
	ck_assert_str_eq(ending->handler, "keeper");
	acc_free(&acc);
}

TEST(tells_the_listener, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = acc_echo_line, .finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;
	char address[160];

	acc_all(&acc, _i, &handler, &o);
	ck_assert_ptr_nonnull(
	    sks_server_listen_address(acc.server, 0, address, sizeof(address)));
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	ending_expect(SKS_ENDED_DONE);
	ck_assert_str_eq(ending->listener, address);
	ck_assert_uint_eq(ending->info.bytes_in, 5);
	ck_assert_uint_eq(ending->info.exchanges, 1);
	acc_free(&acc);
}

static int
look_at_silence(struct sks_request *req)
{
	struct sks_info info;

	acc_require(sks_request_info(req, &info) == 0);
	acc_require(info.reason == SKS_ENDED_NOT && info.bytes_in == 0 && info.first_ns == 0);
	sks_puts(req->wfile, "hello\n");
	acc_require(sks_flush(req->wfile) == 0);
	acc_require(sks_request_info(req, &info) == 0);
	acc_require(info.bytes_out == 6 && info.first_ns == 0 && info.exchanges == 1);
	return SKS_DONE;
}

TEST(no_first_byte_has_no_time, EACH_STREAM)
{
	const struct sks_handler handler = { .handle = look_at_silence, .finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;

	acc_streams(&acc, _i, &handler, &o);
	acc_start(&acc);
	acc_ask(&acc, "", "hello\n");
	ending_expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

static int
note_twice(struct sks_request *req)
{
	acc_require(sks_set_note(req, "one") == 0);
	acc_require(sks_set_note(req, "two\n") == 0);
	return SKS_DONE;
}

TEST(has_the_last_note, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = note_twice, .finish = ending_finish };
	struct sks_options o = ending_options(NULL);
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &handler, &o);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "\n");
	ending_expect_finish(SKS_ENDED_DONE);
	close(fd);
	ending_expect(SKS_ENDED_DONE);
	ck_assert_str_eq(ending->note, "two\n");
	acc_free(&acc);
}

/* -- without a server -- */

static int
note_much(struct sks_request *req)
{
	char much[400];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	acc_require(sks_set_note(req, much) == 0);
	return SKS_DONE;
}

TEST(a_long_note_is_cut)
{
	const struct sks_handler handler = { .handle = note_much, .finish = ending_finish };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_uint_eq(strlen(ending->note), 255);
	ck_assert_str_eq(ending->listener, "");
	ending_expect_finish(SKS_ENDED_DONE);
}

static int
take_notes(struct sks_request *req)
{
	acc_require(sks_set_note(req, "kept") == 0);
	fault("malloc:ENOMEM");
	errno = 0;
	acc_require(sks_set_note(req, "lost") == -1 && errno == ENOMEM);
	sks_fault_clear();
	return SKS_DONE;
}

TEST(without_memory_the_earlier_note_stays)
{
	const struct sks_handler handler = { .handle = take_notes, .finish = ending_finish };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_str_eq(ending->note, "kept");
}

static int
forget_note(struct sks_request *req)
{
	acc_require(sks_set_note(req, "one") == 0);
	return sks_set_note(req, NULL);
}

TEST(a_note_can_be_taken_back)
{
	const struct sks_handler handler = { .handle = forget_note, .finish = ending_finish };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_int_eq(ending->has_note, 0);
}

static int
ask_as_older_program(struct sks_request *req)
{
	unsigned char info[sizeof(struct sks_info) + 8];
	size_t first = sizeof(int) * 2;

	memset(info, 0xff, sizeof(info));
	acc_require(sks_request_info_abi(req, (void *)info, first) == 0);
	acc_require(info[0] == 0 && info[first] == 0xff);
	acc_require(sks_request_info_abi(req, (void *)info, sizeof(info)) == 0);
	acc_require(info[sizeof(info) - 1] == 0);
	return SKS_DONE;
}

TEST(fills_in_what_older_and_newer_programs_know)
{
	const struct sks_handler handler = { .handle = ask_as_older_program, .finish = ending_finish };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ending_expect_finish(SKS_ENDED_DONE);
}
