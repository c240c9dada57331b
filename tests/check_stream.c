/* SPDX-License-Identifier: MIT */
/*
 * check_stream.c - rfile and wfile, each test on a thread and on a fiber.
 *
 * Input that must come in pieces comes in one, and the fault table cuts it:
 * no peer has to be timed. Where a peer must act while a call waits, it is
 * another fiber.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"
#include "fiber/context.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TEXT(s) (s), sizeof(s) - 1

/* The body of a test, run on a thread (_i is 0) and on a fiber (_i is 1). */
#define TEST_ON_BOTH(name)               \
	static void name##_body(void *); \
	START_TEST(name)                 \
	{                                \
		rig_run_on(_i, name##_body, NULL); \
	}                                \
	END_TEST                         \
	static void name##_body(void *unused __attribute__((unused)))

static char *big; /* 16 MiB in which no byte's place can be mistaken */

#define BIG ((size_t)16 << 20)

static void
set_up(void)
{
	rig_setup();
}

static void
need_big(void)
{
	uint32_t x = 1;
	size_t i;

	big = malloc(BIG);
	ck_assert_ptr_nonnull(big);
	for (i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		big[i] = (char)(x >> 24);
	}
}

static void
tear_down(void)
{
	free(big);
	big = NULL;
	no_leaks_teardown();
}

static void
expect_line(struct rig_link *l, const char *want, size_t n)
{
	char *line = NULL;

	ck_assert_int_eq(sks_readline(&l->r, &line), (ssize_t)n);
	ck_assert_mem_eq(line, want, n);
	ck_assert_int_eq(line[n], '\0');
}

static void
expect_end(struct rig_link *l)
{
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 0);
	ck_assert_int_eq(sks_eof(&l->r), 1);
	ck_assert_int_eq(sks_error(&l->r), 0);
}

/* -- reading -- */

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

static ssize_t
swallow(struct sks_transport *tr, const struct iovec *iov, int n)
{
	size_t total = 0;

	(void)tr;
	while (n-- > 0)
		total += (iov++)->iov_len;
	return (ssize_t)total;
}

static void
do_nothing(struct sks_transport *tr)
{
	(void)tr;
}

static const struct sks_transport_ops endless = { endless_read, swallow, do_nothing };

TEST_ON_BOTH(an_endless_line_is_skipped_in_bounded_memory)
{
	struct rig_link l;

	endless_left = (size_t)1 << 30;
	endless_asked = 0;
	if (SKS_ASAN || SKS_TSAN)
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
		} else if (errno != EAGAIN || sks_wait_fd(later->l->peer, SKS_WRITE, 0) == -1)
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

START_TEST(readn_reads_all_but_stops_at_the_end)
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
END_TEST

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

TEST_ON_BOTH(copy_copies_so_many_or_all)
{
	struct rig_link from, to;
	char got[64];

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("one line\nhead:body:tail"));
	expect_line(&from, TEXT("one line\n"));
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 0), 0);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 5), 0);
	ck_assert_uint_eq(sks_tell(&from.r), 14);
	ck_assert_int_eq(sks_flush(&to.w), 0);
	ck_assert_uint_eq(rig_hear(&to, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "head:", 5);
	shutdown(from.peer, SHUT_WR);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 100), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_int_eq(sks_error(&from.r), 0);
	ck_assert_int_eq(sks_error(&to.w), 0);
	ck_assert_int_eq(sks_flush(&to.w), 0);
	ck_assert_uint_eq(rig_hear(&to, got, sizeof(got)), 9);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 1), -1);
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, -1), 0);
	ck_assert_int_eq(sks_copy(&from.r, &to.w, 0), 0);
	rig_link_close(&from);
	rig_link_close(&to);
}

static void
expect_passed(struct rig_link *to, const char *want, size_t n)
{
	char got[64];

	ck_assert_int_eq(sks_flush(&to->w), 0);
	ck_assert_uint_eq(rig_hear(to, got, sizeof(got)), n);
	ck_assert_mem_eq(got, want, n);
}

TEST_ON_BOTH(pass_passes_on_what_there_is)
{
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("one line\nrest"));
	expect_line(&from, TEXT("one line\n"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4); /* what was buffered */
	ck_assert_uint_eq(sks_tell(&from.r), 13);
	expect_passed(&to, TEXT("rest"));
	ck_assert_int_eq(sks_puts(&to.w, "head:"), 0);
	rig_say(&from, TEXT("body:"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 5); /* behind what was written */
	ck_assert_int_eq(sks_puts(&to.w, "tail"), 0);
	expect_passed(&to, TEXT("head:body:tail"));
	rig_say(&from, TEXT("more"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4); /* before what is written */
	ck_assert_int_eq(sks_puts(&to.w, "and more"), 0);
	expect_passed(&to, TEXT("moreand more"));
	shutdown(from.peer, SHUT_WR);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 0);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 0);
	ck_assert_uint_eq(sks_tell(&from.r), 22);
	rig_link_close(&from);
	rig_link_close(&to);
}

/* More than to's buffer may hold, into a socket, and into memory that is too small for it. */
TEST_ON_BOTH(pass_keeps_to_the_bounds_of_what_it_writes_to)
{
	struct sks_wfile memory;
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	to.w.max_output = 3;
	rig_say(&from, TEXT("body"));
	ck_assert_int_eq(sks_pass(&from.r, &to.w), 4);
	expect_passed(&to, TEXT("body"));
	sks_wfile_init(&memory, NULL, &to.times, &to.times, 5);
	rig_say(&from, TEXT("four"));
	ck_assert_int_eq(sks_pass(&from.r, &memory), 4);
	rig_say(&from, TEXT("more"));
	ck_assert_int_eq(sks_pass(&from.r, &memory), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	shutdown(from.peer, SHUT_WR);
	expect_line(&from, TEXT("more")); /* it was not consumed; then comes the end */
	sks_wfile_close(&memory);
	rig_link_close(&from);
	rig_link_close(&to);
}

TEST_ON_BOTH(pass_tells_what_broke_either_side)
{
	struct rig_link from, to;

	rig_link_open(&from);
	rig_link_open(&to);
	rig_say(&from, TEXT("lost"));
	close(to.peer);
	to.peer = -1;
	ck_assert_int_eq(sks_puts(&to.w, "x"), 0);
	ck_assert_int_eq(sks_flush(&to.w), -1);
	ck_assert_int_eq(sks_pass(&from.r, &to.w), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_error(&from.r), 0);
	rig_link_close(&from);
	rig_link_close(&to);
}

/* -- errors -- */

TEST_ON_BOTH(a_reset_sticks)
{
	static const struct linger now = { .l_onoff = 1 };
	struct rig_link l;
	char *line, byte;
	unsigned long calls;

	rig_link_open_tcp(&l);
	setsockopt(l.peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	rig_say(&l, TEXT("a line\n"));
	expect_line(&l, TEXT("a line\n"));
	close(l.peer);
	l.peer = -1;
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sks_error(&l.r), ECONNRESET);
	calls = sks_fault_calls("recv");
	errno = 0;
	ck_assert_int_eq(sks_read(&l.r, &byte, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sks_readn(&l.r, &byte, 1), -1);
	ck_assert_int_eq(sks_peek(&l.r, 1, &line), -1);
	ck_assert_int_eq(sks_skipline(&l.r), -1);
	ck_assert_int_eq(sks_copy(&l.r, &l.w, -1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	ck_assert_uint_eq(sks_fault_calls("recv"), calls);
	rig_link_close(&l);
}

TEST_ON_BOTH(what_came_before_an_error_is_read_first)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	ck_assert_int_eq(sks_fault("recv:ECONNRESET:2"), 0);
	rig_say(&l, TEXT("whole\npart"));
	expect_line(&l, TEXT("whole\n"));
	rig_say(&l, TEXT("more"));
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	/* The part is still there. */
	ck_assert_int_eq(sks_peek(&l.r, 4, &line), 4);
	ck_assert_mem_eq(line, "part", 4);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_broken_pipe_sticks)
{
	struct rig_link l;
	unsigned long calls;

	rig_link_open(&l);
	close(l.peer);
	l.peer = -1;
	ck_assert_int_eq(sks_puts(&l.w, "x"), 0);
	ck_assert_int_eq(sks_flush(&l.w), -1); /* and no SIGPIPE */
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_error(&l.w), EPIPE);
	calls = sks_fault_calls("send");
	ck_assert_int_eq(sks_puts(&l.w, "x"), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_printf(&l.w, "%d", 1), -1);
	ck_assert_int_eq(sks_write(&l.w, "", 0), -1);
	ck_assert_int_eq(sks_flush(&l.w), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_uint_eq(sks_fault_calls("send"), calls);
	rig_link_close(&l);
}

TEST_ON_BOTH(no_memory_consumes_nothing_and_does_not_stick)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	rig_say(&l, TEXT("a line\n"));
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_puts(&l.w, "text"), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_printf(&l.w, "text"), -1);
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	ck_assert_int_eq(sks_error(&l.r), 0);
	ck_assert_int_eq(sks_error(&l.w), 0);
	expect_line(&l, TEXT("a line\n"));
	rig_link_close(&l);
}

/* -- time -- */

TEST_ON_BOTH(a_timeout_does_not_stick_and_keeps_what_came)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	sks_set_timeout(&l.r, 3);
	sks_rfile_set_idle(&l.r, 3);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_say(&l, TEXT("par"));
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_ptr_null(sks_gets(&l.r));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_error(&l.r), 0);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	ck_assert_uint_eq(sks_tell(&l.r), 0);
	rig_say(&l, TEXT("tial\n"));
	expect_line(&l, TEXT("partial\n"));
	rig_link_close(&l);
}

TEST_ON_BOTH(a_block_cut_by_a_timeout_is_told)
{
	struct rig_link l;
	char buf[20];

	rig_link_open(&l);
	sks_set_timeout(&l.r, 3);
	rig_say(&l, TEXT("0123456"));
	ck_assert_int_eq(sks_readn(&l.r, buf, 20), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_eq(sks_tell(&l.r), 7);
	ck_assert_mem_eq(buf, "0123456", 7);
	rig_say(&l, TEXT("789"));
	ck_assert_int_eq(sks_readn(&l.r, buf, 3), 3);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_timeout_takes_its_time)
{
	struct rig_link l;
	char *line;
	int64_t before;

	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 20);
	before = rig_now();
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 19000000); /* the clock ticks in ms */
	rig_link_close(&l);
}

TEST_ON_BOTH(limits_go_back_to_their_defaults)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	l.times = (struct sks_times){ .idle_ms = 2, .read_ms = 2, .write_ms = 2 };
	sks_set_timeout(&l.r, 60000);
	sks_rfile_set_idle(&l.r, 60000);
	sks_set_timeout(&l.w, 60000);
	sks_set_timeout(&l.r, 0);
	sks_rfile_set_idle(&l.r, 0);
	sks_set_timeout(&l.w, 0);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_say(&l, TEXT("x"));
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	need_big();
	ck_assert_int_eq(sks_write(&l.w, big, BIG), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	rig_link_close(&l);
}

static void
read_line(void *arg)
{
	struct rig_link *l = arg;

	expect_line(l, TEXT("ab\n"));
}

/* Which limit holds while a fiber waits: seen where it is kept. */
static void
look_at_limits(void *arg)
{
	struct rig_link *l = arg;
	int64_t now = sks_clock_ms();

	sks_yield();
	ck_assert_int_ge(l->watch.deadline, now + 50000); /* idle */
	ck_assert_int_lt(l->watch.deadline, now + 150000);
	rig_say(l, TEXT("a"));
	while (l->watch.deadline < now + 150000)
		sks_yield();
	ck_assert_int_ge(l->watch.deadline, now + 500000); /* from the first byte: timeout */
	rig_say(l, TEXT("b\n"));
}

START_TEST(idle_holds_until_the_first_byte_and_timeout_from_there)
{
	struct rig_loop rig;
	struct rig_link l;

	rig_loop_open(&rig);
	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 100000);
	sks_set_timeout(&l.r, 1000000);
	rig_go(&rig, read_line, &l);
	rig_go(&rig, look_at_limits, &l);
	rig_run(&rig);
	rig_link_close(&l);
	rig_loop_close(&rig);
}
END_TEST

/* Calls that a peer who sends byte after byte must not keep alive. */
struct slow {
	struct rig_link l;
	int op;
	atomic_int done;
};

enum { SLOW_LINE, SLOW_SKIP, SLOW_UNTIL, SLOW_READN, SLOW_PEEK, SLOW_COPY, SLOW_OPS };

static void
drip(void *arg)
{
	struct slow *slow = arg;

	while (!slow->done) {
		(void)!send(slow->l.peer, "x", 1, MSG_NOSIGNAL);
		sks_sleep(1);
	}
}

static void
wait_for_slow(void *arg)
{
	struct slow *slow = arg;
	struct rig_link *l = &slow->l;
	struct sks_times times = { -1, -1, -1 };
	struct sks_wfile memory;
	int64_t before = rig_now();
	char buf[60000], *line;
	ssize_t rc = 0;

	sks_wfile_init(&memory, NULL, &times, &times, 100000);
	switch (slow->op) {
	case SLOW_LINE:
		rc = sks_readline(&l->r, &line);
		break;
	case SLOW_SKIP:
		rc = sks_skipline(&l->r);
		break;
	case SLOW_UNTIL:
		rc = sks_readuntil(&l->r, 'y', 60000, &line);
		break;
	case SLOW_READN:
		rc = sks_readn(&l->r, buf, sizeof(buf));
		break;
	case SLOW_PEEK:
		rc = sks_peek(&l->r, 60000, &line);
		break;
	case SLOW_COPY:
		rc = sks_copy(&l->r, &memory, 60000);
		break;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 9000000);
	ck_assert_int_eq(sks_error(&l->r), 0);
	slow->done = 1;
	sks_wfile_close(&memory);
}

START_TEST(a_byte_now_and_then_keeps_nothing_alive)
{
	struct slow slow = { .op = _i };
	struct rig_loop rig;

	rig_loop_open(&rig);
	rig_link_open(&slow.l);
	slow.l.r.max_line = 60000;
	sks_set_timeout(&slow.l.r, 10);
	rig_go(&rig, wait_for_slow, &slow);
	rig_go(&rig, drip, &slow);
	rig_run(&rig);
	rig_link_close(&slow.l);
	rig_loop_close(&rig);
}
END_TEST

static void *
drip_on_thread(void *arg)
{
	struct slow *slow = arg;

	while (!slow->done) {
		(void)!send(slow->l.peer, "x", 1, MSG_NOSIGNAL);
		poll(NULL, 0, 1); /* this is the slowness */
	}
	return NULL;
}

START_TEST(a_byte_now_and_then_keeps_no_thread_waiting)
{
	static struct slow slow;
	pthread_t thread;
	char *line;

	rig_link_open(&slow.l);
	slow.l.r.max_line = 60000;
	sks_set_timeout(&slow.l.r, 10);
	ck_assert_int_eq(pthread_create(&thread, NULL, drip_on_thread, &slow), 0);
	if (_i == 0)
		ck_assert_int_eq(sks_readline(&slow.l.r, &line), -1);
	else
		ck_assert_int_eq(sks_skipline(&slow.l.r), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	slow.done = 1;
	pthread_join(thread, NULL);
	rig_link_close(&slow.l);
}
END_TEST

/* -- writing -- */

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
	ck_assert_ptr_null(l.w.buf.base);
	rig_link_close(&l);
}

/* The peer that reads all and looks at each byte. */
struct reader {
	struct rig_link *l;
	size_t want;
};

static void
read_and_compare(void *arg)
{
	struct reader *reader = arg;
	static char buf[65536];
	size_t at = 0;

	while (at < reader->want) {
		ssize_t n = recv(reader->l->peer, buf, sizeof(buf), 0);

		if (n > 0) {
			ck_assert_uint_le((size_t)n, reader->want - at);
			ck_assert_mem_eq(buf, big + at, (size_t)n);
			at += (size_t)n;
		} else {
			ck_assert_int_eq(n, -1);
			ck_assert_int_eq(errno, EAGAIN);
			ck_assert_int_eq(sks_wait_fd(reader->l->peer, SKS_READ, 0), SKS_READ);
		}
	}
}

static void *
read_on_thread(void *arg)
{
	struct reader *reader = arg;

	fcntl(reader->l->peer, F_SETFL, 0);
	read_and_compare(reader);
	return NULL;
}

/* A tiny socket takes a few KiB at once, so where each turn is slow a part of it is as hard. */
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

START_TEST(many_mib_go_through_a_tiny_socket)
{
	static const size_t pieces[] = { 0, 1000, 16383, 16384, 100000 };
	struct rig_link l;
	struct writer writer = { &l, pieces[_i / 2] };
	struct reader reader = { &l, much() };
	int small = 1;

	need_big();
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
}
END_TEST

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

/* -- the flush rule -- */

enum { THEN_READ, THEN_SLEEP, THEN_YIELD, THEN_WAIT_FD, THEN_LOCK, THEN_COPY, THEN_WRITE, THENS };

struct flush {
	struct rig_link l, other;
	struct sks_mutex *mutex;
	int then;
	int over;
};

static void
write_then_wait(void *arg)
{
	struct flush *f = arg;
	char *line;

	ck_assert_int_eq(sks_puts(&f->l.w, "reply"), 0);
	switch (f->then) {
	case THEN_READ:
		ck_assert_int_eq(sks_readline(&f->l.r, &line), 3);
		break;
	case THEN_SLEEP:
		while (!f->over)
			sks_sleep(1);
		break;
	case THEN_YIELD:
		while (!f->over)
			sks_yield();
		break;
	case THEN_WAIT_FD:
		ck_assert_int_eq(sks_wait_fd(f->l.fd, SKS_READ, 0), SKS_READ);
		break;
	case THEN_LOCK:
		ck_assert_int_eq(sks_mutex_lock(f->mutex), 0);
		ck_assert_int_eq(sks_mutex_unlock(f->mutex), 0);
		break;
	case THEN_COPY:
		ck_assert_int_eq(sks_copy(&f->other.r, &f->other.w, 1), 0);
		break;
	case THEN_WRITE: /* to another, who does not read */
		ck_assert_int_eq(sks_write(&f->other.w, big, 1 << 20), -1);
		ck_assert_int_eq(errno, EPIPE);
		break;
	}
	ck_assert_int_eq(f->over, 1);
}

static void
see_the_reply(void *arg)
{
	struct flush *f = arg;
	char got[10];

	if (f->then == THEN_LOCK)
		ck_assert_int_eq(sks_mutex_lock(f->mutex), 0);
	sks_yield(); /* the writer runs now for the first time */
	if (f->then == THEN_WRITE)
		ck_assert_int_eq(sks_wait_fd(f->l.peer, SKS_READ, 0), SKS_READ);
	ck_assert_uint_eq(rig_hear(&f->l, got, sizeof(got)), 5);
	f->over = 1;
	switch (f->then) {
	case THEN_READ:
	case THEN_WAIT_FD:
		rig_say(&f->l, TEXT("go\n"));
		break;
	case THEN_LOCK:
		ck_assert_int_eq(sks_mutex_unlock(f->mutex), 0);
		break;
	case THEN_COPY:
		rig_say(&f->other, TEXT("x"));
		break;
	case THEN_WRITE:
		close(f->other.peer);
		f->other.peer = -1;
		break;
	}
}

START_TEST(a_reply_is_seen_before_its_writer_waits)
{
	struct flush f = { .then = _i, .mutex = sks_mutex_new() };
	struct rig_loop rig;

	if (_i == THEN_WRITE)
		need_big();
	rig_loop_open(&rig);
	rig_link_open(&f.l);
	rig_link_open(&f.other);
	rig_go(&rig, see_the_reply, &f);
	rig_go(&rig, write_then_wait, &f);
	rig_run(&rig);
	rig_link_close(&f.l);
	rig_link_close(&f.other);
	rig_loop_close(&rig);
	sks_mutex_free(f.mutex);
}
END_TEST

START_TEST(a_thread_flushes_before_it_waits)
{
	struct rig_link l;
	char got[10], *line;

	rig_link_open(&l);
	ck_assert_int_eq(sks_puts(&l.w, "reply"), 0);
	switch (_i) {
	case 0:
		sks_rfile_set_idle(&l.r, 1);
		ck_assert_int_eq(sks_readline(&l.r, &line), -1);
		break;
	case 1:
		ck_assert_int_eq(sks_sleep(1), 0);
		break;
	case 2:
		sks_yield();
		break;
	case 3:
		ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, 1), -1);
		break;
	}
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 5);
	rig_link_close(&l);
}
END_TEST

TEST_ON_BOTH(a_pipeline_costs_one_send)
{
	struct rig_link l;
	char *line, got[1100];
	ssize_t n;
	int i;

	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 1);
	for (i = 0; i < 16; i++)
		rig_say(&l, TEXT("sixty-four bytes of a line, and that is quite a lot for a line\n"));
	while ((n = sks_readline(&l.r, &line)) > 0)
		ck_assert_int_eq(sks_write(&l.w, line, (size_t)n), 0);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_uint_eq(sks_fault_calls("send"), 1);
	ck_assert_uint_le(sks_fault_calls("recv"), 2); /* the second: one more try when time is up */
	ck_assert_uint_eq(rig_hear(&l, got, sizeof(got)), 16 * 63);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_failed_flush_comes_up_at_the_next_read_that_waits)
{
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	ck_assert_int_eq(sks_fault("send:EPIPE:1"), 0);
	rig_say(&l, TEXT("one\ntwo\n"));
	expect_line(&l, TEXT("one\n"));
	ck_assert_int_eq(sks_puts(&l.w, "reply"), 0);
	expect_line(&l, TEXT("two\n")); /* is there already: needs no wait */
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(sks_error(&l.w), EPIPE);
	ck_assert_int_eq(sks_error(&l.r), 0);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_uint_eq(sks_fault_calls("send"), 1);
	rig_link_close(&l);
}

/* The socket is full and the wait for it cannot begin: nobody may then wait for the answer. */
static void
flush_without_events(void *arg)
{
	struct rig_link *l = arg;
	char *line;

	while (send(l->fd, big, 65536, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	ck_assert_int_eq(sks_puts(&l->w, "reply"), 0);
	ck_assert_int_eq(sks_fault("event_add:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_readline(&l->r, &line), -1);
	ck_assert_int_eq(errno, ENOMEM);
}

START_TEST(a_flush_that_cannot_wait_is_not_passed_over)
{
	struct rig_loop rig;
	struct rig_link l;

	need_big();
	rig_loop_open(&rig);
	rig_link_open(&l);
	rig_go(&rig, flush_without_events, &l);
	rig_run(&rig);
	rig_link_close(&l);
	rig_loop_close(&rig);
}
END_TEST

/* -- whose stream -- */

struct busy {
	struct rig_link l, other;
	int step;
};

static void
first_reader(void *arg)
{
	struct busy *b = arg;

	expect_line(&b->l, TEXT("for the first\n"));
	b->step = 1;
}

static void
second_reader(void *arg)
{
	struct busy *b = arg;
	char *line, byte;

	sks_yield();
	ck_assert_int_eq(sks_readline(&b->l.r, &line), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_read(&b->l.r, &byte, 1), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_peek(&b->l.r, 0, &line), -1);
	ck_assert_int_eq(sks_skipline(&b->l.r), -1);
	ck_assert_int_eq(sks_readn(&b->l.r, &byte, 1), -1);
	ck_assert_int_eq(sks_copy(&b->l.r, &b->l.w, 1), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_error(&b->l.r), 0);
	rig_say(&b->l, TEXT("for the first\nfor all\n"));
	while (b->step != 1)
		sks_yield();
	expect_line(&b->l, TEXT("for all\n"));
}

static void
first_writer(void *arg)
{
	struct busy *b = arg;

	ck_assert_int_eq(sks_write(&b->l.w, big, BIG), 0);
	b->step = 1;
}

static void
second_writer(void *arg)
{
	struct busy *b = arg;
	struct reader reader = { &b->l, BIG };

	sks_yield();
	ck_assert_int_eq(sks_puts(&b->l.w, "x"), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_write(&b->l.w, big, BIG), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_printf(&b->l.w, "%d", 1), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_flush(&b->l.w), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_error(&b->l.w), 0);
	read_and_compare(&reader);
	while (b->step != 1)
		sks_yield();
	ck_assert_int_eq(sks_puts(&b->l.w, "x"), 0);
}

/* It writes what lies in the reader's buffer, and waits with it. */
static void
first_copier(void *arg)
{
	struct busy *b = arg;

	ck_assert_int_eq(sks_copy(&b->l.r, &b->other.w, -1), -1);
	ck_assert_int_eq(errno, EPIPE);
	b->step = 1;
}

static void
reader_beside_a_copy(void *arg)
{
	struct busy *b = arg;
	char *line;

	while (!b->other.w.busy) {
		(void)!send(b->l.peer, big, 4096, MSG_NOSIGNAL);
		sks_yield();
	}
	ck_assert_int_eq(sks_readline(&b->l.r, &line), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(sks_skipline(&b->l.r), -1);
	ck_assert_int_eq(errno, EBUSY);
	close(b->other.peer);
	b->other.peer = -1;
	while (b->step != 1)
		sks_yield();
	ck_assert_int_ge(sks_peek(&b->l.r, 0, &line), 0);
}

START_TEST(a_second_reader_or_writer_is_refused)
{
	static void (*const pairs[][2])(void *) = {
		{ first_reader, second_reader },
		{ first_writer, second_writer },
		{ first_copier, reader_beside_a_copy },
	};
	struct busy b = { .step = 0 };
	struct rig_loop rig;

	need_big();
	rig_loop_open(&rig);
	rig_link_open(&b.l);
	rig_link_open(&b.other);
	rig_go(&rig, pairs[_i][0], &b);
	rig_go(&rig, pairs[_i][1], &b);
	rig_run(&rig);
	rig_link_close(&b.l);
	rig_link_close(&b.other);
	rig_loop_close(&rig);
}
END_TEST

/* -- memory streams, as datagrams have -- */

START_TEST(a_reply_has_a_largest_size)
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
END_TEST

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

START_TEST(bytes_in_memory_have_every_call)
{
	static const struct sks_handler handler = { .handle = use_every_call };
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes(&handler, TEXT("one\ntwo\nabcdtail"), &out, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(out, "cd");
	free(out);
}
END_TEST

START_TEST(no_memory_for_bytes_leaves_nothing_to_free)
{
	static const struct sks_handler handler = { .handle = rig_echo_lines };
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
END_TEST

/* -- the urgent byte -- */

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

/* -- any mix of calls against a model -- */

#define MODEL_SIZE 3000

static struct model {
	char bytes[MODEL_SIZE];
	size_t n;     /* all of it */
	size_t at;    /* what the reads have taken */
	size_t given; /* what the transport has given */
	uint64_t random;
} model;

static unsigned int
dice(unsigned int sides)
{
	model.random = model.random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(model.random >> 33) % sides;
}

static ssize_t
model_read(struct sks_transport *tr, void *buf, size_t n)
{
	size_t most = dice(3) == 0 ? 1 + dice(3) : 1 + dice(200);

	tr->want = dice(8) == 0 ? SKS_WRITE : SKS_READ;
	if (dice(5) == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = sks_min(sks_min(n, most), model.n - model.given);
	memcpy(buf, model.bytes + model.given, n);
	model.given += n;
	return (ssize_t)n;
}

static const struct sks_transport_ops model_ops = { model_read, swallow, do_nothing };

static const char *
rest(void)
{
	return model.bytes + model.at;
}

static size_t
left(void)
{
	return model.n - model.at;
}

/* How long the block up to this byte is; 0: it is over max. */
static size_t
block_length(int end, size_t max)
{
	const char *found = memchr(rest(), end, sks_min(left(), max));

	if (found != NULL)
		return (size_t)(found - rest()) + 1;
	return left() < max ? left() : 0;
}

static void
model_block(struct sks_rfile *r, int end, size_t max)
{
	size_t want = block_length(end, max), n;
	char *line = NULL;
	ssize_t got;

	got = end == '\n' && max == r->max_line ? sks_readline(r, &line) :
						  sks_readuntil(r, end, max, &line);
	if (want == 0 && left() > 0) {
		ck_assert_int_eq(got, -1);
		ck_assert_int_eq(errno, EMSGSIZE);
		ck_assert_int_eq(sks_skipline(r), 1);
		n = block_length('\n', MODEL_SIZE + 1);
		model.at += n;
		return;
	}
	ck_assert_int_eq(got, (ssize_t)want);
	if (want > 0) {
		ck_assert_mem_eq(line, rest(), want);
		ck_assert_int_eq(line[want], '\0');
		if (dice(2) == 0)
			memset(line, '\n', want + 1);
	}
	model.at += want;
}

static void
model_gets(struct sks_rfile *r)
{
	size_t n = block_length('\n', r->max_line);
	const char *want = rest();
	char *line = sks_gets(r);

	if (n == 0) {
		ck_assert_ptr_null(line);
		ck_assert_int_eq(errno, left() == 0 ? 0 : EMSGSIZE);
		return;
	}
	model.at += n;
	if (want[n - 1] == '\n' && --n > 0 && want[n - 1] == '\r')
		n--;
	ck_assert_ptr_nonnull(line);
	ck_assert_mem_eq(line, want, n);
	ck_assert_int_eq(line[n], '\0');
}

static void
model_step(struct sks_rfile *r, struct sks_wfile *memory)
{
	static char buf[MODEL_SIZE * 2];
	size_t n = dice(4) == 0 ? dice(MODEL_SIZE) : dice(40);
	char *bytes = NULL;
	ssize_t got;

	switch (dice(9)) {
	case 0:
	case 1:
		model_block(r, '\n', r->max_line);
		break;
	case 2:
		model_block(r, (int)dice(3), 1 + dice(60));
		break;
	case 3:
		model_gets(r);
		break;
	case 4:
		got = sks_skipline(r);
		ck_assert_int_eq(got, left() > 0);
		model.at += block_length('\n', MODEL_SIZE + 1);
		break;
	case 5:
		got = sks_read(r, buf, n);
		ck_assert_int_ge(got, n > 0 && left() > 0);
		ck_assert_int_le(got, (ssize_t)sks_min(n, left()));
		ck_assert_mem_eq(buf, rest(), (size_t)got);
		model.at += (size_t)got;
		break;
	case 6:
		got = sks_readn(r, buf, n);
		ck_assert_int_eq(got, (ssize_t)sks_min(n, left()));
		ck_assert_mem_eq(buf, rest(), (size_t)got);
		model.at += (size_t)got;
		break;
	case 7:
		got = sks_peek(r, n, &bytes);
		ck_assert_int_ge(got, (ssize_t)sks_min(n, left()));
		ck_assert_int_le(got, (ssize_t)left());
		if (got > 0)
			ck_assert_mem_eq(bytes, rest(), (size_t)got);
		break;
	case 8:
		got = sks_copy(r, memory, (int64_t)n);
		ck_assert_int_eq(got, n > left() ? -1 : 0);
		n = sks_min(n, left());
		ck_assert_uint_eq(sks_buf_length(&memory->buf), n);
		if (n > 0)
			ck_assert_mem_eq(memory->buf.base + memory->buf.start, rest(), n);
		sks_buf_release(&memory->buf, NULL);
		model.at += n;
		break;
	}
	ck_assert_uint_eq(sks_tell(r), model.at);
	ck_assert_int_eq(sks_error(r), 0);
	if (sks_eof(r))
		ck_assert_uint_eq(left(), 0);
}

static void
model_fill(void)
{
	size_t i;

	model.n = dice(4) == 0 ? dice(MODEL_SIZE) : dice(300);
	model.at = model.given = 0;
	for (i = 0; i < model.n; i++) {
		unsigned int kind = dice(12);

		model.bytes[i] = (char)(kind == 0 ? '\n' : kind == 1 ? '\r' : kind == 2 ? 0 : dice(256));
	}
}

TEST_ON_BOTH(any_mix_of_reads_agrees_with_the_model)
{
	const char *given = getenv("SKS_SEED"), *many = getenv("SKS_ROUNDS");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)rig_now();
	int round, rounds = many != NULL ? atoi(many) : is_slow() ? 300 : 2000;
	struct rig_link l;
	struct sks_wfile memory;

	printf("model: SKS_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	rig_link_open_on(&l, &model_ops);
	sks_wfile_init(&memory, NULL, &l.times, &l.times, MODEL_SIZE);
	for (round = 0; round < rounds; round++) {
		model.random = seed + (uint64_t)round;
		model_fill();
		sks_rfile_init(&l.r, &l.tr, &l.times, &l.times, 20 + dice(100));
		l.r.twin = &l.w;
		l.r.pool = rig_here() != NULL ? &rig_here()->loop->bufs : NULL;
		while (!sks_eof(&l.r))
			model_step(&l.r, &memory);
		ck_assert_uint_eq(model.at, model.n);
		sks_rfile_restore(&l.r);
		sks_rfile_close(&l.r);
	}
	sks_wfile_close(&memory);
	rig_link_close(&l);
}

static void
add_on_both(TCase *tc, const TTest *test)
{
	tcase_add_loop_test(tc, test, 0, 2);
}

int
main(void)
{
	Suite *s = suite_create("stream");
	TCase *read = tcase_create("read"), *write = tcase_create("write");
	TCase *mix = tcase_create("mix");

	tcase_add_checked_fixture(read, set_up, tear_down);
	tcase_set_timeout(read, 120);
	add_on_both(read, a_line_is_the_same_for_every_split);
	add_on_both(read, a_line_of_single_bytes_is_the_same);
	add_on_both(read, a_nul_stands_behind_a_line_and_goes_again);
	add_on_both(read, a_line_may_be_changed_in_place);
	add_on_both(read, a_line_of_max_line_bytes_is_the_longest);
	add_on_both(read, the_default_bound_holds_for_lines_in_pieces);
	add_on_both(read, an_endless_line_is_skipped_in_bounded_memory);
	add_on_both(read, skipline_tells_the_end);
	add_on_both(read, gets_takes_the_line_end_away);
	add_on_both(read, readuntil_stops_at_any_byte);
	add_on_both(read, read_gives_what_is_there);
	add_on_both(read, readn_reads_all_but_stops_at_the_end);
	add_on_both(read, peek_shows_and_consumes_nothing);
	add_on_both(read, peek_reaches_its_bound);
	add_on_both(read, copy_copies_so_many_or_all);
	add_on_both(read, pass_passes_on_what_there_is);
	add_on_both(read, pass_keeps_to_the_bounds_of_what_it_writes_to);
	add_on_both(read, pass_tells_what_broke_either_side);
	add_on_both(read, a_reset_sticks);
	add_on_both(read, what_came_before_an_error_is_read_first);
	add_on_both(read, no_memory_consumes_nothing_and_does_not_stick);
	add_on_both(read, a_timeout_does_not_stick_and_keeps_what_came);
	add_on_both(read, a_block_cut_by_a_timeout_is_told);
	add_on_both(read, a_timeout_takes_its_time);
	add_on_both(read, limits_go_back_to_their_defaults);
	tcase_add_test(read, idle_holds_until_the_first_byte_and_timeout_from_there);
	tcase_add_loop_test(read, a_byte_now_and_then_keeps_nothing_alive, 0, SLOW_OPS);
	tcase_add_loop_test(read, a_byte_now_and_then_keeps_no_thread_waiting, 0, 2);
	add_on_both(read, an_urgent_byte_is_not_in_the_line);
	suite_add_tcase(s, read);

	tcase_add_checked_fixture(write, set_up, tear_down);
	tcase_set_timeout(write, 120);
	add_on_both(write, small_writes_gather);
	tcase_add_loop_test(write, many_mib_go_through_a_tiny_socket, 0, 10);
	add_on_both(write, printf_of_more_than_max_output_goes_out);
	add_on_both(write, a_broken_pipe_sticks);
	add_on_both(write, a_peer_that_never_reads_ends_the_write);
	add_on_both(write, small_writes_to_a_peer_that_never_reads_are_bounded);
	tcase_add_loop_test(write, a_reply_is_seen_before_its_writer_waits, 0, THENS);
	tcase_add_loop_test(write, a_thread_flushes_before_it_waits, 0, 4);
	add_on_both(write, a_pipeline_costs_one_send);
	add_on_both(write, a_failed_flush_comes_up_at_the_next_read_that_waits);
	tcase_add_test(write, a_flush_that_cannot_wait_is_not_passed_over);
	tcase_add_loop_test(write, a_second_reader_or_writer_is_refused, 0, 3);
	tcase_add_test(write, a_reply_has_a_largest_size);
	tcase_add_test(write, bytes_in_memory_have_every_call);
	tcase_add_test(write, no_memory_for_bytes_leaves_nothing_to_free);
	suite_add_tcase(s, write);

	tcase_add_checked_fixture(mix, set_up, tear_down);
	tcase_set_timeout(mix, 300);
	add_on_both(mix, any_mix_of_reads_agrees_with_the_model);
	suite_add_tcase(s, mix);
	return run_suite(s);
}
