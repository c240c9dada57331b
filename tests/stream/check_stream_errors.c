/* SPDX-License-Identifier: MIT */
/*
 * check_stream_errors.c - which errors stick to a stream and which do not, that a second reader or
 * writer at once is refused, and that signals break nothing.
 */
#include "base/sys.h"
#include "loop/cancel.h"
#include "streams.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

/* The peer breaks off. */
static void
reset(struct rig_link *l)
{
	static const struct linger now = { .l_onoff = 1 };

	setsockopt(l->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(l->peer);
	l->peer = -1;
}

TEST_ON_BOTH(a_reset_sticks)
{
	struct rig_link l;
	char *line, byte;
	unsigned long calls;

	rig_link_open_tcp(&l);
	rig_say(&l, TEXT("a line\n"));
	expect_line(&l, TEXT("a line\n"));
	reset(&l);
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
	ck_assert_int_eq(sks_end(&l.r), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_uint_eq(sks_fault_calls("recv"), calls);
	rig_link_close(&l);
}

/* The kernel tells of a reset once, and whoever asks later finds an end. */
TEST_ON_BOTH(a_reset_that_a_write_was_told_of_is_no_end)
{
	struct rig_link l;
	char *line;

	rig_link_open_tcp(&l);
	reset(&l);
	ck_assert_int_eq(sks_puts(&l.w, "x"), 0);
	ck_assert_int_eq(sks_flush(&l.w), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sks_error(&l.r), ECONNRESET);
	ck_assert_int_eq(sks_eof(&l.r), 0);
	rig_link_close(&l);
}

TEST_ON_BOTH(an_end_before_a_reset_is_one)
{
	struct rig_link l;

	rig_link_open_tcp(&l);
	shutdown(l.peer, SHUT_WR);
	reset(&l);
	ck_assert_int_eq(sks_puts(&l.w, "x"), 0);
	ck_assert_int_eq(sks_flush(&l.w), -1);
	ck_assert_int_eq(errno, EPIPE);
	expect_end(&l);
	rig_link_close(&l);
}

/* As if another thread was just told, and has told nobody yet; with a reset, an end, no TCP. */
TEST(a_reset_that_another_thread_is_told_of_is_no_end, TIMES(3))
{
	struct rig_link l;
	char *line;

	if (_i < 2)
		rig_link_open_tcp(&l);
	else
		rig_link_open(&l);
	if (_i == 0) {
		reset(&l);
		ck_assert_int_eq(send(l.fd, "x", 1, MSG_NOSIGNAL), -1);
		ck_assert_int_eq(errno, ECONNRESET);
	} else {
		close(l.peer);
		l.peer = -1;
	}
	l.tr.writing = 1;
	if (_i == 0) {
		ck_assert_int_eq(sks_readline(&l.r, &line), -1);
		ck_assert_int_eq(errno, ECONNRESET);
	} else
		expect_end(&l);
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
	ck_fails(sks_readexactly(&b->l.r, &byte, 1), EBUSY);
	ck_fails(sks_readuntil_string(&b->l.r, "end", 0, &line), EBUSY);
	ck_fails(sks_copy(&b->l.r, &b->l.w, 1), EBUSY);
	ck_fails(sks_pass(&b->l.r, &b->l.w), EBUSY);
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

TEST(a_second_reader_or_writer_is_refused, TIMES(3))
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

/* The second one is a task whose streams other threads may use, and which claims them. */
TEST(who_is_refused_leaves_the_stream_to_others)
{
	struct sks_task *task = sks_task_current();
	struct rig_link l;
	char *line;

	rig_link_open(&l);
	rig_say(&l, TEXT("line\n"));
	task->shares = 1;
	l.r.busy = 1;
	ck_fails(sks_readline(&l.r, &line), EBUSY);
	l.r.busy = 0;
	expect_line(&l, TEXT("line\n"));
	task->shares = 0;
	rig_link_close(&l);
}

/* -- a write that is cancelled half way -- */

static void
write_until_cancelled(void *arg)
{
	struct rig_link *l = arg;
	struct sks_task *task = sks_task_current();

	ck_fails(sks_write(&l->w, big, BIG), ECANCELED);
	atomic_store(&task->cancelled, 0); /* as before finish */
	task->cancel = NULL;
	ck_assert_int_eq(sks_error(&l->w), ECANCELED);
	ck_fails(sks_puts(&l->w, "more"), ECANCELED);
	ck_fails(sks_flush(&l->w), ECANCELED);
}

/* What comes behind a part of it would be taken for the rest. */
static void
expect_a_part_and_nothing_else(struct rig_link *l)
{
	static char got[65536];
	size_t at = 0, n;

	while ((n = rig_hear(l, got, sizeof(got))) > 0) {
		ck_assert_mem_eq(got, big + at, n);
		at += n;
	}
	ck_assert_uint_gt(at, 0);
	ck_assert_uint_lt(at, BIG);
}

static void
cancel_a_fiber(void *task)
{
	sks_cancel_fiber(*(struct sks_task **)task);
}

TEST(a_large_write_that_is_cancelled_half_way_breaks_the_stream)
{
	struct sks_task *writer;
	struct rig_loop rig;
	struct rig_link l;

	need_big();
	rig_loop_open(&rig);
	rig_link_open(&l);
	writer = rig_go(&rig, write_until_cancelled, &l);
	rig_go(&rig, cancel_a_fiber, &writer);
	rig_run(&rig);
	expect_a_part_and_nothing_else(&l);
	rig_link_close(&l);
	rig_loop_close(&rig);
}

static void *
cancel_when_full(void *arg)
{
	struct rig_link *l = ((void **)arg)[0];
	int unread;

	do {
		breathe();
	} while (ioctl(l->peer, FIONREAD, &unread) == -1 || unread == 0);
	sks_cancel_set(((void **)arg)[1], 1);
	return NULL;
}

TEST(a_large_write_that_is_cancelled_half_way_on_a_thread_does_so_too)
{
	struct sks_cancel cancel;
	struct rig_link l;
	void *both[] = { &l, &cancel };
	pthread_t thread;

	need_big();
	rig_link_open(&l);
	ck_assert_int_eq(sks_cancel_init(&cancel), 0);
	sks_task_current()->cancel = &cancel;
	ck_assert_int_eq(pthread_create(&thread, NULL, cancel_when_full, both), 0);
	write_until_cancelled(&l);
	pthread_join(thread, NULL);
	expect_a_part_and_nothing_else(&l);
	close(cancel.fd);
	rig_link_close(&l);
}

/* -- signals -- */

static atomic_int calm;

static void
on_usr1(int signo)
{
	(void)signo;
}

static void *
pester(void *thread)
{
	while (!atomic_load(&calm)) {
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

/* Each ends a wait early. None begins it anew with all of its time, which would never be over. */
TEST_ON_BOTH(signals_extend_no_limit)
{
	struct sigaction action = { .sa_handler = on_usr1 }, old; /* no SA_RESTART */
	pthread_t self = pthread_self(), thread;
	struct rig_link l;
	char *line;

	need_big();
	rig_link_open(&l);
	sigaction(SIGUSR1, &action, &old);
	ck_assert_int_eq(pthread_create(&thread, NULL, pester, &self), 0);
	sks_rfile_set_idle(&l.r, 50);
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_wfile_set_timeout(&l.w, 50);
	ck_assert_int_eq(sks_write(&l.w, big, BIG), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	atomic_store(&calm, 1);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &old, NULL);
	rig_link_close(&l);
}
