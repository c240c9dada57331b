/* SPDX-License-Identifier: MIT */
/*
 * check_offload.c - blocking functions beside a loop: they run elsewhere, to
 * their end or not at all, and the loop goes on meanwhile.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/sys.h"
#include "base/clock.h"
#include "loop/helpers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A function that blocks until the test lets it go on. */
struct gate {
	sem_t begun, go;
	atomic_int ran;
	atomic_int cancelled_meanwhile;
};

static struct gate gate;

static void
open_gate(void)
{
	memset(&gate, 0, sizeof(gate));
	sem_init(&gate.begun, 0, 0);
	sem_init(&gate.go, 0, 0);
}

static void
await(sem_t *sem)
{
	while (sem_wait(sem) == -1)
		;
}

static void
block_at_gate(void *arg)
{
	struct gate *g = arg;

	sem_post(&g->begun);
	await(&g->go);
	atomic_fetch_add(&g->ran, 1);
}

static void
count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	errno = EPROTO;
}

static void
setup(void)
{
	acc_setup();
	open_gate();
}

FIXTURE(setup, acc_teardown);

/* -- in and out of fibers -- */

TEST_ON_BOTH(runs_and_returns)
{
	atomic_int ran = 0;
	int rc = sks_offload(count, &ran);

	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(ran, 1);
}

static void
note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void
look_where_it_runs(void *arg)
{
	int fiber = *(int *)arg;
	pthread_t where, again;

	ck_assert_int_eq(sks_offload(note_thread, &where), 0);
	ck_assert_int_eq(pthread_equal(where, pthread_self()) != 0, !fiber);
	ck_assert_int_eq(sks_offload(note_thread, &again), 0);
	ck_assert(pthread_equal(where, again)); /* kept, not made anew */
}

TEST(runs_on_a_thread_of_its_own_only_on_a_fiber, ON_BOTH)
{
	rig_run_on(_i, look_where_it_runs, &_i);
}

static void
offload_to_gate(void *arg)
{
	*(int *)arg = sks_offload(block_at_gate, &gate);
}

static void
turn_and_open(void *arg)
{
	int i;

	(void)arg;
	await(&gate.begun);
	for (i = 0; i < 3; i++) /* the loop turns although the function blocks */
		ck_assert_int_eq(sks_sleep(1), 0);
	ck_assert_int_eq(gate.ran, 0);
	sem_post(&gate.go);
}

TEST(others_go_on_while_it_blocks)
{
	struct rig_loop rig;
	int rc = -2;

	rig_loop_open(&rig);
	rig_go(&rig, offload_to_gate, &rc);
	rig_go(&rig, turn_and_open, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(gate.ran, 1);
}

static void
look_at_signals(void *arg)
{
	pthread_sigmask(SIG_BLOCK, NULL, arg);
}

static void
offload_a_look(void *arg)
{
	ck_assert_int_eq(sks_offload(look_at_signals, arg), 0);
}

TEST(signals_are_the_hosts)
{
	sigset_t mask;
	int i;

	sigemptyset(&mask);
	rig_run_on(1, offload_a_look, &mask);
	for (i = 1; i < 32; i++)
		if (i != SIGKILL && i != SIGSTOP)
			ck_assert_msg(sigismember(&mask, i), "signal %d is let through", i);
}

/* -- it runs to its end or not at all -- */

static struct sks_task *victim;

static void
offload_and_note(void *arg)
{
	int *said = arg;

	said[0] = sks_offload(block_at_gate, &gate);
	said[1] = errno;
	said[2] = gate.ran;
	said[3] = sks_sleep(1) == -1 ? errno : 0;
}

static void
cancel_and_open(void *arg)
{
	(void)arg;
	await(&gate.begun);
	sks_wait_cancel(victim);
	ck_assert_int_eq(sks_sleep(2), 0);
	sem_post(&gate.go);
}

TEST(what_has_begun_is_waited_for_when_cancelled)
{
	struct rig_loop rig;
	int said[4] = { -2 };

	rig_loop_open(&rig);
	victim = rig_go(&rig, offload_and_note, said);
	rig_go(&rig, cancel_and_open, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(said[0], 0);
	ck_assert_int_eq(said[2], 1);
	ck_assert_int_eq(said[3], ECANCELED);
}

/* All threads of the crew at the gate: who comes next is queued. */
#define CREW 32

static void
fill_crew(struct rig_loop *rig, int *rc)
{
	int i;

	for (i = 0; i < CREW; i++)
		rig_go(rig, offload_to_gate, &rc[i]);
}

static void
empty_crew(void)
{
	int i;

	for (i = 0; i < CREW; i++)
		sem_post(&gate.go);
}

static void
offload_count(void *arg)
{
	int *said = arg;
	atomic_int ran = 0;

	said[0] = sks_offload(count, &ran);
	said[1] = said[0] == -1 ? errno : 0;
	said[2] = ran;
}

static void
cancel_queued(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < CREW; i++)
		await(&gate.begun);
	sks_wait_cancel(victim);
	ck_assert_int_eq(sks_sleep(1), 0);
	empty_crew();
}

TEST(what_is_queued_is_taken_back_when_cancelled)
{
	int rc[CREW], said[3] = { -2, 0, 0 }, i;
	struct rig_loop rig;

	rig_loop_open(&rig);
	fill_crew(&rig, rc);
	victim = rig_go(&rig, offload_count, said);
	rig_go(&rig, cancel_queued, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(said[0], -1);
	ck_assert_int_eq(said[1], ECANCELED);
	ck_assert_int_eq(said[2], 0);
	for (i = 0; i < CREW; i++)
		ck_assert_int_eq(rc[i], 0);
	ck_assert_int_eq(gate.ran, CREW);
}

static void
open_late(void *arg)
{
	int *said = arg;

	while (said[0] == -2) /* its deadline has to end it, nothing else does */
		ck_assert_int_eq(sks_sleep(1), 0);
	empty_crew();
}

static void
offload_with_deadline(void *arg)
{
	sks_task_current()->deadline = sks_clock_after(5);
	offload_count(arg);
}

TEST(what_is_queued_is_taken_back_at_the_deadline)
{
	int rc[CREW], said[3] = { -2, 0, 0 };
	struct rig_loop rig;

	rig_loop_open(&rig);
	fill_crew(&rig, rc);
	rig_go(&rig, offload_with_deadline, said);
	rig_go(&rig, open_late, said);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(said[0], -1);
	ck_assert_int_eq(said[1], ETIMEDOUT);
	ck_assert_int_eq(said[2], 0);
}

static void
open_all(void *arg)
{
	(void)arg;
	await(&gate.begun);
	empty_crew();
}

TEST(the_queue_moves_on)
{
	int rc[CREW], said[40][3], i;
	struct rig_loop rig;

	rig_loop_open(&rig);
	fill_crew(&rig, rc);
	for (i = 0; i < 40; i++)
		rig_go(&rig, offload_count, said[i]);
	rig_go(&rig, open_all, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	for (i = 0; i < 40; i++)
		ck_assert(said[i][0] == 0 && said[i][2] == 1);
}

#define QUEUE 1024

static void
open_when_refused(void *arg)
{
	int(*said)[3] = arg;

	while (said[QUEUE][0] == -2)
		ck_assert_int_eq(sks_sleep(1), 0);
	empty_crew();
}

TEST(the_queue_is_bounded)
{
	static int said[QUEUE + 1][3];
	int rc[CREW], i;
	struct rig_loop rig;

	rig_loop_open(&rig);
	fill_crew(&rig, rc);
	for (i = 0; i <= QUEUE; i++) {
		said[i][0] = -2;
		rig_go(&rig, offload_count, said[i]);
	}
	rig_go(&rig, open_when_refused, said);
	rig_run(&rig);
	rig_loop_close(&rig);
	ck_assert_int_eq(said[QUEUE][0], -1);
	ck_assert_int_eq(said[QUEUE][1], EAGAIN);
	for (i = 0; i < QUEUE; i++)
		ck_assert(said[i][0] == 0 && said[i][2] == 1);
}

static void
offload_with_faults(void *arg)
{
	int said[3];

	(void)arg;
	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1"), 0);
	offload_count(said);
	ck_assert(said[0] == -1 && said[1] == EAGAIN && said[2] == 0);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	offload_count(said);
	ck_assert(said[0] == -1 && said[1] == ENOMEM && said[2] == 0);
	offload_count(said);
	ck_assert(said[0] == 0 && said[2] == 1);
}

TEST(without_a_thread_it_has_not_run)
{
	rig_run_on(1, offload_with_faults, NULL);
}

/* One thread is there: what finds no second one waits for it. */
TEST(one_thread_serves_all_when_there_are_no_more)
{
	int rc = -2, said[3][3], i;
	struct rig_loop rig;

	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:2+"), 0);
	rig_loop_open(&rig);
	rig_go(&rig, offload_to_gate, &rc);
	for (i = 0; i < 3; i++)
		rig_go(&rig, offload_count, said[i]);
	rig_go(&rig, turn_and_open, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	for (i = 0; i < 3; i++)
		ck_assert(said[i][0] == 0 && said[i][2] == 1);
}

/* -- in handlers -- */

static void
say_hello(void *arg)
{
	snprintf(arg, 32, "hello from afar\n");
}

static int
offload_a_line(struct sks_request *req)
{
	char text[32];

	sks_puts(req->wfile, "asks\n");
	if (sks_offload(say_hello, text) == -1)
		return -1;
	return sks_puts(req->wfile, text);
}

static const struct sks_handler offloading = { .name = "offloading", .handle = offload_a_line };

TEST(serves_in_every_mode, EACH_MODE)
{
	struct acc acc;
	int fd[8], i;

	acc_tcp(&acc, _i, &offloading, NULL);
	acc_start(&acc);
	for (i = 0; i < 8; i++)
		fd[i] = acc_client(&acc);
	for (i = 0; i < 8; i++) {
		peer_expect(fd[i], "asks\nhello from afar\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
}

/* A fiber server's helper threads live in the process that forks for each request of another. */
TEST(forks_beside_helper_threads)
{
	struct acc fibers, processes;
	int fd, i;

	acc_tcp(&fibers, 0, &offloading, NULL);
	acc_tcp(&processes, ACC_PROCESSES, &offloading, NULL);
	acc_start(&fibers);
	acc_ask(&fibers, "", "asks\nhello from afar\n");
	acc_start(&processes);
	for (i = 0; i < 5; i++) {
		acc_ask(&fibers, "", "asks\nhello from afar\n");
		fd = acc_client(&processes);
		peer_expect(fd, "asks\nhello from afar\n");
		peer_expect_eof(fd);
	}
	acc_free(&processes);
	acc_free(&fibers);
}

static int
offload_to_the_gate(struct sks_request *req)
{
	int rc;

	sks_puts(req->wfile, "blocks\n");
	rc = sks_offload(block_at_gate, &gate);
	atomic_store(&seen->note, rc == 0 ? 1 : 2);
	if (sks_sleep(3600000) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

static const struct sks_handler blocking = { .name = "blocking", .handle = offload_to_the_gate };

static void *
open_the_gate(void *arg)
{
	(void)arg;
	await(&gate.begun);
	while (atomic_load(&gate.cancelled_meanwhile) == 0)
		breathe();
	sem_post(&gate.go);
	return NULL;
}

/* On the host's base: free ends the wait, and cannot return before the function has. */
TEST(free_waits_for_what_has_begun)
{
	struct sks_options options = { .base = event_base_new() };
	pthread_t opener;
	struct acc acc;
	int fd;

	acc_tcp(&acc, 0, &blocking, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	pthread_create(&opener, NULL, open_the_gate, NULL);
	while (peer_is_silent(fd))
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	atomic_store(&gate.cancelled_meanwhile, 1);
	acc_free(&acc);
	pthread_join(opener, NULL);
	ck_assert_int_eq(gate.ran, 1);
	ck_assert_int_eq(seen->note, 1);
	ck_assert_int_eq(seen->waited, ECANCELED);
	close(fd);
	event_base_free(options.base);
}

TEST(a_shutdown_is_heard_after_it, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &blocking, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "blocks\n");
	sks_server_shutdown(acc.server);
	close(fd);
	sem_post(&gate.go);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(gate.ran, 1);
	ck_assert_int_eq(seen->waited, ECANCELED);
	acc_free(&acc);
}
