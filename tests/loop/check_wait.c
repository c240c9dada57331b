/* SPDX-License-Identifier: MIT */
/*
 * check_wait.c - to sleep, to yield, to wait for a descriptor; deadlines and cancellation.
 */
#include "acceptance.h"
#include "base/clock.h"
#include "base/sys.h"
#include "loop/cancel.h"
#include "rig.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define MS INT64_C(1000000)

/* -- sleeping and yielding -- */

TEST_ON_BOTH(a_sleep_lasts_its_time)
{
	int ms;

	for (ms = 1; ms <= 5; ms++) {
		int64_t before = rig_now();

		ck_assert_int_eq(sks_sleep(ms), 0);
		ck_assert_int_ge(rig_now() - before, ms * MS);
	}
	ck_assert_int_eq(sks_sleep(0), 0);
	sks_yield();
}

/* The loop's own idea of the time is old after this. */
static void
compute(int ms)
{
	int64_t until = rig_now() + ms * MS;

	while (rig_now() < until)
		;
}

TEST_ON_BOTH(a_long_computation_shortens_no_wait)
{
	struct rig_link l;
	int64_t before;
	char *line;

	compute(20);
	before = rig_now();
	ck_assert_int_eq(sks_sleep(10), 0);
	ck_assert_int_ge(rig_now() - before, 10 * MS);

	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 10);
	compute(20);
	before = rig_now();
	ck_assert_int_eq(sks_readline(&l.r, &line), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 9 * MS);

	compute(20);
	before = rig_now();
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, 10), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 9 * MS);
	rig_link_close(&l);
}

struct order {
	char text[64];
	size_t n;
};

static void
note(struct order *order, char who)
{
	ck_assert_uint_lt(order->n, sizeof(order->text) - 1);
	order->text[order->n++] = who;
}

static struct order order;

static void
take_turns(void *arg)
{
	char *who = arg;
	int i;

	for (i = 0; i < 4; i++) {
		note(&order, *who);
		if (i % 2 == 0)
			sks_yield();
		else
			ck_assert_int_eq(sks_sleep(0), 0);
	}
}

TEST(fibers_that_yield_take_turns)
{
	char who[] = "abc";
	struct rig_loop rig;
	size_t i;

	rig_loop_open(&rig);
	for (i = 0; i < 3; i++)
		rig_go(&rig, take_turns, &who[i]);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_str_eq(order.text, "abcabcabcabc");
}

static int64_t all_late; /* the moment, in ms, when the last of them is late */

static void
wait_for_letter(void *arg)
{
	const char *who = arg;

	ck_assert_int_eq(sks_wait_until(all_late - 200 * ('e' - *who)), 0);
	note(&order, *who);
}

static void
compute_until_all_are_late(void *arg)
{
	(void)arg;
	while (sks_clock_ms() < all_late)
		;
	note(&order, '!');
}

/*
 * All fibers have begun to wait long before the first timer is due, on a busy machine too. Libevent
 * counts from when its turn began, so timers that are close to each other may change places.
 */
TEST(timers_that_are_late_come_in_their_order)
{
	char who[] = "dbc";
	struct rig_loop rig;
	size_t i;

	all_late = sks_clock_ms() + 1000;
	rig_loop_open(&rig);
	for (i = 0; i < 3; i++)
		rig_go(&rig, wait_for_letter, &who[i]);
	rig_go(&rig, compute_until_all_are_late, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_str_eq(order.text, "!bcd");
}

/* -- descriptors -- */

TEST_ON_BOTH(a_descriptor_is_waited_for)
{
	struct rig_link l;
	char big[65536];
	int64_t before;

	rig_link_open(&l);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_WRITE, SKS_OFF), SKS_WRITE);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ | SKS_WRITE, SKS_OFF), SKS_WRITE);
	before = rig_now();
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, 5), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 4 * MS);
	rig_say(&l, "x", 1);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, SKS_OFF), SKS_READ);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ | SKS_WRITE, SKS_OFF), SKS_READ | SKS_WRITE);
	memset(big, 'x', sizeof(big));
	while (send(l.fd, big, sizeof(big), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_WRITE, 5), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ | SKS_WRITE, SKS_OFF), SKS_READ);
	/* The peer is gone: both hold, the next call will say what it is. */
	close(l.peer);
	l.peer = -1;
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_READ, SKS_OFF), SKS_READ);
	ck_assert_int_eq(sks_wait_fd(l.fd, SKS_WRITE, SKS_OFF), SKS_WRITE);
	rig_link_close(&l);
}

TEST_ON_BOTH(a_hangup_ends_the_wait)
{
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	ck_assert_int_eq(sks_wait_fd(fds[0], SKS_READ, SKS_OFF), SKS_READ);
	ck_assert_int_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	ck_assert_int_eq(sks_wait_fd(fds[1], SKS_WRITE, SKS_OFF), SKS_WRITE);
	close(fds[1]);
}

static void
silence(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static void
wait_for_nonsense(void *arg)
{
	int closed, file, events;

	event_set_log_callback(silence);
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ne(file, -1);
	closed = dup(file);
	close(closed);
	ck_assert_int_eq(sks_wait_fd(-1, SKS_READ, SKS_OFF), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_fails(sks_wait_fd(closed, SKS_READ, SKS_OFF), EBADF);
	ck_fails(sks_wait_fd(INT_MAX, SKS_READ, SKS_OFF), EBADF);
	for (events = -1; events <= 8; events++) {
		if (events >= 1 && events <= 3)
			continue;
		ck_assert_int_eq(sks_wait_fd(file, events, SKS_OFF), -1);
		ck_assert_int_eq(errno, EINVAL);
	}
	if (arg != NULL) {
		ck_assert_int_eq(sks_wait_fd(file, SKS_READ, SKS_OFF), -1);
		ck_assert_int_eq(errno, EPERM);
	} else
		ck_assert_int_eq(sks_wait_fd(file, SKS_READ, SKS_OFF), SKS_READ);
	close(file);
	event_set_log_callback(NULL);
}

TEST(nonsense_is_refused, ON_BOTH)
{
	rig_run_on(_i, wait_for_nonsense, _i == 1 ? &order : NULL);
}

/* -- deadlines -- */

static int sleeps, reads;

static int
sleep_past_the_deadline(struct sks_request *req)
{
	int64_t before = rig_now();
	int rc;

	sleeps = 0;
	sks_deadline(req, 20);
	while ((rc = sks_sleep(3)) == 0)
		sleeps++;
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 19 * MS);
	ck_assert_int_le(sleeps, 7);
	/* And stays: until it is lifted. */
	ck_assert_int_eq(sks_sleep(1), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_deadline(req, SKS_OFF);
	ck_assert_int_eq(sks_sleep(1), 0);
	sks_deadline(req, 1);
	return sks_sleep(10000);
}

static void
finish_without_that_deadline(struct sks_request *req)
{
	sks_deadline(req, 1); /* finish has its own */
	ck_assert_int_eq(sks_sleep(3), 0);
	sks_puts(req->wfile, "finished");
}

TEST(a_deadline_is_over_all_waits_together)
{
	static const struct sks_handler handler = {
		.handle = sleep_past_the_deadline, .finish = finish_without_that_deadline
	};
	char *out;

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, NULL), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_str_eq(out, "finished");
	free(out);
}

/* Each line comes in time for the line's limit, but all together take too long. */
static int
read_past_the_deadline(struct sks_request *req)
{
	char *line;
	ssize_t n;

	sks_deadline(req, 20);
	while ((n = sks_readline(req->rfile, &line)) > 0) {
		reads++;
		ck_assert_int_eq(sks_puts(req->wfile, "again\n"), 0);
	}
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_deadline(req, SKS_OFF);
	ck_assert_int_eq(sks_puts(req->wfile, "enough\n"), 0);
	return 0;
}

TEST(a_deadline_ends_a_chatty_client)
{
	static const struct sks_handler handler = { .handle = read_past_the_deadline };
	char got[6] = "";
	struct acc acc;
	int fd;

	acc_tcp(&acc, ACC_FIBERS, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	do {
		if (send(fd, "line\n", 5, MSG_NOSIGNAL) == -1)
			break;
	} while (peer_receive(fd, got, 6) == 6 && memcmp(got, "again\n", 6) == 0);
	ck_assert_mem_eq(got, "enough", 6);
	close(fd);
	acc_stop(&acc);
	ck_assert_int_ge(reads, 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
}

/* -- cancellation -- */

struct waiting {
	struct rig_link l;
	struct sks_mutex *mutex;
	int what;
	atomic_int began;
};

enum { IN_READ, IN_WRITE, IN_SLEEP, IN_WAIT_FD, IN_LOCK, WAITS };

/* Any wait of this task, which somebody cancels. */
static void
wait_somehow(struct waiting *w)
{
	static char big[1 << 20];
	char *line;
	int rc = 0;

	switch (w->what) {
	case IN_READ:
		rc = (int)sks_readline(&w->l.r, &line);
		break;
	case IN_WRITE:
		rc = sks_write(&w->l.w, big, sizeof(big));
		break;
	case IN_SLEEP:
		rc = sks_sleep(1000000);
		break;
	case IN_WAIT_FD:
		rc = sks_wait_fd(w->l.fd, SKS_READ, SKS_OFF);
		break;
	case IN_LOCK:
		rc = sks_mutex_lock(w->mutex);
		break;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(errno, ECANCELED);
}

static void
wait_until_cancelled(void *arg)
{
	struct waiting *w = arg;

	wait_somehow(w);
	if (w->what == IN_READ)
		ck_assert_int_eq(sks_error(&w->l.r), 0);
	/* It holds for every later wait, and also where there would be none. */
	if (w->what != IN_WRITE) { /* cut within a message, that direction is broken */
		wait_somehow(w);
		ck_assert_int_eq(sks_puts(&w->l.w, "x"), 0);
	}
	ck_assert_int_eq(sks_sleep(0), -1);
	ck_assert_int_eq(errno, ECANCELED);
}

struct pair_of_tasks {
	struct waiting w;
	struct sks_task *waiter;
};

static void
cancel_the_other(void *arg)
{
	struct pair_of_tasks *pair = arg;

	if (pair->w.what == IN_LOCK)
		ck_assert_int_eq(sks_mutex_lock(pair->w.mutex), 0);
	sks_yield();
	sks_cancel_fiber(pair->waiter);
	sks_yield();
	sks_yield();
	if (pair->w.what == IN_LOCK)
		ck_assert_int_eq(sks_mutex_unlock(pair->w.mutex), 0);
}

TEST(a_fiber_is_cancelled_in_any_wait, TIMES(WAITS))
{
	struct pair_of_tasks pair = { .w.what = _i, .w.mutex = sks_mutex_new() };
	struct rig_loop rig;

	rig_loop_open(&rig);
	rig_link_open(&pair.w.l);
	rig_go(&rig, cancel_the_other, &pair);
	pair.waiter = rig_go(&rig, wait_until_cancelled, &pair.w);
	rig_run(&rig);
	rig_link_close(&pair.w.l);
	rig_loop_close(&rig);
	/* Nobody is left in its queue. */
	ck_assert_int_eq(sks_mutex_trylock(pair.w.mutex), 0);
	ck_assert_int_eq(sks_mutex_unlock(pair.w.mutex), 0);
	sks_mutex_free(pair.w.mutex);
}

static struct sks_cancel thread_cancel;
static sem_t thread_has_task;

static void *
wait_on_thread(void *arg)
{
	struct waiting *w = arg;

	sks_task_current()->cancel = &thread_cancel;
	sem_post(&thread_has_task);
	wait_until_cancelled(w);
	return NULL;
}

TEST(a_thread_is_cancelled_in_any_wait, TIMES(WAITS))
{
	struct waiting w = { .what = _i, .mutex = sks_mutex_new() };
	pthread_t thread;

	ck_assert_int_eq(sks_cancel_init(&thread_cancel), 0);
	sem_init(&thread_has_task, 0, 0);
	if (_i == IN_LOCK)
		ck_assert_int_eq(sks_mutex_lock(w.mutex), 0);
	rig_link_open(&w.l);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_on_thread, &w), 0);
	while (sem_wait(&thread_has_task) == -1)
		;
	if (_i != IN_LOCK)
		ck_eventually(sks_fault_calls("poll") > 0);
	sks_cancel_set(&thread_cancel, 1);
	pthread_join(thread, NULL);
	close(thread_cancel.fd);
	if (_i == IN_LOCK)
		ck_assert_int_eq(sks_mutex_unlock(w.mutex), 0);
	rig_link_close(&w.l);
	sks_mutex_free(w.mutex);
	sem_destroy(&thread_has_task);
}

/* A loop that waits for a deadline sleeps: its timers are set a few times, and not at each turn. */
static void
let_deadlines_pass(void *unused)
{
	unsigned long before = sks_fault_calls("event_add");
	struct rig_link l;
	char *line;

	(void)unused;
	rig_link_open(&l);
	sks_rfile_set_idle(&l.r, 40);
	ck_fails(sks_readline(&l.r, &line), ETIMEDOUT);
	ck_fails(sks_wait_fd(l.fd, SKS_READ, 40), ETIMEDOUT);
	ck_assert_int_eq(sks_sleep(40), 0);
	ck_assert_uint_lt(sks_fault_calls("event_add") - before, 40);
	rig_link_close(&l);
}

TEST(a_deadline_does_not_make_its_loop_spin)
{
	rig_run_on(1, let_deadlines_pass, NULL);
}
