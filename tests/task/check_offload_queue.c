/* SPDX-License-Identifier: MIT */
/*
 * check_offload_queue.c - a function that is offloaded runs to its end, or not at all.
 */
#include "gate.h"

#include "base/sys.h"
#include "base/clock.h"
#include "loop/cancel.h"
#include "loop/helpers.h"

#include <errno.h>

static void
count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	errno = EPROTO;
}

FIXTURE(gate_setup, acc_teardown);

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
	sks_cancel_fiber(victim);
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
	sks_cancel_fiber(victim);
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
