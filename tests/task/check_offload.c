/* SPDX-License-Identifier: MIT */
/*
 * check_offload.c - blocking functions beside a loop: they run elsewhere, and the loop goes on
 * meanwhile.
 */
#include "gate.h"

#include "loop/helpers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void
count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	errno = EPROTO;
}

FIXTURE(gate_setup, acc_teardown);

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

	sigemptyset(&mask);
	rig_run_on(1, offload_a_look, &mask);
	expect_signals_of_faults_only(&mask);
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
