/* SPDX-License-Identifier: MIT */
/*
 * check_stream_time.c - how long a stream waits: limits, and what they keep.
 */
#include "base/clock.h"
#include "base/util.h"
#include "streams.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timerfd.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

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

static void
expect_time_out(struct rig_link *l, enum sks_wait_end reason)
{
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_task_current()->wait_end, reason);
}

/* errno is the same for all of them. */
TEST_ON_BOTH(the_limit_that_has_passed_is_told)
{
	struct rig_link l;
	struct sks_timeout scope;

	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 3);
	expect_time_out(&l, SKS_WAIT_IDLE);
	sks_rfile_set_idle(&l.r, SKS_OFF);
	ck_assert_int_eq(sks_timeout_begin(&scope, 3), 0);
	expect_time_out(&l, SKS_WAIT_DEADLINE);
	ck_assert_int_eq(sks_timeout_end(&scope), 1);
	sks_set_timeout(&l.r, 3);
	rig_say(&l, TEXT("par"));
	expect_time_out(&l, SKS_WAIT_TIMEOUT);
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
	sks_set_timeout(&l.r, SKS_DEFAULT);
	sks_rfile_set_idle(&l.r, SKS_DEFAULT);
	sks_set_timeout(&l.w, SKS_DEFAULT);
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

TEST(idle_holds_until_the_first_byte_and_timeout_from_there)
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

/* A block whose first bytes came with the line before has begun, so it has timeout_ms. */
static void
read_rest_of_block(void *arg)
{
	struct rig_link *l = arg;
	char block[4];

	expect_line(l, TEXT("line\n"));
	ck_assert_int_eq(sks_readn(&l->r, block, 4), 4);
	ck_assert_mem_eq(block, "head", 4);
}

static void
copy_rest_of_block(void *arg)
{
	struct sks_times times = { -1, -1, -1 };
	struct rig_link *l = arg;
	struct sks_wfile memory;

	sks_wfile_init(&memory, NULL, &times, &times, 100);
	expect_line(l, TEXT("line\n"));
	ck_assert_int_eq(sks_copy(&l->r, &memory, 4), 0);
	sks_wfile_close(&memory);
}

static void
look_at_limit_of_rest(void *arg)
{
	struct rig_link *l = arg;

	sks_yield();
	ck_assert_ptr_nonnull(l->watch.reader); /* it waits for the rest */
	ck_assert_int_ge(l->watch.deadline, sks_clock_ms() + 500000);
	rig_say(l, TEXT("ad"));
}

TEST(timeout_holds_from_bytes_that_came_with_the_line_before, TIMES(2))
{
	struct rig_loop rig;
	struct rig_link l;

	rig_loop_open(&rig);
	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 100000);
	sks_set_timeout(&l.r, 1000000);
	rig_say(&l, TEXT("line\nhe"));
	rig_go(&rig, _i == 0 ? read_rest_of_block : copy_rest_of_block, &l);
	rig_go(&rig, look_at_limit_of_rest, &l);
	rig_run(&rig);
	rig_link_close(&l);
	rig_loop_close(&rig);
}

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

TEST(a_byte_now_and_then_keeps_nothing_alive, TIMES(SLOW_OPS))
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

/* Each other try has room for a byte, so the one after the deadline has, too. */
static ssize_t
write_a_byte(struct sks_transport *tr, const struct iovec *iov, int n)
{
	static int full;

	(void)tr;
	(void)iov;
	(void)n;
	full = !full;
	errno = EAGAIN;
	return full ? -1 : 1;
}

static void
write_much(void *arg)
{
	static char much[1024 * 1024];
	struct rig_link *l = arg;

	ck_assert_int_eq(sks_write(&l->w, much, sizeof(much)), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
}

/* On a fiber and on a thread. No wait finds room in the socket, which is full. */
TEST(a_byte_now_and_then_keeps_no_write_alive, TIMES(2))
{
	static const struct sks_transport_ops byte_by_byte = { .write = write_a_byte };
	struct rig_link l;
	struct rig_loop rig;

	if (_i == 0)
		rig_loop_open(&rig);
	rig_link_open_on(&l, &byte_by_byte);
	while (send(l.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		;
	sks_set_timeout(&l.w, 10);
	if (_i == 0) {
		rig_go(&rig, write_much, &l);
		rig_run(&rig);
	} else
		write_much(&l);
	rig_link_close(&l);
	if (_i == 0)
		rig_loop_close(&rig);
}

/* -- a peer that takes a block now and then -- */

#define BLOCK 16384

/* Each block has to wait twice for 5 ms, before the peer takes it all. */
static ssize_t
write_a_block_in_time(struct sks_transport *tr, const struct iovec *iov, int n)
{
	static const struct itimerspec soon = { .it_value.tv_nsec = 5000000 };
	static int tries;
	size_t all = 0;

	if (tries++ % 3 < 2) {
		ck_assert_int_eq(timerfd_settime(tr->fd, 0, &soon, NULL), 0);
		errno = EAGAIN;
		return -1;
	}
	while (n-- > 0)
		all += iov++->iov_len;
	return (ssize_t)all;
}

static ssize_t
read_a_block(struct sks_transport *tr, void *buf, size_t n)
{
	(void)tr;
	memset(buf, 'x', n);
	return (ssize_t)sks_min(n, BLOCK);
}

/* Each way to bring a peer 4 MiB. */
static int
write_blocks(struct rig_link *l)
{
	static const char block[BLOCK];
	int i, rc = 0;

	for (i = 0; i < 256 && rc == 0; i++)
		rc = sks_write(&l->w, block, sizeof(block));
	return rc;
}

static int
pass_blocks(struct rig_link *l)
{
	ssize_t n = 1;
	int i;

	for (i = 0; i < 256 && n > 0; i++)
		n = sks_pass(&l->r, &l->w);
	return n > 0 ? 0 : -1;
}

static int
copy_blocks(struct rig_link *l)
{
	return sks_copy(&l->r, &l->w, 256 * BLOCK);
}

static const struct way {
	const char *name;
	int (*run)(struct rig_link *l);
} ways[] = { { "write", write_blocks }, { "pass", pass_blocks }, { "copy", copy_blocks } };

static const struct way *way;

static void
bring_blocks(void *unused)
{
	static const struct sks_transport_ops block_by_block = { .read = read_a_block,
		.write = write_a_block_in_time };
	struct rig_link l;

	(void)unused;
	rig_link_open_on(&l, &block_by_block);
	l.tr.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	sks_set_timeout(&l.w, 25);
	ck_fails(way->run(&l), ETIMEDOUT);
	close(l.tr.fd);
	rig_link_close(&l);
}

/* Each has a limit of its own that holds, and all together are too slow: 64 KiB take 40 ms. */
TEST(blocks_now_and_then_keep_nothing_alive_on_a_fiber, EACH_OF(ways))
{
	way = &ways[_i];
	rig_run_on(1, bring_blocks, NULL);
}

TEST(blocks_now_and_then_keep_nothing_alive_on_a_thread, EACH_OF(ways))
{
	way = &ways[_i];
	rig_run_on(0, bring_blocks, NULL);
}

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

TEST(a_byte_now_and_then_keeps_no_thread_waiting, TIMES(2))
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
