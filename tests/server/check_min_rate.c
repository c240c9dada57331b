/* SPDX-License-Identifier: MIT */
/*
 * check_min_rate.c - a peer that is slower than min_rate is cut, and one that is not is served.
 */
#include "acceptance.h"

#include "faults.h"

#include "base/clock.h"
#include "base/util.h"
#include "room.h"
#include "stream/pace.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEVER_MS (3600 * 1000)

static void
set_up(void)
{
	room_setup();
	sks_pace_window_ms = 60;
}

FIXTURE(set_up, room_teardown);

/* -- the credit -- */

TEST(a_credit_is_used_up_by_time_and_given_back_by_bytes)
{
	struct sks_pace pace;

	sks_pace_window_ms = SKS_PACE_WINDOW_MS;
	sks_pace_init(&pace, 1000);
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), 7 + 5000);
	sks_pace_note(&pace, 4000, 0);
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), 7 + 1000);
	sks_pace_note(&pace, 1000, 1500); /* a byte is a millisecond */
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), 7 + 1500);
	ck_assert_int_eq(sks_pace_is_spent(&pace), 0);
	sks_pace_note(&pace, 1500, 0);
	ck_assert_int_eq(sks_pace_is_spent(&pace), 1);
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), 7);
	sks_pace_note(&pace, 0, 1 << 30); /* more than the first credit is not saved up */
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), 7 + 5000);
}

TEST(half_of_the_rate_lasts_twice_as_long)
{
	struct sks_pace pace;
	int ms;

	sks_pace_window_ms = SKS_PACE_WINDOW_MS;
	sks_pace_init(&pace, 3);
	for (ms = 0; !sks_pace_is_spent(&pace); ms += 1000)
		sks_pace_note(&pace, 1000, ms / 1000 % 2 == 0 ? 1 : 2);
	ck_assert_int_ge(ms, 9000);
	ck_assert_int_le(ms, 11000);
	sks_pace_init(&pace, 3);
	for (ms = 0; ms < 3600 * 1000; ms += 1000)
		sks_pace_note(&pace, 1000, 3);
	ck_assert_int_eq(sks_pace_is_spent(&pace), 0);
}

TEST(without_a_rate_there_is_no_limit)
{
	struct sks_pace pace;

	sks_pace_init(&pace, 0);
	sks_pace_note(&pace, NEVER_MS, 0);
	ck_assert_int_eq(sks_pace_is_spent(&pace), 0);
	ck_assert_int_eq(sks_pace_deadline(&pace, 7), SKS_NEVER);
}

/* -- servers: a line that begins with b is answered by 64 MiB, others come back -- */

static int
answer(struct sks_request *req)
{
	static const char block[65536];
	char *line = sks_gets(req->rfile);
	int i, rc = 0;

	if (line == NULL)
		return sks_end(req->rfile);
	if (line[0] != 'b')
		return sks_puts(req->wfile, line) == -1 || sks_puts(req->wfile, "\n") == -1 ? -1 :
			SKS_KEEP;
	for (i = 0; rc == 0 && i < 1024; i++)
		rc = sks_write(req->wfile, block, sizeof(block));
	seen->note = rc == -1 ? errno : 0;
	return rc == -1 ? -1 : SKS_KEEP;
}

static const struct sks_handler answerer = { .name = "answerer", .handle = answer,
	.finish = acc_finish };

/* Only min_rate can end a connection in the time of a test. */
static struct sks_options
rate_alone(size_t min_rate)
{
	return (struct sks_options){ .min_rate = min_rate, .idle_ms = NEVER_MS, .timeout_ms = NEVER_MS,
		.linger_ms = NEVER_MS };
}

static int
too_slow_lines(void)
{
	char line[100];

	snprintf(line, sizeof(line), "%s (slower than min_rate)", strerror(ETIMEDOUT));
	return log_count(line);
}

static void
expect_cut(struct acc *acc)
{
	ck_eventually(acc_stats(acc).finished == 1);
	ck_assert_uint_eq(acc_stats(acc).too_slow, 1);
	ck_assert_uint_eq(acc_stats(acc).failed, 1);
	ck_assert_uint_eq(acc_stats(acc).lingering, 0);
	ck_assert_int_eq(too_slow_lines(), 1);
	ck_assert_int_eq(seen->finishes, 1);
}

/* It has sent no end, and is not waited for. */
TEST(one_that_does_not_send_the_rest_is_cut, EACH_STREAM)
{
	struct sks_options options = rate_alone(1000);
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &answerer, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "the rest of this line does not com");
	expect_cut(&acc);
	peer_expect_gone(fd);
	acc_free(&acc);
}

TEST(one_that_does_not_read_is_cut, EACH_STREAM)
{
	struct sks_options options = rate_alone(1000);
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &answerer, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "big\n");
	expect_cut(&acc);
	ck_assert_int_eq(seen->note, ETIMEDOUT);
	ck_assert_uint_le(acc_stats(&acc).bytes_out, 1 << 20); /* the kernel would keep more */
	close(fd);
	acc_free(&acc);
}

/*
 * What the kernel still had for it is dropped: else a part of an answer would look like all of it.
 */
TEST(one_that_was_cut_reads_a_reset, EACH_MODE)
{
	struct sks_options options = rate_alone(1000);
	static char block[65536];
	struct acc acc;
	ssize_t n;
	int fd;

	acc_tcp(&acc, _i, &answerer, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "big\n");
	expect_cut(&acc);
	do {
		n = peer_recv(fd, block, sizeof(block));
	} while (n > 0);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
	acc_free(&acc);
}

/* Each look asks the kernel what the peer has not taken yet. */
static void
expect_looks(void)
{
	unsigned long before = sks_fault_calls("ioctl");

	ck_eventually(sks_fault_calls("ioctl") > before + 20);
}

/*
 * What a peer has taken is looked at again and again while it is waited for: its time begins when
 * it has taken something, and not when the wait has ended. (Processes count calls of their own.)
 */
TEST(what_a_peer_takes_is_seen_while_it_is_waited_for, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .timeout_ms = NEVER_MS, .linger_ms = NEVER_MS, .drain_ms = 1 };
	struct acc acc;
	int fd;

	sks_pace_look_ms = 1;
	acc_streams(&acc, _i, &answerer, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "big\n");
	ck_eventually(acc_stats(&acc).bytes_out > 0);
	expect_looks();
	close(fd);
	acc_free(&acc);
}

/* Two exchanges with a pause between them that is longer than the window: idle_ms is for that. */
TEST(one_that_keeps_the_rate_is_served, EACH_STREAM)
{
	struct sks_options options = rate_alone(1);
	struct acc acc;
	int64_t began;
	int fd;

	acc_streams(&acc, _i, &answerer, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "one\n");
	peer_expect(fd, "one\n");
	for (began = sks_clock_ms(); sks_clock_ms() < began + 2 * sks_pace_window_ms;)
		breathe();
	peer_puts(fd, "two\n");
	peer_expect(fd, "two\n");
	close(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_eq(acc_stats(&acc).too_slow, 0);
	acc_free(&acc);
}

/* Has the loop of a parked connection send more than the kernel takes. */
static void
post_much(void)
{
	static char much[32 << 20];

	with_lock();
	ck_assert_int_eq(sks_post(members[0], much, sizeof(much)), 0);
	sks_mutex_unlock(lock);
}

TEST(what_a_peer_takes_of_posts_is_seen_as_well, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .timeout_ms = NEVER_MS, .linger_ms = NEVER_MS, .drain_ms = 1,
		.max_output = SSIZE_MAX / 4 };
	struct acc acc;
	int fd;

	sks_pace_look_ms = 1;
	acc_streams(&acc, _i, &room, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	ck_eventually(acc_stats(&acc).parked == 1);
	post_much();
	expect_looks();
	close(fd);
	acc_free(&acc);
}

/* Its handler does not wait for it: the loop has what was posted, and cuts it. */
TEST(one_that_does_not_take_posts_is_cut, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = rate_alone(1000);
	struct acc acc;
	int fd;

	options.max_output = SSIZE_MAX / 4;
	acc_streams(&acc, _i, &room, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	ck_eventually(acc_stats(&acc).parked == 1);
	post_much();
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_eq(acc_stats(&acc).too_slow, 1);
	ck_assert_int_eq(too_slow_lines(), 1);
	close(fd);
	acc_free(&acc);
}
