/* SPDX-License-Identifier: MIT */
/*
 * check_make_room.c - a server that is full ends the connection that keeps it waiting the longest,
 * for a client that waits.
 */
#include "acceptance.h"
#include "hall.h"

#include "faults.h"

#include "base/clock.h"
#include "server/call.h"
#include "server/eviction.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

/* On a slow machine a request that is told to end may take longer than a second. */
static void
setup(void)
{
	acc_setup();
	sks_evict_end_ms = INT_MAX;
}

FIXTURE(setup, acc_teardown);

static atomic_int ends, evicted;

static void
on_end(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	ends++;
	evicted += info->reason == SKS_ENDED_EVICTED;
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

/* One was, and no other. */
static void
expect_evicted(const struct acc *acc)
{
	ck_eventually(evicted >= 1);
	ck_assert_int_eq(evicted, 1);
	ck_assert_int_eq(ends, 1);
	ck_assert_uint_eq(acc_stats(acc).evicted, 1);
	ck_assert_int_eq(seen->finishes, 1);
}

/* The waits of the first two connections, as the server sees them; children have this memory. */
static struct silence {
	atomic_int n;
	const struct sks_peer_wait *_Atomic of[2];
} *silence;

static int
show_wait(struct sks_request *req)
{
	int i = atomic_fetch_add(&silence->n, 1);

	if (i < 2)
		atomic_store(&silence->of[i], sks_call_of(req)->peer_wait);
	return 0;
}

/* Returns when a server of one loop waits for this one, as connection i, to say more. */
static int
speak_and_be_silent(const struct acc *acc, const char *line, int i)
{
	const struct sks_peer_wait *wait;
	int fd = speak(acc, line);

	wait = atomic_load(&silence->of[i]);
	if (acc->mode->workers <= 1)
		ck_eventually(atomic_load(&wait->since) != 0);
	return fd;
}

/* Of one loop: several do not compare theirs. */
TEST(the_one_that_is_silent_the_longest_goes, EACH_MODE)
{
	struct sks_handler handler = acc_modes[_i].one_at_a_time ? keeper : reader;
	struct sks_options options = room_alone(1, 2);
	struct acc acc;
	int a, b, c;

	silence = mmap(NULL, sizeof(*silence), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	ck_assert_ptr_ne(silence, MAP_FAILED);
	handler.setup = show_wait;
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	a = speak_and_be_silent(&acc, "a\n", 0);
	b = speak_and_be_silent(&acc, "b\n", 1);
	c = speak(&acc, "c\n");
	expect_evicted(&acc);
	if (acc_modes[_i].workers <= 1) {
		peer_expect_gone(a);
		peer_puts(b, "again\n");
		peer_expect(b, "again\n");
	} else
		close(a);
	close(b);
	close(c);
	acc_free(&acc);
	munmap(silence, sizeof(*silence));
}

static int gate[2];

static void
pass_gate(struct sks_request *req)
{
	char byte;

	(void)req;
	ck_assert_int_eq(read(gate[0], &byte, 1), 1);
}

static const int beside_loop[] = { ACC_THREADS, ACC_PROCESSES };

/*
 * A client waits for one of two places, while a connection that is told to end stays at a gate in
 * finish. The server looks again and again, and tells `told` of the two to end.
 */
static void
wait_while_one_ends(int mode, int told)
{
	static const struct sks_handler handler = { .name = "reader", .handle = acc_echo_lines,
		.finish = pass_gate };
	struct sks_options options = room_alone(1, 2);
	struct acc acc;
	size_t before;
	int a, b, c;

	sks_evict_look_ms = 1;
	ck_assert_int_eq(pipe(gate), 0);
	acc_tcp(&acc, mode, &handler, &options);
	acc_start(&acc);
	a = speak(&acc, "a\n");
	b = speak(&acc, "b\n");
	c = acc_client(&acc);
	ck_eventually(acc_stats(&acc).evicted == (uint64_t)told);
	before = sks_fault_calls("poll");
	ck_eventually(sks_fault_calls("poll") >= before + 20);
	ck_assert_uint_eq(acc_stats(&acc).evicted, (uint64_t)told);
	ck_assert_int_eq(write(gate[1], "abc", 3), 3);
	peer_puts(c, "c\n");
	peer_expect(c, "c\n");
	close(a);
	close(b);
	close(c);
	acc_free(&acc);
	close(gate[0]);
	close(gate[1]);
}

TEST(one_that_takes_a_while_to_end_is_enough, TIMES(2))
{
	wait_while_one_ends(beside_loop[_i], 1);
}

TEST(one_that_goes_on_is_not_waited_for, TIMES(2))
{
	sks_evict_end_ms = 1;
	wait_while_one_ends(beside_loop[_i], 2);
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
	expect_evicted(&acc);
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
		expect_evicted(&acc);
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
	expect_evicted(&acc);
	close(good);
	close(deaf);
	acc_free(&acc);
}

/* A line that begins with b is answered by more than the kernel has room for. */
static int
answer_and_end(struct sks_request *req)
{
	static const char block[10000];
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return -1;
	if (line[0] != 'b')
		return sks_printf(req->wfile, "%s\n", line) == -1 ? -1 : SKS_KEEP;
	while (send(req->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	return sks_write(req->wfile, block, sizeof(block)) == -1 ? -1 : SKS_DONE;
}

/*
 * Its handler is through, and the loop sends what is left; or its process does. A Unix socket has
 * no more room until the peer reads.
 */
TEST(one_that_does_not_take_the_rest_goes, EACH_MODE)
{
	static const struct sks_handler handler = { .name = "sender", .handle = answer_and_end,
		.finish = acc_finish };
	struct sks_options options = room_alone(1, 1);
	struct acc acc;
	int deaf, good;

	acc_on(&acc, _i, acc_listen_address(ACC_UNIX), &handler, &options);
	acc_start(&acc);
	deaf = acc_client(&acc);
	peer_puts(deaf, "big\n");
	ck_eventually(seen->finishes == 1);
	good = speak(&acc, "good\n");
	expect_evicted(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	close(good);
	close(deaf);
	acc_free(&acc);
}

/* It has had its answer, so its request has not ended otherwise than without a full server. */
TEST(one_that_does_not_close_goes, EACH_MODE)
{
	struct sks_options options = room_alone(1, 1);
	struct acc acc;
	int open, good;
	char end;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	open = acc_client(&acc);
	peer_puts(open, "d\n");
	ck_assert_int_eq(peer_recv(open, &end, 1), 0);
	good = acc_client(&acc);
	peer_puts(good, "e\n");
	peer_expect(good, "e\n");
	ck_eventually(ends == 1);
	ck_assert_int_eq(evicted, 0);
	ck_assert_uint_eq(acc_stats(&acc).evicted, 1);
	close(good);
	close(open);
	acc_free(&acc);
}

/* The handler of a parked one is through with what it has sent, but others have posted to it. */
TEST(posts_that_are_not_taken_are_not_waited_for, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = room_alone(1, 1);
	static char block[65536];
	int deaf, good, i;
	struct acc acc;

	options.max_output = sizeof(block);
	group = sks_group_new();
	acc_tcp(&acc, _i, &hall, &options);
	acc_start(&acc);
	deaf = acc_client(&acc);
	ck_eventually(sks_group_count(group) == 1);
	for (i = 0; i < 100000 && sks_group_post(group, block, sizeof(block), NULL) == 1; i++)
		;
	good = acc_client(&acc);
	peer_puts(good, "e\n");
	peer_expect(good, "e\n");
	close(good);
	close(deaf);
	acc_free(&acc);
	sks_group_free(group);
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
	expect_evicted(&acc);
	close(b);
	acc_free(&acc);
}

/*
 * The one that may go is on loop _i / 2, and loop _i % 2 is asked first, once: nobody looks again.
 */
TEST(loops_are_asked_in_one_go, TIMES(4))
{
	struct sks_options options = room_alone(1, 2);
	int fd[2], good, parked = _i / 2, working = !parked;
	int64_t began;
	struct acc acc;

	sks_evict_look_ms = INT_MAX;
	options.drain_ms = 1;
	acc_tcp(&acc, ACC_TWO_LOOPS, &acc_script, &options);
	acc_start(&acc);
	fd[0] = acc_client(&acc);
	peer_puts(fd[0], parked == 0 ? "k\n" : "w\n");
	ck_eventually(atomic_load(&acc.server->workers[0].open) == 1);
	fd[1] = acc_client(&acc);
	peer_puts(fd[1], parked == 0 ? "w\n" : "k\n");
	peer_expect(fd[working], "waiting\n");
	ck_eventually(acc_has_parked(&acc, 1));
	for (began = sks_clock_ms(); sks_clock_ms() < began + 2;)
		;
	atomic_store(&acc.server->admission.turn, (unsigned int)_i % 2);
	good = acc_client(&acc);
	peer_puts(good, "e\n");
	peer_expect(good, "e\n");
	peer_expect_gone(fd[parked]);
	close(fd[working]);
	close(good);
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
	expect_evicted(&acc);
	close(b);
	acc_free(&acc);
}
