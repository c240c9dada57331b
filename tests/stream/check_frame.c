/* SPDX-License-Identifier: MIT */
/*
 * check_frame.c - numbers, blocks with their length in front, blocks of a known length or with a
 * string at their end, and output in pieces.
 */
#include "acceptance.h"
#include "base/sys.h"
#include "base/util.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

FIXTURE(streams_setup, streams_teardown);

static const struct {
	int format;
	uint64_t value;
	const char *bytes;
	size_t n;
} numbers[] = {
	{ SKS_U8, 0xfe, TEXT("\xfe") },
	{ SKS_U16BE, 0x0102, TEXT("\1\2") },
	{ SKS_U16LE, 0x0102, TEXT("\2\1") },
	{ SKS_U24BE, 0x8090a0, TEXT("\x80\x90\xa0") },
	{ SKS_U24LE, 0x8090a0, TEXT("\xa0\x90\x80") },
	{ SKS_U32BE, 0xfffefdfc, TEXT("\xff\xfe\xfd\xfc") },
	{ SKS_U32LE, 0xfffefdfc, TEXT("\xfc\xfd\xfe\xff") },
	{ SKS_U64BE, 0xff02030405060708, TEXT("\xff\2\3\4\5\6\7\10") },
	{ SKS_U64LE, 0xff02030405060708, TEXT("\10\7\6\5\4\3\2\xff") },
	{ 5, 0x0102030405, TEXT("\1\2\3\4\5") },
	{ -1, 7, TEXT("\7") },
};

TEST_ON_BOTH(numbers_are_written_and_read_in_either_order)
{
	struct rig_link l;
	char got[100];
	uint64_t value;
	size_t i, n;

	rig_link_open(&l);
	ck_assert_int_eq(sks_fault("recv:short=1,recv:EAGAIN:%2"), 0);
	for (i = 0; i < SKS_ARRAY_LEN(numbers); i++) {
		ck_assert_int_eq(sks_write_number(&l.w, numbers[i].format, numbers[i].value), 0);
		ck_assert_int_eq(sks_flush(&l.w), 0);
		n = rig_hear(&l, got, sizeof(got));
		ck_assert_uint_eq(n, numbers[i].n);
		ck_assert_mem_eq(got, numbers[i].bytes, n);
		rig_say(&l, got, n);
		ck_assert_int_eq(sks_read_number(&l.r, numbers[i].format, &value), 1);
		ck_assert_uint_eq(value, numbers[i].value);
	}
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_read_number(&l.r, SKS_U32BE, &value), 0);
	rig_link_close(&l);
}

/* The first bytes of the buffer are an old line, which must not be read again. */
TEST_ON_BOTH(a_line_may_follow_an_empty_block)
{
	struct rig_link l;
	char *block;
	size_t n;

	rig_link_open(&l);
	rig_say(&l, TEXT("a\nb\n\0"));
	expect_line(&l, TEXT("a\n"));
	expect_line(&l, TEXT("b\n"));
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U8, 0, &block, &n), 1);
	ck_assert_uint_eq(n, 0);
	ck_assert_str_eq(block, "");
	rig_say(&l, TEXT("next\n\0and\n"));
	expect_line(&l, TEXT("next\n"));
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U8, 0, &block, &n), 1);
	expect_line(&l, TEXT("and\n"));
	ck_assert_uint_eq(sks_tell(&l.r), 15);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_number_that_does_not_fit_is_not_written)
{
	struct rig_link l;
	uint64_t value;

	rig_link_open(&l);
	ck_assert_int_eq(sks_write_number(&l.w, SKS_U16BE, 0x10000), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(sks_write_block(&l.w, SKS_U8, "", 256), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(sks_write_number(&l.w, 0, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_write_block(&l.w, -9, "", 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_read_number(&l.r, 9, &value), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(sks_buf_length(&l.w.buf), 0);
	ck_assert_int_eq(sks_error(&l.w), 0);
	rig_link_close(&l);
}

static void
expect_block(struct rig_link *l, const char *want, size_t n)
{
	char *block = NULL;
	size_t got = 4711;

	ck_assert_int_eq(sks_read_block(&l->r, SKS_U16BE, 0, &block, &got), 1);
	ck_assert_uint_eq(got, n);
	ck_assert_mem_eq(block, want, n);
	ck_assert_int_eq(block[n], '\0');
	memset(block, 'x', n + 1); /* it is the caller's to change, and its NUL */
}

TEST_ON_BOTH(a_block_is_the_same_for_every_split)
{
	static const char input[] = "\0\5hello\0\0\0\3a\0b\0\1x\0\2no";
	size_t n = sizeof(input) - 1, split;

	for (split = 1; split <= n; split++) {
		struct rig_link l;
		char rule[64];

		rig_link_open(&l);
		sks_fault_clear();
		snprintf(rule, sizeof(rule), "recv:short=%zu:1,recv:EAGAIN:2", split);
		ck_assert_int_eq(sks_fault(rule), 0);
		rig_say(&l, input, n);
		shutdown(l.peer, SHUT_WR);
		expect_block(&l, TEXT("hello"));
		expect_block(&l, TEXT(""));
		expect_block(&l, TEXT("a\0b"));
		expect_block(&l, TEXT("x"));
		expect_block(&l, TEXT("no"));
		expect_end(&l);
		rig_link_close(&l);
	}
}

TEST_ON_BOTH(a_block_longer_than_its_bound_is_left)
{
	struct rig_link l;
	char *block, got[4];
	size_t n;

	rig_link_open(&l);
	rig_say(&l, TEXT("\0\3abc\0\4abcd"));
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U16BE, 3, &block, &n), 1);
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U16BE, 3, &block, &n), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	l.r.max_line = 3;
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U16BE, 0, &block, &n), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_error(&l.r), 0);
	ck_assert_uint_eq(sks_tell(&l.r), 5);
	ck_assert_int_eq(sks_readexactly(&l.r, got, 4), 1);
	ck_assert_mem_eq(got, "\0\4ab", 4);
	rig_link_close(&l);
}

TEST_ON_BOTH(what_is_announced_and_not_sent_takes_no_memory)
{
	struct rig_link l;
	char *block;
	size_t n;

	rig_link_open(&l);
	rig_say(&l, TEXT("\0\0\0\1\0\0\0\0some"));
	ck_assert_int_eq(sks_rfile_set_timeout(&l.r, 0), 0);
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U64BE, SIZE_MAX, &block, &n), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_le(l.r.buf.cap, SKS_BUF_LARGE);
	rig_link_close(&l);

	rig_link_open(&l);
	rig_say(&l, TEXT("\xff\xff\xff\xff\xff\xff\xff\xff"));
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U64BE, SIZE_MAX, &block, &n), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	rig_link_close(&l);
}

TEST_ON_BOTH(what_came_before_a_timeout_stays)
{
	struct rig_link l;
	uint64_t value;

	rig_link_open(&l);
	ck_assert_int_eq(sks_rfile_set_timeout(&l.r, 0), 0);
	rig_say(&l, TEXT("\0\0\0"));
	ck_assert_int_eq(sks_read_number(&l.r, SKS_U32BE, &value), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_say(&l, TEXT("\7\0\2a"));
	ck_assert_int_eq(sks_read_number(&l.r, SKS_U32BE, &value), 1);
	ck_assert_uint_eq(value, 7);
	ck_assert_int_eq(sks_read_block(&l.r, SKS_U16BE, 0, &(char *){ NULL }, &(size_t){ 0 }), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_say(&l, TEXT("b"));
	expect_block(&l, TEXT("ab"));
	rig_link_close(&l);
}

TEST_ON_BOTH(an_end_within_is_no_end)
{
	static const struct {
		const char *text;
		size_t n;
	} cut[] = { { TEXT("\0") }, { TEXT("\0\3") }, { TEXT("\0\3ab") } };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(cut); i++) {
		struct rig_link l;
		char *block;
		size_t n;

		rig_link_open(&l);
		rig_say(&l, cut[i].text, cut[i].n);
		shutdown(l.peer, SHUT_WR);
		ck_assert_int_eq(sks_read_block(&l.r, SKS_U16BE, 0, &block, &n), -1);
		ck_assert_int_eq(errno, ENODATA);
		ck_assert_int_eq(sks_end(&l.r), -1);
		ck_assert_int_eq(errno, ENODATA);
		rig_link_close(&l);
	}
}

TEST_ON_BOTH(exactly_so_many_or_an_error)
{
	struct rig_link l;
	char got[4];

	rig_link_open(&l);
	rig_say(&l, TEXT("0123456"));
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_fault("recv:short=3"), 0);
	ck_assert_int_eq(sks_readexactly(&l.r, got, 4), 1);
	ck_assert_mem_eq(got, "0123", 4);
	ck_assert_int_eq(sks_readexactly(&l.r, got, 0), 1);
	ck_assert_int_eq(sks_readexactly(&l.r, got, 4), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_mem_eq(got, "456", 3);
	ck_assert_int_eq(sks_readexactly(&l.r, got, 4), 0);
	rig_link_close(&l);
}

static void
expect_until(struct rig_link *l, const char *end, const char *want)
{
	char *block = NULL;

	ck_assert_int_eq(sks_readuntil_string(&l->r, end, 0, &block), (ssize_t)strlen(want));
	ck_assert_str_eq(block, want);
}

TEST_ON_BOTH(a_string_ends_a_block_for_every_split)
{
	static const char input[] = "one\r\n\r\r\n.\r\r\n.\r\n\r\n.\r\nababababc-the rest";
	size_t n = sizeof(input) - 1, split;

	for (split = 1; split <= n; split++) {
		struct rig_link l;
		char rule[64], *block;

		rig_link_open(&l);
		sks_fault_clear();
		snprintf(rule, sizeof(rule), "recv:short=%zu:1,recv:EAGAIN:2", split);
		ck_assert_int_eq(sks_fault(rule), 0);
		rig_say(&l, input, n);
		shutdown(l.peer, SHUT_WR);
		expect_until(&l, "\r\n.\r\n", "one\r\n\r\r\n.\r\r\n.\r\n");
		expect_until(&l, "\r\n.\r\n", "\r\n.\r\n");
		expect_until(&l, "ababc", "ababababc");
		ck_assert_int_eq(sks_readuntil_string(&l.r, "rest", 8, &block), -1);
		ck_assert_int_eq(errno, EMSGSIZE);
		ck_assert_int_eq(sks_readuntil_string(&l.r, "", 0, &block), -1);
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(sks_readuntil_string(&l.r, "rest", 9, &block), 9);
		ck_assert_int_eq(sks_readuntil_string(&l.r, "rest", 9, &block), 0);
		rig_link_close(&l);
	}
}

/* -- pieces -- */

#define PIECES 200

TEST_ON_BOTH(pieces_are_written_in_order)
{
	struct rig_link l;
	struct iovec pieces[PIECES];
	char text[PIECES][4], want[PIECES * 3 + 1] = "", got[sizeof(want)];
	int i;

	rig_link_open(&l);
	for (i = 0; i < PIECES; i++) {
		snprintf(text[i], sizeof(text[i]), "%03d", i);
		pieces[i] = (struct iovec){ text[i], i % 7 == 0 ? 0 : 3 };
		strncat(want, text[i], pieces[i].iov_len);
	}
	ck_assert_int_eq(sks_writev(&l.w, pieces, PIECES), 0);
	ck_assert_int_eq(sks_writev(&l.w, NULL, 0), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 0);
	ck_assert_int_eq(sks_flush(&l.w), 0);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), strlen(want));
	ck_assert_mem_eq(got, want, strlen(want));

	/* More than the buffer may hold: they are sent from their own memory. */
	l.w.max_output = 100;
	ck_assert_int_eq(sks_fault("sendmsg:short=100,sendmsg:EAGAIN:%2"), 0);
	ck_assert_int_eq(sks_puts(&l.w, "before"), 0);
	ck_assert_int_eq(sks_writev(&l.w, pieces, PIECES), 0);
	ck_assert_uint_eq(rig_hear(&l, got, 6), 6);
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), strlen(want));
	ck_assert_mem_eq(got, want, strlen(want));
	rig_link_close(&l);
}

TEST_ON_BOTH(pieces_of_a_reply_in_memory_are_all_written_or_none)
{
	static const struct sks_times times = { .write_ms = SKS_OFF };
	struct iovec pieces[] = { { (char *)"12345", 5 }, { (char *)"6789", 4 } };
	struct sks_wfile w;

	sks_wfile_init(&w, NULL, &times, &times, 10);
	ck_assert_int_eq(sks_writev(&w, pieces, 2), 0);
	ck_assert_int_eq(sks_writev(&w, pieces, 2), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 9);
	pieces[1].iov_len = SIZE_MAX;
	ck_assert_int_eq(sks_writev(&w, pieces, 2), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sks_writev(&w, pieces, -1), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 9);
	sks_wfile_close(&w);
}

/* -- in a handler -- */

FIXTURE(acc_setup, acc_teardown);

/* Blocks of at most 20,000 bytes come back with their length in the other order. */
static int
turn_blocks(struct sks_request *req)
{
	char *block;
	size_t n;

	while (sks_read_block(req->rfile, SKS_U32BE, 20000, &block, &n) == 1) {
		if (sks_write_block(req->wfile, SKS_U32LE, block, n) == -1)
			return -1;
	}
	return sks_end(req->rfile);
}

TEST(a_handler_talks_in_blocks, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = turn_blocks };
	static const struct sks_options options = { .on_error = acc_on_error };
	static char block[20004], want[20004];
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	memset(block + 4, 'b', 20000);
	memcpy(want, block, sizeof(block));
	memcpy(block, "\0\0\x4e\x20", 4);
	memcpy(want, "\x20\x4e\0\0", 4);
	peer_send(fd, "\0\0\0\2ab\0\0\0\0", 10);
	peer_expect_bytes(fd, "\2\0\0\0ab\0\0\0\0", 10);
	peer_send(fd, block, sizeof(block));
	peer_expect_bytes(fd, want, sizeof(want));
	peer_send(fd, "\0\0\x4e\x21", 4);
	peer_expect_gone(fd);
	ck_assert_int_eq(atomic_load(&seen->last_error), EMSGSIZE);
	acc_stop(&acc);
	acc_free(&acc);
}
