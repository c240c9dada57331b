/* SPDX-License-Identifier: MIT */
/*
 * check_read.c - what each call that reads gives, with its bounds and at the end.
 *
 * Input that must come in pieces comes in one, and the fault table cuts it:
 * no peer has to be timed. Where a peer must act while a call waits, it is
 * another fiber.
 */
#include "base/sys.h"
#include "base/util.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

static const struct {
	const char *text;
	size_t n;
} corpus[] = {
	{ TEXT("bare\n") }, { TEXT("\n") }, { TEXT("both\r\n") }, { TEXT("\r\n") },
	{ TEXT("\r\r\n") }, { TEXT("nul\0nul\n") }, { TEXT("\0\n") }, { TEXT("\0\0\r\n") },
	{ TEXT("a rather longer line, so that some splits are within it\n") },
	{ TEXT("\xff\xfe\x80\n") }, { TEXT("cr\rwithin\n") }, { TEXT("last\0line") },
};

TEST_ON_BOTH(a_line_is_the_same_for_every_split)
{
	char all[256];
	size_t n = 0, i, split;

	for (i = 0; i < SKS_ARRAY_LEN(corpus); i++) {
		memcpy(all + n, corpus[i].text, corpus[i].n);
		n += corpus[i].n;
	}
	for (split = 1; split <= n; split++) {
		struct rig_link l;
		char rule[64];

		rig_link_open(&l);
		sks_fault_clear();
		snprintf(rule, sizeof(rule), "recv:short=%zu:1,recv:EAGAIN:2", split);
		ck_assert_int_eq(sks_fault(rule), 0);
		rig_say(&l, all, n);
		shutdown(l.peer, SHUT_WR);
		for (i = 0; i < SKS_ARRAY_LEN(corpus); i++) {
			ck_assert_int_eq(sks_eof(&l.r), 0);
			expect_line(&l, corpus[i].text, corpus[i].n);
		}
		expect_end(&l);
		expect_end(&l);
		ck_assert_uint_eq(sks_tell(&l.r), n);
		rig_link_close(&l);
	}
}

TEST_ON_BOTH(a_line_of_single_bytes_is_the_same)
{
	struct rig_link l;
	size_t i;

	rig_link_open(&l);
	ck_assert_int_eq(sks_fault("recv:short=1,recv:EAGAIN:%2"), 0);
	for (i = 0; i < SKS_ARRAY_LEN(corpus); i++)
		rig_say(&l, corpus[i].text, corpus[i].n);
	shutdown(l.peer, SHUT_WR);
	for (i = 0; i < SKS_ARRAY_LEN(corpus); i++)
		expect_line(&l, corpus[i].text, corpus[i].n);
	expect_end(&l);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_nul_stands_behind_a_line_and_goes_again)
{
	struct rig_link l;
	char *line, *bytes, two[2];

	rig_link_open(&l);
	rig_say(&l, TEXT("one\ntwo\nthree\nfour\nfive"));
	expect_line(&l, TEXT("one\n"));
	expect_line(&l, TEXT("two\n"));
	ck_assert_int_eq(sks_peek(&l.r, 1, &bytes), 15);
	ck_assert_mem_eq(bytes, "three\nfour\nfive", 15);
	expect_line(&l, TEXT("three\n"));
	ck_assert_int_eq(sks_read(&l.r, two, 2), 2);
	ck_assert_mem_eq(two, "fo", 2);
	ck_assert_int_eq(sks_readuntil(&l.r, 'u', 0, &line), 1);
	ck_assert_str_eq(line, "u");
	/* The byte comes back also when the caller wrote where the NUL was. */
	line[1] = 'X';
	expect_line(&l, TEXT("r\n"));
	shutdown(l.peer, SHUT_WR);
	expect_line(&l, TEXT("five"));
	expect_end(&l);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_line_may_be_changed_in_place)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	rig_say(&l, TEXT("one\ntwo\n"));
	ck_assert_int_eq(sks_readline(&l.r, &line), 4);
	memset(line, '\n', 5);
	expect_line(&l, TEXT("two\n"));
	rig_link_close(&l);
}

TEST_ON_BOTH(a_line_of_max_line_bytes_is_the_longest)
{
	struct rig_link l;
	char *line, got[64];

	rig_link_open(&l);
	l.r.max_line = 16;
	rig_say(&l, TEXT("fifteen bytes..\nsixteen bytes...\nnext\n"));
	expect_line(&l, TEXT("fifteen bytes..\n"));
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_ptr_null(sks_gets(&l.r));
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_error(&l.r), 0);
	ck_assert_uint_eq(sks_tell(&l.r), 16);
	ck_assert_int_eq(sks_read(&l.r, got, 8), 8);
	ck_assert_mem_eq(got, "sixteen ", 8);
	expect_line(&l, TEXT("bytes...\n"));
	expect_line(&l, TEXT("next\n"));
	rig_say(&l, TEXT("seventeen bytes is too much\nlast\n"));
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	expect_line(&l, TEXT("last\n"));
	rig_link_close(&l);
}

TEST_ON_BOTH(the_default_bound_holds_for_lines_in_pieces)
{
	struct rig_link l;
	char text[8194], *line;
	size_t n;

	memset(text, 'x', sizeof(text));
	for (n = 8191; n <= 8193; n++) { /* the newline included */
		rig_link_open(&l);
		sks_fault_clear();
		ck_assert_int_eq(sks_fault("recv:short=1000"), 0);
		text[n - 1] = '\n';
		rig_say(&l, text, n);
		if (n <= 8192)
			expect_line(&l, text, n);
		else {
			ck_assert_int_eq(sks_readline(&l.r, &line), -1);
			ck_assert_int_eq(errno, EMSGSIZE);
			ck_assert_uint_eq(sks_tell(&l.r), 0);
			ck_assert_uint_le(l.r.buf.cap, 32768);
		}
		text[n - 1] = 'x';
		rig_link_close(&l);
	}
}

/* A peer without end. */
static size_t endless_left, endless_asked;

static ssize_t
endless_read(struct sks_transport *tr, void *buf, size_t n)
{
	(void)tr;
	endless_asked = sks_max(endless_asked, n);
	n = sks_min(n, endless_left);
	memset(buf, 'x', n);
	endless_left -= n;
	if (n > 0)
		return (ssize_t)n;
	memcpy(buf, "\nnext\n", 6);
	return 6;
}

static const struct sks_transport_ops endless = { endless_read, swallow, do_nothing };

TEST_ON_BOTH(an_endless_line_is_skipped_in_bounded_memory)
{
	struct rig_link l;

	endless_left = (size_t)1 << 30;
	endless_asked = 0;
	if (is_slow())
		endless_left >>= 4;
	rig_link_open_on(&l, &endless);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	ck_assert_uint_le(endless_asked, 32768);
	expect_line(&l, TEXT("next\n"));
	rig_link_close(&l);
}

TEST_ON_BOTH(skipline_tells_the_end)
{
	struct rig_link l;

	rig_link_open(&l);
	rig_say(&l, TEXT("a\n\nno newline"));
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	ck_assert_uint_eq(sks_tell(&l.r), 3);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	ck_assert_int_eq(sks_skipline(&l.r), 0);
	ck_assert_int_eq(sks_eof(&l.r), 1);
	rig_link_close(&l);
}

TEST_ON_BOTH(gets_takes_the_line_end_away)
{
	static const char *const want[] = { "a", "b", "", "", "\r", "c\rd", "nul", "last\r" };
	struct rig_link l;
	size_t i;

	rig_link_open(&l);
	rig_say(&l, TEXT("a\nb\r\n\n\r\n\r\r\nc\rd\nnul\0more\nlast\r"));
	shutdown(l.peer, SHUT_WR);
	for (i = 0; i < SKS_ARRAY_LEN(want); i++) {
		errno = EDOM;
		ck_assert_str_eq(sks_gets(&l.r), want[i]);
	}
	ck_assert_ptr_null(sks_gets(&l.r));
	ck_assert_int_eq(errno, 0);
	rig_link_close(&l);
}

TEST_ON_BOTH(an_end_of_input_is_told_from_an_error)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	rig_say(&l, TEXT("0123456789\nlast"));
	l.r.max_line = 4;
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(sks_end(&l.r), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_skipline(&l.r), 1);
	l.r.max_line = 8;
	sks_rfile_set_timeout(&l.r, 1);
	ck_assert_ptr_null(sks_gets(&l.r));
	ck_assert_int_eq(sks_end(&l.r), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	shutdown(l.peer, SHUT_WR);
	ck_assert_str_eq(sks_gets(&l.r), "last");
	ck_assert_ptr_null(sks_gets(&l.r));
	ck_assert_int_eq(sks_end(&l.r), SKS_DONE);
	rig_link_close(&l);
}

TEST_ON_BOTH(readuntil_stops_at_any_byte)
{
	struct rig_link l;
	char *block;

	rig_link_open(&l);
	rig_say(&l, TEXT("key=value;\0\xff;end"));
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_readuntil(&l.r, '=', 3, &block), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_readuntil(&l.r, '=', 4, &block), 4);
	ck_assert_str_eq(block, "key=");
	ck_assert_int_eq(sks_readuntil(&l.r, ';', 0, &block), 6);
	ck_assert_str_eq(block, "value;");
	ck_assert_int_eq(sks_readuntil(&l.r, '\0', 0, &block), 1);
	ck_assert_int_eq(sks_readuntil(&l.r, 0xff, 0, &block), 1);
	ck_assert_int_eq(sks_readuntil(&l.r, ';', 0, &block), 1);
	ck_assert_int_eq(sks_readuntil(&l.r, ';', 0, &block), 3);
	ck_assert_str_eq(block, "end");
	ck_assert_int_eq(sks_readuntil(&l.r, ';', 0, &block), 0);
	rig_link_close(&l);
}

TEST_ON_BOTH(read_gives_what_is_there)
{
	static char buf[65536];
	struct rig_link l;

	rig_link_open(&l);
	rig_say(&l, TEXT("0123456789"));
	ck_assert_int_eq(sks_read(&l.r, buf, 0), 0);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	ck_assert_int_eq(sks_read(&l.r, buf, 4), 4);
	ck_assert_int_eq(sks_read(&l.r, buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "456789", 6);
	rig_say(&l, TEXT("direct"));
	ck_assert_int_eq(sks_read(&l.r, buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "direct", 6);
	ck_assert_uint_eq(sks_tell(&l.r), 16);
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_read(&l.r, buf, 10), 0);
	ck_assert_int_eq(sks_read(&l.r, buf, sizeof(buf)), 0);
	ck_assert_int_eq(sks_read(&l.r, buf, 0), 0);
	rig_link_close(&l);
}

/* What comes after the reader's first wait. */
struct later {
	struct rig_link *l;
	const char *bytes;
	size_t n;
	int turns; /* before it speaks */
};

static void
say_later(void *arg)
{
	struct later *later = arg;

	while (later->turns-- > 0)
		sks_yield();
	while (later->n > 0) {
		ssize_t sent = send(later->l->peer, later->bytes, later->n, MSG_NOSIGNAL);

		if (sent > 0) {
			later->bytes += sent;
			later->n -= (size_t)sent;
		} else if (errno != EAGAIN || sks_wait_fd(later->l->peer, SKS_WRITE, SKS_OFF) == -1)
			ck_abort_msg("say_later: %s", strerror(errno));
	}
	shutdown(later->l->peer, SHUT_WR);
}

static void
readn_big(void *arg)
{
	struct rig_link *l = arg;
	char *got = malloc(BIG * 2); /* more is asked for than comes */
	size_t sizes[] = { 1, 16383, 16384, 65536, 65537, 1000000 }, at = 0, i;

	ck_assert_ptr_nonnull(got);
	for (i = 0; i < SKS_ARRAY_LEN(sizes); i++) {
		ck_assert_int_eq(sks_readn(&l->r, got + at, sizes[i]), (ssize_t)sizes[i]);
		at += sizes[i];
		ck_assert_uint_eq(sks_tell(&l->r), at);
	}
	ck_assert_int_eq(sks_readn(&l->r, got + at, BIG), (ssize_t)(BIG - at));
	ck_assert_mem_eq(got, big, BIG);
	ck_assert_int_eq(sks_readn(&l->r, got, 1), 0);
	ck_assert_int_eq(sks_readn(&l->r, got, 0), 0);
	free(got);
}

static void *
say_on_thread(void *arg)
{
	struct later *later = arg;

	fcntl(later->l->peer, F_SETFL, 0);
	say_later(later);
	return NULL;
}

TEST(readn_reads_all_but_stops_at_the_end, ON_BOTH)
{
	struct rig_link l;
	struct later later = { &l, NULL, BIG, 2 };

	need_big();
	later.bytes = big;
	if (_i == 0) {
		pthread_t thread;

		rig_link_open(&l);
		ck_assert_int_eq(pthread_create(&thread, NULL, say_on_thread, &later), 0);
		readn_big(&l);
		pthread_join(thread, NULL);
		rig_link_close(&l);
	} else {
		struct rig_loop rig;

		rig_loop_open(&rig);
		rig_link_open(&l);
		rig_go(&rig, readn_big, &l);
		rig_go(&rig, say_later, &later);
		rig_run(&rig);
		rig_link_close(&l);
		rig_loop_close(&rig);
	}
}

TEST_ON_BOTH(peek_shows_and_consumes_nothing)
{
	struct rig_link l;
	char *bytes;

	rig_link_open(&l);
	ck_assert_int_eq(sks_peek(&l.r, 0, &bytes), 0);
	ck_assert_int_eq(sks_peek(&l.r, 65537, &bytes), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(sks_fault("recv:short=2"), 0);
	rig_say(&l, TEXT("peeked"));
	ck_assert_int_eq(sks_peek(&l.r, 1, &bytes), 2);
	ck_assert_int_eq(sks_peek(&l.r, 5, &bytes), 6);
	ck_assert_mem_eq(bytes, "peeked", 6);
	ck_assert_int_eq(sks_peek(&l.r, 0, &bytes), 6);
	ck_assert_uint_eq(sks_tell(&l.r), 0);
	shutdown(l.peer, SHUT_WR);
	ck_assert_int_eq(sks_peek(&l.r, 65536, &bytes), 6);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	expect_line(&l, TEXT("peeked"));
	ck_assert_int_eq(sks_peek(&l.r, 1, &bytes), 0);
	ck_assert_int_eq(sks_eof(&l.r), 1);
	rig_link_close(&l);
}

TEST_ON_BOTH(peek_reaches_its_bound)
{
	static char text[65536];
	struct rig_link l;
	char *bytes;
	int on = 1 << 20;

	rig_link_open(&l);
	setsockopt(l.peer, SOL_SOCKET, SO_SNDBUF, &on, sizeof(on));
	memset(text, 'x', sizeof(text));
	rig_say(&l, text, sizeof(text));
	ck_assert_int_eq(sks_peek(&l.r, 65536, &bytes), 65536);
	ck_assert_mem_eq(bytes, text, sizeof(text));
	l.r.max_line = 100000;
	rig_say(&l, text, 34464);
	ck_assert_int_eq(sks_peek(&l.r, 100000, &bytes), 100000);
	ck_assert_int_eq(sks_peek(&l.r, 100001, &bytes), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	rig_link_close(&l);
}

TEST_ON_BOTH(an_urgent_byte_is_not_in_the_line)
{
	struct rig_link l;

	rig_link_open_tcp(&l);
	rig_say(&l, TEXT("ab"));
	ck_assert_int_eq(send(l.peer, "!", 1, MSG_OOB), 1);
	rig_say(&l, TEXT("cd\nef\n"));
	shutdown(l.peer, SHUT_WR);
	expect_line(&l, TEXT("abcd\n"));
	expect_line(&l, TEXT("ef\n"));
	expect_end(&l);
	ck_assert_uint_le(sks_fault_calls("recv"), 8);
	rig_link_close(&l);
}
