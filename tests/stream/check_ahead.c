/* SPDX-License-Identifier: MIT */
/*
 * check_ahead.c - a write that waits for room reads ahead, and what it has read is told to the
 * reads that follow: bytes, ends and errors. (A client that sends all of its pipeline before it
 * reads is in check_pipeline.)
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "stream/ahead.h"
#include "streams.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

#define MUCH ((size_t)1 << 20) /* more than the socket takes */
#define MOST 65536
#define READ_ONCE 32768 /* no read ahead is longer, so the bound is exceeded by less */

static size_t
ahead(const struct rig_link *l)
{
	return sks_buf_length(&l->r.ahead.buf);
}

/* What a peer on another thread may look at: whether its bytes were read. */
static int
is_read(const struct rig_link *l)
{
	int bytes;

	return ioctl(l->fd, FIONREAD, &bytes) == 0 && bytes == 0;
}

static void
open_link(struct rig_link *l)
{
	rig_link_open(l);
	need_big();
	sks_rfile_set_max_input(&l->r, MOST);
	l->times.write_ms = 30000;
	sks_set_timeout(&l->w, SKS_DEFAULT);
}

/*
 * The peer, on a thread of its own: does something, and then reads all of big's first MUCH bytes.
 */
struct peer {
	struct rig_link *l;
	void (*first)(struct rig_link *l);
	pthread_t thread;
};

static void *
be_peer(void *arg)
{
	struct peer *peer = arg;

	peer->first(peer->l);
	return read_on_thread(&(struct reader){ .l = peer->l, .want = MUCH });
}

/* Writes until the peer has read it. */
static void
write_beside(struct rig_link *l, void (*first)(struct rig_link *))
{
	struct peer peer = { .l = l, .first = first };

	ck_assert_int_eq(pthread_create(&peer.thread, NULL, be_peer, &peer), 0);
	ck_assert_int_eq(sks_write(&l->w, big, MUCH), 0);
	ck_assert_int_eq(sks_flush(&l->w), 0);
	pthread_join(peer.thread, NULL);
}

static void
say_lines(struct rig_link *l)
{
	rig_say(l, TEXT("behind\nlast"));
	ck_eventually(is_read(l));
}

TEST_ON_BOTH(lines_before_and_behind_a_write_are_read_in_order)
{
	struct rig_link l;
	char *line;

	open_link(&l);
	rig_say(&l, TEXT("before\nhalf"));
	ck_assert_int_eq(sks_readline(&l.r, &line), 7);
	write_beside(&l, say_lines);
	ck_assert_str_eq(line, "before\n"); /* a write moves nothing that the handler looks at */
	ck_assert_uint_eq(sks_tell(&l.r), 7);
	expect_line(&l, TEXT("halfbehind\n"));
	rig_say(&l, TEXT(" line\n"));
	expect_line(&l, TEXT("last line\n"));
	rig_link_close(&l);
}

static void
say_much(struct rig_link *l)
{
	rig_say(l, big, MOST / 2);
	ck_eventually(is_read(l));
}

TEST_ON_BOTH(a_long_read_takes_what_was_read_ahead)
{
	struct rig_link l;
	char got[MOST / 2];

	open_link(&l);
	write_beside(&l, say_much);
	ck_assert_int_eq(sks_readn(&l.r, got, sizeof(got)), (ssize_t)sizeof(got));
	ck_assert_mem_eq(got, big, sizeof(got));
	ck_assert_uint_eq(sks_tell(&l.r), sizeof(got));
	rig_link_close(&l);
}

static void
say_a_line_and_end(struct rig_link *l)
{
	unsigned long reads;

	rig_say(l, TEXT("line\n"));
	ck_eventually(is_read(l));
	reads = sks_fault_calls("recv");
	shutdown(l->peer, SHUT_WR);
	ck_eventually(sks_fault_calls("recv") > reads);
}

TEST_ON_BOTH(an_end_is_told_behind_its_bytes_and_ends_no_write)
{
	struct rig_link l;

	open_link(&l);
	write_beside(&l, say_a_line_and_end);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	expect_line(&l, TEXT("line\n"));
	expect_end(&l);
	rig_link_close(&l);
}

static void
say_a_line_and_fail(struct rig_link *l)
{
	rig_say(l, TEXT("line\n"));
	ck_eventually(is_read(l));
	fault("recv:ECONNRESET");
	rig_say(l, TEXT("lost"));
	ck_eventually(sks_fault_hits() > 0);
	sks_fault_clear();
}

TEST_ON_BOTH(an_error_is_told_behind_its_bytes_and_ends_no_write)
{
	struct rig_link l;
	char *line;

	open_link(&l);
	write_beside(&l, say_a_line_and_fail);
	ck_assert_int_eq(sks_error(&l.r), 0);
	expect_line(&l, TEXT("line\n"));
	ck_fails(sks_readline(&l.r, &line), ECONNRESET);
	ck_assert_int_eq(sks_error(&l.r), ECONNRESET);
	rig_link_close(&l);
}

static void
say_a_line(struct rig_link *l)
{
	rig_say(l, TEXT("line\n"));
	ck_eventually(sks_fault_hits() > 0);
	sks_fault_clear();
}

TEST_ON_BOTH(without_memory_a_write_waits_for_room_alone)
{
	struct rig_link l;

	open_link(&l);
	fault("malloc:ENOMEM:1+");
	write_beside(&l, say_a_line);
	expect_line(&l, TEXT("line\n"));
	rig_link_close(&l);
}

static void
say_a_line_after_a_lack_of_memory(struct rig_link *l)
{
	rig_say(l, TEXT("line\n"));
	ck_eventually(sks_fault_hits() > 0);
	sks_fault_clear();
	ck_eventually(is_read(l));
}

TEST_ON_BOTH(it_reads_ahead_again_when_there_is_memory)
{
	struct rig_link l;

	open_link(&l);
	fault("malloc:ENOMEM:1+");
	write_beside(&l, say_a_line_after_a_lack_of_memory);
	expect_line(&l, TEXT("line\n"));
	rig_link_close(&l);
}

TEST_ON_BOTH(nothing_stays_behind_where_there_is_no_memory_at_the_end)
{
	struct rig_link l;

	open_link(&l);
	write_beside(&l, say_much);
	fault("malloc:ENOMEM:1+");
	sks_ahead_end(&l.r);
	sks_fault_clear();
	ck_assert_int_eq(sks_error(&l.r), ENOMEM);
	ck_assert_ptr_null(l.r.ahead.buf.base);
	rig_link_close(&l);
}

static void
say_nothing(struct rig_link *l)
{
	(void)l;
}

TEST_ON_BOTH(nothing_is_read_where_the_bound_is_0)
{
	struct rig_link l;

	open_link(&l);
	sks_rfile_set_max_input(&l.r, 0);
	rig_say(&l, TEXT("line\n"));
	write_beside(&l, say_nothing);
	ck_assert_uint_eq(ahead(&l), 0);
	expect_line(&l, TEXT("line\n"));
	rig_link_close(&l);
}

/* Says a byte, and returns since when the write waits that has read it, and waits on. */
static int64_t
since_with_one_more_byte(struct rig_link *l)
{
	/* A wait for room looks what the peer has taken at its beginning, and at its end. */
	unsigned long before = sks_fault_calls("ioctl");

	rig_say(l, TEXT("x"));
	ck_eventually(is_read(l) && sks_fault_calls("ioctl") >= before + 2);
	ck_eventually(l->tr.peer_wait->since != 0);
	return l->tr.peer_wait->since;
}

static void
say_bytes_until_one_is_late(struct rig_link *l)
{
	int64_t now;
	int bytes = 0;

	ck_eventually(l->tr.peer_wait->since != 0);
	do {
		ck_assert_int_lt(++bytes, 10000);
		now = sks_clock_ms();
	} while (since_with_one_more_byte(l) >= now);
}

/* A server that is full wants to know it (make_room_ms). */
TEST_ON_BOTH(input_is_no_new_beginning_of_a_wait_for_room)
{
	struct sks_peer_wait wait = { 0 };
	struct rig_link l;

	open_link(&l);
	ck_assert_int_eq(sks_set_timeout(&l.w, SKS_OFF), 0);
	l.tr.peer_wait = &wait;
	write_beside(&l, say_bytes_until_one_is_late);
	rig_link_close(&l);
}

/* The peer sends as long as anybody takes it, and never reads. */
static void *
send_on_and_on(void *arg)
{
	struct rig_link *l = arg;

	while (send(l->peer, big, 4096, MSG_NOSIGNAL) != -1 || errno == EAGAIN)
		poll(&(struct pollfd){ .fd = l->peer, .events = POLLOUT }, 1, 100);
	return NULL;
}

TEST_ON_BOTH(the_bound_holds_and_is_told_once)
{
	struct sks_log_limit limit = { 0 };
	struct rig_link l;
	pthread_t thread;

	open_link(&l);
	log_keep();
	l.r.ahead.log = &limit;
	sks_set_timeout(&l.w, 2000);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_on_and_on, &l), 0);
	ck_fails(sks_write(&l.w, big, MUCH), ETIMEDOUT);
	ck_assert_uint_ge(ahead(&l), MOST);
	ck_assert_uint_lt(ahead(&l), MOST + READ_ONCE);
	ck_assert_int_eq(log_count("max_input (65536 bytes) is reached"), 1);
	ck_assert_int_eq(log_lines(), 1);
	log_forget();
	shutdown(l.fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	rig_link_close(&l);
}

/* -- a select -- */

static void
expect_input(struct rig_link *l)
{
	struct sks_selectable set = { .rfile = &l->r, .want = SKS_READ };

	ck_assert_int_eq(sks_select(&set, 1, 20000), 1);
	ck_assert_int_eq(set.ready, SKS_READ);
}

TEST_ON_BOTH(a_select_sees_what_was_read_ahead)
{
	struct rig_link l;

	open_link(&l);
	write_beside(&l, say_lines);
	expect_input(&l);
	expect_line(&l, TEXT("behind\n"));
	rig_link_close(&l);
}

/* The peer says a line, reads when somebody has taken that, and stops at the last byte. */
static void *
say_and_read_to_the_x(void *arg)
{
	static char got[65536];
	struct rig_link *l = arg;
	size_t n;

	say_lines(l);
	do {
		n = rig_hear(l, got, sizeof(got));
	} while (n == 0 || got[n - 1] != 'x');
	return NULL;
}

TEST_ON_BOTH(a_select_sees_what_its_own_flush_has_read)
{
	struct rig_link l;
	pthread_t thread;

	open_link(&l);
	while (send(l.fd, big, 4096, MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(sks_puts(&l.w, "x"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, say_and_read_to_the_x, &l), 0);
	expect_input(&l);
	expect_line(&l, TEXT("behind\n"));
	pthread_join(thread, NULL);
	rig_link_close(&l);
}

/* -- another task reads -- */

static void
read_two_lines(void *arg)
{
	struct rig_link *l = arg;

	expect_line(l, TEXT("one\n"));
	expect_line(l, TEXT("two\n"));
}

static void
write_all(void *arg)
{
	struct rig_link *l = arg;

	ck_assert_int_eq(sks_write(&l->w, big, MUCH), 0);
	ck_assert_int_eq(sks_flush(&l->w), 0);
}

/* The reader gets its lines itself, and when it reads no more the writer reads ahead. */
static void
talk_to_two(void *arg)
{
	struct rig_link *l = arg;

	sks_yield();
	rig_say(l, TEXT("one\n"));
	while (sks_tell(&l->r) < 4)
		sks_yield();
	rig_say(l, TEXT("two\n"));
	while (sks_tell(&l->r) < 8)
		sks_yield();
	rig_say(l, TEXT("three\n"));
	while (ahead(l) < 6)
		sks_yield();
	read_and_compare(&(struct reader){ .l = l, .want = MUCH });
	expect_line(l, TEXT("three\n"));
}

TEST(a_write_takes_nothing_from_another_tasks_read)
{
	struct rig_loop rig;
	struct rig_link l;

	rig_loop_open(&rig);
	open_link(&l);
	rig_go(&rig, read_two_lines, &l);
	rig_go(&rig, write_all, &l);
	rig_go(&rig, talk_to_two, &l);
	rig_run(&rig);
	rig_link_close(&l);
	rig_loop_close(&rig);
}

/* Then a read fails that would have to wait, as there will be no answer. */
TEST_ON_BOTH(a_select_wakes_where_a_write_has_broken_the_connection)
{
	struct rig_link l;
	char *line;

	open_link(&l);
	sks_set_timeout(&l.w, 0);
	ck_fails(sks_write(&l.w, big, MUCH), ETIMEDOUT);
	expect_input(&l);
	ck_fails(sks_readline(&l.r, &line), ETIMEDOUT);
	rig_link_close(&l);
}

static void
select_a_line(void *arg)
{
	expect_input(arg);
	expect_line(arg, TEXT("line\n"));
}

/* Both of the others wait: the writer for room or input, and the select for input. */
static void
talk_to_a_select(void *arg)
{
	struct rig_link *l = arg;

	while (!l->w.busy)
		sks_yield();
	sks_yield();
	rig_say(l, TEXT("line\n"));
	while (sks_tell(&l->r) < 5)
		sks_yield();
	read_and_compare(&(struct reader){ .l = l, .want = MUCH });
}

TEST(a_write_takes_nothing_from_another_tasks_select)
{
	struct rig_loop rig;
	struct rig_link l;

	rig_loop_open(&rig);
	open_link(&l);
	rig_go(&rig, write_all, &l);
	rig_go(&rig, select_a_line, &l);
	rig_go(&rig, talk_to_a_select, &l);
	rig_run(&rig);
	rig_link_close(&l);
	rig_loop_close(&rig);
}
