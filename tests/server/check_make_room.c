/* SPDX-License-Identifier: MIT */
/*
 * check_make_room.c - a server that is full ends the connection that keeps it waiting the longest,
 * for a client that waits.
 */
#include "acceptance.h"

#include "faults.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static atomic_int ends, evicted;

static void
on_end(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	evicted += info->reason == SKS_ENDED_EVICTED;
	ends++;
}

/* Only make_room_ms can end a connection in the time of a test. */
static struct sks_options
room_alone(int make_room_ms, int max_connections)
{
	return (struct sks_options){ .make_room_ms = make_room_ms, .max_connections = max_connections,
		.idle_ms = INT_MAX, .timeout_ms = INT_MAX, .linger_ms = INT_MAX, .on_end = on_end };
}

static const struct sks_handler keeper = { .name = "keeper", .handle = acc_echo_keep,
	.finish = acc_finish };
static const struct sks_handler reader = { .name = "reader", .handle = acc_echo_lines,
	.finish = acc_finish };

static int
speak(const struct acc *acc, const char *line)
{
	int fd = acc_client(acc);

	peer_puts(fd, line);
	peer_expect(fd, line);
	return fd;
}

static void
expect_evicted(const struct acc *acc, int n)
{
	ck_eventually(evicted == n);
	ck_assert_int_eq(ends, n);
	ck_assert_uint_eq(acc_stats(acc).evicted, (uint64_t)n);
	ck_assert_int_eq(seen->finishes, n);
}

/* Of one loop: several do not compare theirs. */
TEST(the_one_that_is_silent_the_longest_goes, EACH_MODE)
{
	struct sks_options options = room_alone(1, 2);
	struct acc acc;
	int a, b, c;

	acc_tcp(&acc, _i, acc_modes[_i].one_at_a_time ? &keeper : &reader, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	b = speak(&acc, "b\n");
	c = speak(&acc, "c\n");
	expect_evicted(&acc, 1);
	if (acc_modes[_i].workers <= 1) {
		peer_expect_gone(a);
		peer_puts(b, "again\n");
		peer_expect(b, "again\n");
	} else
		close(a);
	close(b);
	close(c);
	acc_free(&acc);
}

TEST(a_parked_one_goes, EACH_MODE)
{
	struct sks_options options = room_alone(1, 1);
	struct acc acc;
	int a, b;

	acc_tcp(&acc, _i, &keeper, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	b = speak(&acc, "b\n");
	peer_expect_gone(a);
	expect_evicted(&acc, 1);
	close(b);
	acc_free(&acc);
}

/* Places there are, but no task: all of them are for the rest of a line. */
TEST(the_rest_of_a_line_keeps_no_task, EACH_MODE)
{
	struct sks_options options = room_alone(1, 100);
	struct acc acc;
	int greedy[2], good;

	options.max_running = 2;
	acc_tcp(&acc, _i, &reader, &options);
	acc_start(&acc);
	greedy[0] = acc_client(&acc);
	peer_puts(greedy[0], "x");
	greedy[1] = acc_client(&acc);
	peer_puts(greedy[1], "x");
	good = speak(&acc, "good\n");
	ck_eventually(evicted > 0);
	ck_assert_uint_ge(acc_stats(&acc).evicted, 1);
	close(good);
	close(greedy[0]);
	close(greedy[1]);
	acc_free(&acc);
}

/* Calls that wait in the server, as those of parked connections do, are helped as well. */
TEST(a_queued_call_gets_its_task, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = room_alone(1, 100);
	struct sks_handler handler = reader;
	struct acc acc;
	int greedy, good;

	handler.client_first = 1;
	options.max_running = 1;
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	greedy = speak(&acc, "greedy\n");
	good = speak(&acc, "good\n");
	if (acc_modes[_i].workers == 1) {
		peer_expect_gone(greedy);
		expect_evicted(&acc, 1);
	} else
		close(greedy);
	close(good);
	acc_free(&acc);
}

static int
send_without_end(struct sks_request *req)
{
	static const char block[65536];
	char *line = sks_gets(req->rfile);

	while (line != NULL && line[0] == 'b' && sks_write(req->wfile, block, sizeof(block)) == 0)
		;
	if (line == NULL || line[0] == 'b')
		return -1;
	return sks_puts(req->wfile, line) == -1 || sks_puts(req->wfile, "\n") == -1 ? -1 : SKS_KEEP;
}

TEST(one_that_does_not_read_goes, EACH_MODE)
{
	static const struct sks_handler handler = { .name = "sender", .handle = send_without_end,
		.finish = acc_finish };
	struct sks_options options = room_alone(50, 1);
	struct acc acc;
	int deaf, good;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	deaf = acc_client(&acc);
	peer_puts(deaf, "big\n");
	good = speak(&acc, "good\n");
	expect_evicted(&acc, 1);
	close(good);
	close(deaf);
	acc_free(&acc);
}

/* It waits, but not for its client. */
TEST(a_handler_that_works_is_left_alone, EACH_MODE)
{
	struct sks_options options = room_alone(1, 2);
	struct acc acc;
	int working, parked, good;

	if (acc_modes[_i].one_at_a_time)
		return; /* nobody else would be served */
	options.drain_ms = 1;
	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	working = acc_client(&acc);
	peer_puts(working, "w\n");
	peer_expect(working, "waiting\n");
	parked = acc_client(&acc);
	peer_puts(parked, "e\n");
	peer_expect(parked, "e\n");
	good = acc_client(&acc);
	peer_puts(good, "e\n");
	peer_expect(good, "e\n");
	peer_expect_gone(parked);
	ck_eventually(evicted == 1);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(seen->waited, 0);
	close(working);
	close(good);
	acc_free(&acc);
}

TEST(nobody_goes_before_his_time, EACH_MODE)
{
	struct sks_options options = room_alone(INT_MAX, 1);
	struct acc acc;
	int a, b;

	acc_tcp(&acc, _i, &keeper, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	b = acc_client(&acc);
	peer_puts(b, "b\n");
	peer_puts(a, "again\n");
	peer_expect(a, "again\n");
	close(a);
	peer_expect(b, "b\n");
	close(b);
	ck_eventually(ends == 2);
	ck_assert_int_eq(evicted, 0);
	acc_free(&acc);
}

/* No client waits for the only place: nobody has to go, until one does. */
TEST(a_full_server_that_nobody_waits_for_ends_nobody)
{
	struct sks_options options = room_alone(1, 1);
	struct acc acc;
	int a, b, i;

	acc_tcp(&acc, ACC_FIBERS, &keeper, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	for (i = 0; i < 10; i++) {
		peer_puts(a, "again\n");
		peer_expect(a, "again\n");
	}
	ck_assert_int_eq(ends, 0);
	b = speak(&acc, "b\n");
	peer_expect_gone(a);
	expect_evicted(&acc, 1);
	close(b);
	acc_free(&acc);
}

/* The server knows it by accept4(2) alone, and there are places. */
TEST(a_descriptor_is_freed)
{
	struct sks_options options = room_alone(1, 100);
	struct acc acc;
	int a, b;

	acc_tcp(&acc, ACC_FIBERS, &keeper, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	ck_assert_int_eq(sks_fault("accept4:EMFILE"), 0);
	b = speak(&acc, "b\n");
	peer_expect_gone(a);
	expect_evicted(&acc, 1);
	close(b);
	acc_free(&acc);
}
