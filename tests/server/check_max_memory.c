/* SPDX-License-Identifier: MIT */
/*
 * check_max_memory.c - what a server does when the buffers of its process reach max_memory, and
 * when there is memory again.
 *
 * Most tests count memory that nobody has, so that the bound is reached when they want it.
 * Processes are left out: there the option is refused.
 */
#include "acceptance.h"
#include "rig.h"
#include "room.h"

#include "base/buf.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST ((size_t)2 << 20) /* for two loops, too */

FIXTURE(room_setup, room_teardown);

static const struct sks_options bounded = { .max_memory = MOST };

static void
fill_memory(void)
{
	sks_memory_count(MOST);
}

static void
free_memory(void)
{
	sks_memory_count(-(int64_t)MOST);
}

/* -- the bound -- */

TEST(a_bound_that_is_reached_stays_so_until_an_eighth_is_free)
{
	struct sks_memory_bound bound;

	ck_assert_int_eq(sks_memory_is_full(NULL), 0);
	sks_memory_bound_init(&bound, 800);
	sks_memory_count(799);
	ck_assert_int_eq(sks_memory_is_full(&bound), 0);
	sks_memory_count(1);
	ck_assert_int_eq(sks_memory_is_full(&bound), 1);
	sks_memory_count(-100);
	ck_assert_int_eq(sks_memory_is_full(&bound), 1);
	sks_memory_count(-1);
	ck_assert_int_eq(sks_memory_is_full(&bound), 0);
	sks_memory_count(100);
	ck_assert_int_eq(sks_memory_is_full(&bound), 0);
	sks_memory_count(-799);
}

/* A piece counts from malloc(3) to free(3), so an idle one, too. */
TEST(buffers_are_counted)
{
	struct sks_memory_bound bound;
	struct sks_buf_pool pool = { 0 };
	struct sks_buf buf = { 0 };

	sks_memory_bound_init(&bound, MOST);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, SKS_BUF_LARGE), 0);
	ck_assert_uint_ge(sks_memory_held(), SKS_BUF_LARGE);
	buf.end = SKS_BUF_LARGE;
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 1000000), 0);
	ck_assert_uint_ge(sks_memory_held(), 1000000);
	sks_buf_release(&buf, &pool);
	ck_assert_uint_lt(sks_memory_held(), 100000);
	sks_buf_pool_drain(&pool);
	ck_assert_uint_eq(sks_memory_held(), 0);
}

/* -- the option -- */

TEST(a_bound_has_bounds)
{
	struct sks_options options = { .max_memory = 1 };

	ck_assert_ptr_null(sks_server_new(&acc_script, &options));
	ck_assert_int_eq(errno, EINVAL);
	options.max_memory = MOST;
	options.workers = 3;
	ck_assert_ptr_null(sks_server_new(&acc_script, &options));
	ck_assert_int_eq(errno, EINVAL);
	options.workers = 1;
	options.mode = SKS_PROCESSES;
	ck_assert_ptr_null(sks_server_new(&acc_script, &options));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("max_memory"), 3);
}

/* -- a server -- */

TEST(nobody_is_accepted_until_there_is_memory, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, &bounded);
	acc_start_serving(&acc);
	fill_memory();
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	ck_eventually(log_count("accept: max_memory is reached") > 0);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 0);
	ck_assert_uint_ge(acc_stats(&acc).buffered, MOST);
	free_memory();
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* What shows that nothing is read: the limit of time passes, though all of the line has come. */
TEST(nothing_more_of_a_line_is_read, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_memory = MOST, .timeout_ms = 200, .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	peer_puts(fd, "ec");
	ck_eventually(acc_stats(&acc).bytes_in == 7);
	fill_memory();
	peer_puts(fd, "ho\n");
	peer_expect_gone(fd);
	ck_assert_int_eq(seen->last_error, ETIMEDOUT);
	free_memory();
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

/* Another client is answered meanwhile, whose line was not begun; so the loop has looked. */
TEST(a_line_is_read_on_when_there_is_memory, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd, other = -1;

	acc_streams(&acc, _i, &acc_script, &bounded);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "ec");
	ck_eventually(acc_stats(&acc).bytes_in == 2);
	if (!acc.mode->one_at_a_time) {
		other = acc_client(&acc);
		peer_puts(other, "e1\n");
		peer_expect(other, "e1\n");
	}
	fill_memory();
	peer_puts(fd, "ho\nd\n");
	if (other != -1) {
		peer_puts(other, "e2\n");
		peer_expect(other, "e2\n");
		ck_assert_uint_eq(acc_stats(&acc).bytes_in, 2 + 6);
		close(other);
	}
	ck_assert(peer_is_silent(fd));
	free_memory();
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

TEST(posts_are_refused, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &room, &bounded);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	with_lock();
	fill_memory();
	errno = 0;
	ck_assert_int_eq(sks_post(members[0], "no\n", 3), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	free_memory();
	ck_assert_int_eq(sks_post(members[0], "yes\n", 4), 0);
	sks_mutex_unlock(lock);
	peer_expect(fd, "yes\n");
	close(fd);
	acc_free(&acc);
}

/* Sends what the server takes, which is no line, until it ends. */
static void *
send_without_end(void *arg)
{
	static const char block[65536];
	int fd = *(int *)arg;

	while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

/* A buffer doubles, so the last one may be twice the bound, and its copy is a half of that. */
TEST(the_longest_line_is_bounded, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_memory = MOST, .max_line = 64 << 20, .timeout_ms = 3000,
		.on_error = acc_on_error };
	uint64_t most = 0, now;
	pthread_t thread;
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_without_end, &fd), 0);
	while (seen->errors == 0) {
		now = acc_stats(&acc).buffered;
		most = now > most ? now : most;
		breathe();
	}
	pthread_join(thread, NULL);
	ck_assert_uint_ge(most, MOST);
	ck_assert_uint_le(most, 4 * MOST);
	ck_assert_int_eq(seen->last_error, ETIMEDOUT);
	close(fd);
	ck_eventually(acc_stats(&acc).buffered < MOST / 2);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}
