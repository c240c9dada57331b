/* SPDX-License-Identifier: MIT */
/*
 * check_group.c - clients whose lines come in at once: the loop reads for all
 * of a group before it lets the first of them go on. Nothing of that may be
 * seen but in the order of the system calls.
 */
#include "base/sys.h"
#include "base/util.h"
#include "loop/cancel.h"
#include "stream/flush.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define CROWD (3 * SKS_WATCH_READY + 1)
#define LONG 12000 /* bytes that a wfile keeps for its flush, and a small socket does not take */

static char line_text[] = "line\n", again_text[] = "again\n";
static struct rig_loop rig;
static struct rig_link links[CROWD];
static struct sks_task *tasks[CROWD];
static int answered, failed;
static char calls[2 * CROWD + 1]; /* an r for each read, an s for each send */
static size_t ncalls;

static void
open_crowd(void)
{
	int i;

	answered = failed = 0;
	ncalls = 0;
	rig_loop_open(&rig);
	for (i = 0; i < CROWD; i++)
		rig_link_open(&links[i]);
}

static void
close_crowd(void)
{
	int i;

	for (i = 0; i < CROWD; i++)
		rig_link_close(&links[i]);
	rig_loop_close(&rig);
}

/* All of them, in one turn of the loop. */
static void
say_all(void *arg)
{
	int i;

	for (i = 0; i < CROWD; i++)
		rig_say(&links[i], arg, strlen(arg));
}

static void
run_crowd(void (*run)(void *))
{
	int i;

	for (i = 0; i < CROWD; i++)
		tasks[i] = rig_go(&rig, run, &links[i]);
	rig_go(&rig, say_all, line_text);
	rig_run(&rig);
}

static void
expect_answers(const char *answer)
{
	char got[64];
	int i;

	for (i = 0; i < CROWD; i++) {
		size_t n = rig_hear(&links[i], got, sizeof(got));

		ck_assert_msg(n == strlen(answer) && memcmp(got, answer, n) == 0,
		    "link %d has %zu bytes", i, n);
	}
}

static int
number(const struct rig_link *link)
{
	return (int)(link - links);
}

/* Answers two lines, of which the second comes when all have answered the first. */
static void
answer_two(void *arg)
{
	struct rig_link *l = arg;
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	ck_assert_int_eq(sks_write(&l->w, line, 5), 0);
	if (++answered == CROWD)
		rig_go(&rig, say_all, again_text);
	ck_assert_int_eq(sks_readline(&l->r, &line), 6);
	ck_assert_int_eq(sks_write(&l->w, line, 6), 0);
	sks_flush_end();
}

TEST(each_has_its_answers)
{
	open_crowd();
	run_crowd(answer_two);
	expect_answers("line\nagain\n");
	close_crowd();
}

static ssize_t
noted_read(struct sks_transport *tr, void *buf, size_t n)
{
	ssize_t got = sks_plain_transport.read(tr, buf, n);

	if (got > 0)
		calls[ncalls++] = 'r';
	return got;
}

static ssize_t
noted_write(struct sks_transport *tr, const struct iovec *iov, int n)
{
	calls[ncalls++] = 's';
	return sks_plain_transport.write(tr, iov, n);
}

static const struct sks_transport_ops noted = { .read = noted_read, .write = noted_write };

static void
answer_until_the_end(void *arg)
{
	struct rig_link *l = arg;
	char *line;
	ssize_t n;

	while ((n = sks_readline(&l->r, &line)) > 0) {
		ck_assert_int_eq(sks_write(&l->w, line, (size_t)n), 0);
		answered++;
	}
	ck_assert_int_eq(n, 0);
}

static void
hang_up_when_answered(void *arg)
{
	int i;

	(void)arg;
	while (ncalls < 2 * CROWD)
		sks_yield();
	for (i = 0; i < CROWD; i++)
		shutdown(links[i].peer, SHUT_WR);
}

TEST(reads_come_before_sends)
{
	const char *at = calls;
	size_t left, n;
	int i;

	open_crowd();
	for (i = 0; i < CROWD; i++)
		links[i].tr.ops = &noted;
	rig_go(&rig, hang_up_when_answered, NULL);
	run_crowd(answer_until_the_end);
	for (left = CROWD; left > 0; left -= n) {
		n = sks_min(left, SKS_WATCH_READY);
		ck_assert_uint_eq(strspn(at, "r"), n);
		at += n;
		ck_assert_uint_eq(strspn(at, "s"), n);
		at += n;
	}
	expect_answers("line\n");
	close_crowd();
}

/* What does not fit at once is the fiber's own to send. */
static void
answer_at_length(void *arg)
{
	static const char piece[LONG];
	struct rig_link *l = arg;
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	ck_assert_int_eq(sks_write(&l->w, piece, LONG), 0);
	answered++;
	ck_assert_int_eq(sks_readline(&l->r, &line), 0);
}

static void
hear_all(void *arg)
{
	static size_t heard[CROWD];
	char buf[LONG];
	int i, left = CROWD;

	(void)arg;
	memset(heard, 0, sizeof(heard));
	while (left > 0) {
		for (i = 0; i < CROWD; i++) {
			size_t n = answered == CROWD ? rig_hear(&links[i], buf, sizeof(buf)) : 0;

			heard[i] += n;
			if (n > 0 && heard[i] == LONG) {
				left--;
				shutdown(links[i].peer, SHUT_WR);
			}
		}
		sks_yield();
	}
}

TEST(long_answers_are_sent_as_there_is_room)
{
	int i, small = 1;

	open_crowd();
	for (i = 0; i < CROWD; i++)
		setsockopt(links[i].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	rig_go(&rig, hear_all, NULL);
	run_crowd(answer_at_length);
	close_crowd();
}

/* The peer is gone when the answer is sent: who waits for it is told. */
static void
answer_the_gone(void *arg)
{
	struct rig_link *l = arg;
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	if (number(l) % 2 == 0) {
		close(l->peer);
		l->peer = -1;
	}
	ck_assert_int_eq(sks_write(&l->w, "answer\n", 7), 0);
	if (number(l) % 2 != 0) {
		sks_flush_end();
		return;
	}
	ck_assert_int_eq(sks_readline(&l->r, &line), -1);
	ck_assert_int_eq(errno, EPIPE);
	failed++;
}

TEST(a_broken_send_ends_the_wait)
{
	open_crowd();
	run_crowd(answer_the_gone);
	ck_assert_int_eq(failed, (CROWD + 1) / 2);
	close_crowd();
}

/* A send of the loop that fails so that it may be tried again. */
TEST(a_send_that_would_wait_is_tried_again, TIMES(4))
{
	static const char *const faults[] = { "send:EAGAIN:1", "send:EINTR:1", "send:ENOBUFS:9999",
		"send:EAGAIN:%2" };

	open_crowd();
	ck_assert_int_eq(sks_fault(faults[_i]), 0);
	run_crowd(answer_two);
	sks_fault(NULL);
	expect_answers("line\nagain\n");
	close_crowd();
}

/* One of a group stops the loop: what was read for the others is not lost. */
static void
stop_in_between(void *arg)
{
	struct rig_link *l = arg;
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	if (answered++ % 3 == 0)
		sks_loop_stop(rig.loop);
	ck_assert_int_eq(sks_write(&l->w, line, 5), 0);
	sks_flush_end();
}

TEST(a_stopped_loop_goes_on_where_it_was)
{
	int i;

	open_crowd();
	for (i = 0; i < CROWD; i++)
		rig_go(&rig, stop_in_between, &links[i]);
	rig_go(&rig, say_all, line_text);
	while (rig.live > 0)
		ck_assert_int_eq(sks_loop_run(rig.loop), 0);
	expect_answers("line\n");
	close_crowd();
}

/* The first fiber that goes on cancels all others, whose input was read already. */
static void
cancel_others(void *arg)
{
	struct rig_link *l = arg;
	char *line;
	ssize_t n = sks_readline(&l->r, &line);
	int i;

	if (n == -1) {
		ck_assert_int_eq(errno, ECANCELED);
		failed++;
		return;
	}
	for (i = 0; i < CROWD; i++)
		if (&links[i] != l)
			sks_cancel_fiber(tasks[i]);
	ck_assert_int_eq(sks_write(&l->w, line, 5), 0);
	sks_flush_end();
}

TEST(a_cancelled_one_is_cancelled)
{
	open_crowd();
	run_crowd(cancel_others);
	ck_assert_int_eq(failed, CROWD - 1);
	close_crowd();
}

/* Its time is over when it begins to wait: the answer goes out all the same. */
static void
answer_too_late(void *arg)
{
	struct rig_link *l = arg;
	char *line;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	ck_assert_int_eq(sks_write(&l->w, line, 5), 0);
	sks_task_current()->deadline = 0;
	ck_assert_int_eq(sks_readline(&l->r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
}

TEST(a_wait_that_does_not_begin_sends)
{
	open_crowd();
	run_crowd(answer_too_late);
	expect_answers("line\n");
	close_crowd();
}

static void
answer_datagrams(void *arg)
{
	char question[64];
	int i;

	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(sks_socket_recv(arg, question, sizeof(question), 0), 9);
		ck_assert_int_eq(sks_socket_send(arg, "hello\n", 6, 0), 6);
	}
	sks_socket_free(arg);
}

/* Questions to somebody else, each a datagram, and so a flush of its own. */
static void
ask_by_datagram(void *arg)
{
	struct rig_link *l = arg;
	struct sks_socket *pair[2];
	struct sks_client *conn;
	char *line;
	int i;

	ck_assert_int_eq(sks_readline(&l->r, &line), 5);
	ck_assert_int_eq(sks_socket_pair(SOCK_DGRAM, pair), 0);
	rig_go(&rig, answer_datagrams, pair[1]);
	conn = sks_socket_makefile(pair[0], "rw");
	ck_assert_ptr_nonnull(conn);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(sks_puts(conn->wfile, "question\n"), 0);
		ck_assert_int_eq(sks_readline(conn->rfile, &line), 6);
		ck_assert_int_eq(sks_next_datagram(conn->rfile), 0);
	}
	ck_assert_int_eq(sks_client_close(conn), 0);
	sks_socket_free(pair[0]);
	ck_assert_int_eq(sks_puts(&l->w, "done\n"), 0);
	sks_flush_end();
}

TEST(datagrams_are_sent_one_by_one)
{
	open_crowd();
	run_crowd(ask_by_datagram);
	expect_answers("done\n");
	close_crowd();
}
