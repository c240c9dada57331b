/* SPDX-License-Identifier: MIT */
/*
 * check_stream_memory.c - streams without a socket, as datagrams and sks_handle_bytes() have them.
 */
#include "base/sys.h"
#include "acceptance.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

TEST(a_reply_has_a_largest_size)
{
	static const struct sks_times times = { -1, -1, -1 };
	static char text[65507];
	struct sks_wfile w;

	sks_wfile_init(&w, NULL, &times, &times, sizeof(text));
	memset(text, 'd', sizeof(text));
	ck_assert_int_eq(sks_write(&w, text, 65500), 0);
	ck_assert_int_eq(sks_write(&w, text, 8), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_printf(&w, "%d", 12345678), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_write(&w, text, 100000), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_error(&w), 0);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 65500);
	ck_assert_int_eq(sks_printf(&w, "%d", 1234567), 0);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 65507);
	ck_assert_int_eq(sks_puts(&w, "x"), -1);
	ck_assert_int_eq(sks_flush(&w), 0);
	ck_assert_uint_eq(sks_buf_length(&w.buf), 65507);
	ck_assert_mem_eq(w.buf.base + w.buf.start + 65500, "1234567", 7);
	sks_wfile_close(&w);
}

static int
use_every_call(struct sks_request *req)
{
	char buf[10], *line;

	ck_assert_int_eq(sks_readline(req->rfile, &line), 4);
	ck_assert_str_eq(line, "one\n");
	ck_assert_int_eq(sks_peek(req->rfile, 100, &line), 12);
	ck_assert_int_eq(sks_skipline(req->rfile), 1);
	ck_assert_int_eq(sks_readn(req->rfile, buf, 2), 2);
	ck_assert_int_eq(sks_copy(req->rfile, req->wfile, 2), 0);
	ck_assert_int_eq(sks_readline(req->rfile, &line), 4);
	ck_assert_str_eq(line, "tail");
	ck_assert_int_eq(sks_eof(req->rfile), 1);
	ck_assert_int_eq(sks_readline(req->rfile, &line), 0);
	ck_assert_int_eq(sks_copy(req->rfile, req->wfile, 1), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_int_eq(sks_copy(req->rfile, req->wfile, -1), 0);
	ck_assert_uint_eq(sks_tell(req->rfile), 16);
	sks_flush(req->wfile);
	return 0;
}

TEST(bytes_in_memory_have_every_call)
{
	static const struct sks_handler handler = { .handle = use_every_call };
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes(&handler, TEXT("one\ntwo\nabcdtail"), &out, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(out, "cd");
	free(out);
}

static int
ask_for_the_end(struct sks_request *req)
{
	char *line;

	ck_assert_int_eq(sks_eof(req->rfile), 0);
	ck_assert_int_eq(sks_readline(req->rfile, &line), 4);
	ck_assert_int_eq(sks_eof(req->rfile), 1);
	return sks_end(req->rfile);
}

TEST(the_end_of_bytes_in_memory_is_known_with_the_last)
{
	static const struct sks_handler handler = { .handle = ask_for_the_end };
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes(&handler, TEXT("one\n"), &out, &n), 0);
	free(out);
}

TEST(no_memory_for_bytes_leaves_nothing_to_free)
{
	static const struct sks_handler handler = { .handle = acc_echo_lines };
	unsigned long k, hits;

	for (k = 1;; k++) {
		char rule[40], *out = (char *)&rule;
		size_t n = 7;
		int rc;

		sks_fault_clear();
		snprintf(rule, sizeof(rule), "malloc:ENOMEM:%lu", k);
		ck_assert_int_eq(sks_fault(rule), 0);
		rc = sks_handle_bytes(&handler, TEXT("one\ntwo\n"), &out, &n);
		hits = sks_fault_hits();
		if (hits > 0) {
			ck_assert_int_eq(rc, -1);
			ck_assert_int_eq(errno, ENOMEM);
		} else {
			ck_assert_int_eq(rc, 0);
			ck_assert_str_eq(out, "one\ntwo\n");
		}
		free(out);
		if (hits == 0)
			break;
	}
	ck_assert_uint_ge(k, 4);
}
