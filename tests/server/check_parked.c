/* SPDX-License-Identifier: MIT */
/*
 * check_parked.c - parked connections whose input comes at once: the loop reads
 * for all of a group before it runs the first exchange of it. Nothing of that may
 * be seen but in the order of the system calls.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "base/util.h"
#include "loop/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

#define CROWD (3 * SKS_WATCH_READY + 1)
#define LONG 12000 /* bytes that a wfile keeps for its flush, and a small socket does not take */

/* On one loop, and at most on one, where handlers' order is told. */
#define ONE_LOOP_STREAMS 4

struct seat {
	int number;    /* the client's, once it has said so */
	int exchanges;
};

static struct acc acc;
static int client[CROWD], gatekeeper;
static int served[CROWD]; /* the server's end of each */
static sem_t gate;
static atomic_int closed; /* somebody waits at the gate */
static struct sks_request *before; /* whose exchange was the last one */
static int disorder;

static int
unread(const int *fd, int n)
{
	int i, some = 0;

	for (i = 0; i < n; i++) {
		int bytes = 0;

		some += fd[i] != -1 && ioctl(fd[i], FIONREAD, &bytes) == 0 && bytes > 0;
	}
	return some;
}

/* In the k-th exchange of a crowd: those before it are answered, and all of its group is read. */
static void
look_at_order(void)
{
	int k = atomic_load(&seen->note), group = k / SKS_WATCH_READY;
	int left = CROWD - (group + 1) * SKS_WATCH_READY;

	if (unread(client, CROWD) != k ||
	    unread(served, CROWD) != (left > 0 ? left : 0))
		disorder++;
	atomic_store(&seen->note, k + 1);
}

static int
write_long(struct sks_request *req, const struct seat *seat)
{
	static const int small = 1;
	char block[LONG];

	setsockopt(req->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	memset(block, 'a' + seat->exchanges % 26, sizeof(block));
	return sks_write(req->wfile, block, sizeof(block));
}

/*
 * One line, which says what is to be done:
 *     G  wait at the gate, the loop and all
 *     N  a byte follows: the number of the client
 *     O  look at the order
 *     L  a long answer
 *     X  the client goes away now
 *     P  post to whom the last exchange was with
 *     S  shut the server down
 * All but L answer with the line.
 */
static int
exchange(struct sks_request *req)
{
	struct seat *seat = req->state;
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return (int)n;
	atomic_fetch_add(&seen->handles, 1);
	seat->exchanges++;
	switch (line[0]) {
	case 'G':
		atomic_store(&closed, 1);
		while (sem_wait(&gate) == -1)
			;
		break;
	case 'N':
		seat->number = line[1] - ' ';
		served[seat->number] = req->fd;
		break;
	case 'O':
		look_at_order();
		break;
	case 'L':
		return write_long(req, seat) == -1 ? -1 : SKS_KEEP;
	case 'X':
		if (acc.transport == ACC_TCP)
			peer_reset(client[seat->number]);
		else
			close(client[seat->number]);
		client[seat->number] = -1;
		break;
	case 'P':
		if (before != NULL && sks_post(before, "posted\n", 7) == -1)
			return -1;
		before = req;
		break;
	case 'S':
		sks_server_shutdown(req->server);
		break;
	}
	return sks_write(req->wfile, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

static const struct sks_handler parking = {
	.name = "parking",
	.setup = acc_setup_counted,
	.handle = exchange,
	.finish = acc_finish,
	.state_size = sizeof(struct seat),
	.client_first = 1,
};

/* Unless it is gone. */
static void
say(int i, const char *line)
{
	if (client[i] != -1)
		peer_puts(client[i], line);
}

/* All are parked; the gate is shut, and nobody waits there. */
static void
open_crowd(int i, const struct sks_options *options)
{
	char name[] = "N \n";
	int k;

	before = NULL;
	disorder = 0;
	atomic_store(&closed, 0);
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	acc_streams(&acc, i, &parking, options);
	acc_start(&acc);
	for (k = 0; k < CROWD; k++) {
		client[k] = acc_client(&acc);
		name[1] = (char)(' ' + k);
		say(k, name);
		peer_expect(client[k], name);
	}
	gatekeeper = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == CROWD + 1);
	atomic_store(&seen->handles, 0);
}

/* What is said between the two comes in at once, where the gatekeeper's loop has it. */
static void
shut_gate(void)
{
	atomic_store(&closed, 0);
	peer_puts(gatekeeper, "G\n");
	ck_eventually(atomic_load(&closed));
}

static void
open_gate(void)
{
	sem_post(&gate);
	peer_expect(gatekeeper, "G\n");
}

static void
close_crowd(void)
{
	int k;

	for (k = 0; k < CROWD; k++)
		if (client[k] != -1)
			close(client[k]);
	if (gatekeeper != -1)
		close(gatekeeper);
	acc_free(&acc);
	sem_destroy(&gate);
	ck_assert_int_eq(atomic_load(&seen->setups), CROWD + 1);
	ck_assert_int_eq(atomic_load(&seen->finishes), CROWD + 1);
}

static void
all_say(const char *line)
{
	int k;

	shut_gate();
	for (k = 0; k < CROWD; k++)
		say(k, line);
	open_gate();
}

static void
all_hear(const char *text)
{
	int k;

	for (k = 0; k < CROWD; k++)
		peer_expect(client[k], text);
}

/* Over Unix sockets, where the peer finds at once what was sent to it. */
TEST(a_group_is_read_before_its_first_exchange)
{
	open_crowd(ACC_UNIX, NULL);
	all_say("O\n");
	ck_eventually(atomic_load(&seen->note) == CROWD);
	all_hear("O\n");
	ck_assert_int_eq(disorder, 0);
	close_crowd();
}

/* In processes mode each connection rests in a process of its own, and there are no groups. */
TEST(each_has_its_answers, EACH_STREAM_IN_ONE_MEMORY)
{
	open_crowd(_i, NULL);
	all_say("one\n");
	all_hear("one\n");
	all_say("two\nthree\n");
	all_hear("two\nthree\n");
	ck_assert_int_eq(atomic_load(&seen->handles), 3 * CROWD + 2);
	close_crowd();
}

/* Two at a time: the others are queued, and one of them may run amid a group. */
TEST(each_has_its_answers_when_few_may_run, EACH_STREAM_IN_ONE_MEMORY)
{
	struct sks_options options = { .max_running = 2 };
	int k;

	open_crowd(_i, &options);
	for (k = 0; k < 3; k++) {
		all_say("one\n");
		all_hear("one\n");
	}
	close_crowd();
}

/* What the early read finds beside input, an end and an error, never starts a handler. */
TEST(ends_and_errors_are_told, EACH_STREAM_IN_ONE_MEMORY)
{
	int k;

	open_crowd(_i, NULL);
	shut_gate();
	for (k = 0; k < CROWD; k++) {
		if (k % 4 == 0 || k % 4 == 3)
			say(k, "line\n");
		if (k % 4 == 1 || k % 4 == 3)
			peer_half_close(client[k]);
		if (k % 4 == 2) {
			if (acc.transport == ACC_TCP)
				peer_reset(client[k]);
			else
				close(client[k]);
			client[k] = -1;
		}
	}
	open_gate();
	for (k = 0; k < CROWD; k++) {
		if (k % 4 == 0 || k % 4 == 3)
			peer_expect(client[k], "line\n");
		if (k % 4 == 1 || k % 4 == 3) {
			peer_expect_eof(client[k]);
			client[k] = -1;
		}
	}
	ck_eventually(acc_stats(&acc).parked == CROWD / 4 + 1 + 1);
	ck_assert_int_eq(atomic_load(&seen->handles), CROWD / 2 + 1 + 1);
	ck_eventually(atomic_load(&seen->finishes) == CROWD - CROWD / 4 - 1); /* threads: later */
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	close_crowd();
}

/* The answer of every other one cannot be sent any more: that ends it, and nobody else. */
TEST(whose_peer_is_gone_ends, TIMES(ONE_LOOP_STREAMS))
{
	int k;

	open_crowd(_i, NULL);
	shut_gate();
	for (k = 0; k < CROWD; k++)
		say(k, k % 2 != 0 ? "X\n" : "here\n");
	open_gate();
	for (k = 0; k < CROWD; k += 2)
		peer_expect(client[k], "here\n");
	ck_eventually(acc_stats(&acc).parked == CROWD / 2 + 1 + 1);
	ck_eventually(acc_stats(&acc).finished == CROWD / 2);
	ck_assert_uint_eq(acc_stats(&acc).failed, CROWD / 2);
	ck_assert_int_eq(atomic_load(&seen->finishes), CROWD / 2);
	all_say("again\n");
	for (k = 0; k < CROWD; k += 2)
		peer_expect(client[k], "again\n");
	close_crowd();
}

static void
expect_long(int fd, char letter)
{
	char block[LONG];

	memset(block, letter, sizeof(block));
	peer_expect_bytes(fd, block, sizeof(block));
}

/* What the socket does not take at once waits in the outbox, and what comes next behind it. */
TEST(who_reads_slowly_has_everything_in_order, EACH_STREAM_IN_ONE_MEMORY)
{
	int k, round;

	open_crowd(_i, NULL);
	for (round = 0; round < 2; round++) {
		all_say("L\n");
		ck_eventually(atomic_load(&seen->handles) == (round + 1) * (CROWD + 1));
	}
	for (k = 0; k < CROWD; k++) {
		expect_long(client[k], 'c');
		expect_long(client[k], 'd');
	}
	all_say("end\n");
	all_hear("end\n");
	close_crowd();
}

/* A post of a later exchange goes out behind the answer, with an outbox (round two) or without. */
TEST(posts_come_behind_the_answer, TIMES(ONE_LOOP_STREAMS))
{
	int k, round;

	open_crowd(_i, NULL);
	for (round = 0; round < 2; round++) {
		before = NULL;
		all_say("P\n");
		for (k = 0; k < CROWD; k++) {
			peer_expect(client[k], "P\n");
			if (k < CROWD - 1)
				peer_expect(client[k], "posted\n");
		}
		all_say("q\n");
		all_hear("q\n");
	}
	close_crowd();
}

/* A shutdown amid a group: who was parked with an answer gets it, who was read for is served. */
TEST(a_shutdown_loses_no_answer, TIMES(ONE_LOOP_STREAMS))
{
	int k;

	open_crowd(_i, NULL);
	shut_gate();
	for (k = 0; k < CROWD; k++)
		say(k, k == 5 ? "S\n" : "line\n");
	open_gate();
	for (k = 0; k < CROWD; k++) {
		peer_expect(client[k], k == 5 ? "S\n" : "line\n");
		peer_expect_eof(client[k]);
		client[k] = -1;
	}
	peer_expect_eof(gatekeeper);
	gatekeeper = -1;
	acc_join(&acc);
	close_crowd();
}

/* Calls that fail so that they may be tried again. */
TEST(what_would_wait_is_tried_again, TIMES(7 * ONE_LOOP_STREAMS))
{
	static const char *const faults[] = { "send:EAGAIN:2", "send:EAGAIN:%2", "send:EINTR:%2",
		"send:short=2:%2", "send:ENOMEM:2", "recv:EAGAIN:%2", "recv:EINTR:%2" };

	open_crowd(_i / 7, NULL);
	ck_assert_int_eq(sks_fault(faults[_i % 7]), 0);
	all_say("line\n");
	all_hear("line\n");
	sks_fault(NULL);
	all_say("again\n");
	all_hear("again\n");
	close_crowd();
}

/* One send, or one read, of a group fails for good: one connection ends. */
TEST(an_error_ends_one_of_them, TIMES(2 * ONE_LOOP_STREAMS))
{
	int reads = _i % 2, lost = 0, k;

	open_crowd(_i / 2, NULL);
	shut_gate();
	for (k = 0; k < CROWD; k++)
		say(k, "line\n");
	ck_assert_int_eq(sks_fault(reads ? "recv:ECONNRESET:3" : "send:ECONNRESET:3"), 0);
	open_gate();
	for (k = 0; k < CROWD; k++) {
		char got[8];
		ssize_t n = peer_recv(client[k], got, sizeof(got));

		if (n > 0) {
			ck_assert_int_eq(n, 5);
			continue;
		}
		lost++;
		close(client[k]);
		client[k] = -1;
	}
	sks_fault(NULL);
	ck_assert_int_eq(lost, 1);
	ck_eventually(acc_stats(&acc).parked == CROWD);
	ck_assert_int_eq(atomic_load(&seen->handles), CROWD + 1 - reads);
	ck_assert_uint_eq(acc_stats(&acc).failed, (unsigned int)!reads);
	close_crowd();
}
