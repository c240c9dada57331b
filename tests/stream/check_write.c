/* SPDX-License-Identifier: MIT */
/*
 * check_write.c - what each call that writes sends, and how much is kept at most.
 */
#include "base/buf.h"
#include "base/sys.h"
#include "base/util.h"
#include "streams.h"

#include <errno.h>
#include <string.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

TEST_ON_BOTH(small_writes_gather)
{
	struct rig_link l;
	char got[1000], text[600];

	rig_link_open(&l);
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(sks_write(&l.w, "a\0b", 3), 0);
	ck_assert_int_eq(sks_write(&l.w, NULL, 0), 0);
	ck_assert_int_eq(sks_puts(&l.w, ""), 0);
	ck_assert_int_eq(sks_puts(&l.w, "puts"), 0);
	ck_assert_int_eq(sks_printf(&l.w, "%s", ""), 0);
	ck_assert_int_eq(sks_printf(&l.w, "[%d %5.2f %s]", 42, 3.14159, "text"), 0);
	ck_assert_int_eq(sks_printf(&l.w, "%s%s", "long", text), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 0);
	ck_assert_int_eq(sks_flush(&l.w), 0);
	ck_assert_int_eq(sks_flush(&l.w), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 3 + 4 + 15 + 4 + 599);
	ck_assert_mem_eq(got, "a\0bputs[42  3.14 text]longyyy", 29);
	ck_assert_uint_eq(sks_fault_calls("send"), 1);
	if (l.w.pool != NULL) /* on a thread some memory is kept */
		ck_assert_ptr_null(l.w.buf.base);
	rig_link_close(&l);
}

static size_t
much(void)
{
	return is_slow() ? BIG / 16 : BIG;
}

struct writer {
	struct rig_link *l;
	size_t piece; /* 0: all at once */
};

static void
write_big(void *arg)
{
	struct writer *writer = arg;
	struct rig_link *l = writer->l;
	size_t at, n = writer->piece != 0 ? writer->piece : much();

	for (at = 0; at < much(); at += n) {
		n = sks_min(n, much() - at);
		ck_assert_int_eq(sks_write(&l->w, big + at, n), 0);
		ck_assert_uint_le(sks_buf_length(&l->w.buf), l->w.max_output);
	}
	ck_assert_int_eq(sks_flush(&l->w), 0);
	ck_assert_uint_eq(sks_buf_length(&l->w.buf), 0);
}

TEST(many_mib_go_through_a_tiny_socket, TIMES(10))
{
	static const size_t pieces[] = { 0, 1000, 16383, 16384, 100000 };
	struct rig_link l;
	struct writer writer = { &l, pieces[_i / 2] };
	struct reader reader = { &l, much() };
	int small = 1;

	need_big();
	sks_fault_clear();
	if (_i % 2 == 0) {
		pthread_t thread;

		rig_link_open(&l);
		setsockopt(l.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		ck_assert_int_eq(pthread_create(&thread, NULL, read_on_thread, &reader), 0);
		write_big(&writer);
		pthread_join(thread, NULL);
		rig_link_close(&l);
	} else {
		struct rig_loop rig;

		rig_loop_open(&rig);
		rig_link_open(&l);
		setsockopt(l.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		rig_go(&rig, write_big, &writer);
		rig_go(&rig, read_and_compare, &reader);
		rig_run(&rig);
		rig_link_close(&l);
		rig_loop_close(&rig);
	}
	/*
	 * Each wait ends when the socket has room for a KiB, and one call before it finds no room.
	 */
	ck_assert_uint_le(sks_fault_calls("send") + sks_fault_calls("sendmsg"), 2 * much() / 1024);
}

TEST_ON_BOTH(printf_of_more_than_max_output_goes_out)
{
	struct rig_link l;
	static char text[3001], got[4000];

	rig_link_open(&l);
	l.w.max_output = 1000;
	memset(text, 'z', 3000);
	ck_assert_int_eq(sks_puts(&l.w, "head:"), 0);
	ck_assert_int_eq(sks_printf(&l.w, "%s", text), 0);
	ck_assert_uint_eq(sks_buf_length(&l.w.buf), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 3005);
	ck_assert_mem_eq(got, "head:zzz", 8);
	/* In small pieces: the bound holds, and what is over it goes out first. */
	ck_assert_int_eq(sks_write(&l.w, text, 600), 0);
	ck_assert_int_eq(sks_printf(&l.w, "%.*s", 400, text), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 0);
	ck_assert_int_eq(sks_write(&l.w, text, 1), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 1000);
	ck_assert_uint_eq(sks_buf_length(&l.w.buf), 1);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_peer_that_never_reads_ends_the_write)
{
	struct rig_link l;
	int64_t before;

	need_big();
	rig_link_open(&l);
	sks_set_timeout(&l.w, 10);
	before = rig_now();
	ck_assert_int_eq(sks_write(&l.w, big, BIG), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 9000000);
	ck_assert_int_eq(sks_error(&l.w), ETIMEDOUT);
	ck_assert_int_eq(sks_puts(&l.w, "x"), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_link_close(&l);
}

TEST_ON_BOTH(small_writes_to_a_peer_that_never_reads_are_bounded)
{
	struct rig_link l;
	int small = 1, rc;

	rig_link_open(&l);
	setsockopt(l.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	sks_set_timeout(&l.w, 3);
	l.w.max_output = 5000;
	while ((rc = sks_printf(&l.w, "%d lines of output\n", 1000)) == 0)
		ck_assert_uint_le(sks_buf_length(&l.w.buf), 5000);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_le(l.w.buf.cap, SKS_BUF_LARGE);
	rig_link_close(&l);
}
