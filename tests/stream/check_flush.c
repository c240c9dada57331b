/* SPDX-License-Identifier: MIT */
/*
 * check_flush.c - whatever waits flushes first, and only then.
 */
#include "base/sys.h"
#include "streams.h"

#include <errno.h>

FIXTURE(streams_setup, streams_teardown, .timeout_s = 120);

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
		ck_assert_int_eq(sks_wait_fd(f->l.fd, SKS_READ, SKS_OFF), SKS_READ);
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
		ck_assert_int_eq(sks_wait_fd(f->l.peer, SKS_READ, SKS_OFF), SKS_READ);
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

TEST(a_reply_is_seen_before_its_writer_waits, TIMES(THENS))
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

TEST(a_thread_flushes_before_it_waits, TIMES(4))
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

TEST(a_flush_that_cannot_wait_is_not_passed_over)
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

#define MANY 1000

/* The flush of one does not wait within that of another: that would take a fiber's stack. */
TEST_ON_BOTH(many_whose_peers_do_not_read_are_flushed)
{
	static struct sks_wfile all[MANY];
	struct rig_link l;
	int i;

	rig_link_open(&l);
	need_big();
	l.times.write_ms = 0;
	while (send(l.fd, big, 4096, MSG_DONTWAIT) > 0)
		;
	for (i = 0; i < MANY; i++) {
		sks_wfile_init(&all[i], &l.tr, &l.times, &l.times, 65536);
		ck_assert_int_eq(sks_puts(&all[i], "x"), 0);
	}
	sks_yield();
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(sks_wfile_error(&all[i]), ETIMEDOUT);
		sks_wfile_close(&all[i]);
	}
	rig_link_close(&l);
}
