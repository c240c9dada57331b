/* SPDX-License-Identifier: MIT */
/*
 * check_channel_fork.c - a child process has a copy of a channel, and none of the tasks that wait.
 */
#include "acceptance.h"
#include "rig.h"
#include "tools.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sks_channel *channel; /* of four numbers */

FIXTURE(acc_setup, acc_teardown);

static void
expect_child(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void
wait_to_receive(void *arg)
{
	int item = 0;

	(void)arg;
	ck_assert_int_eq(sks_channel_recv(channel, &item), 1);
	ck_assert_int_eq(item, 42);
}

static void
send_in_a_child(void *arg)
{
	int item = 7, got = 0;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		_exit(sks_channel_trysend(channel, &item) == 0 &&
		    sks_channel_tryrecv(channel, &got) == 1 && got == 7 ? 0 : 1);
	expect_child(pid);
	item = 42;
	ck_assert_int_eq(sks_channel_trysend(channel, &item), 0);
}

static void
wait_to_send(void *arg)
{
	int item = 42;

	(void)arg;
	ck_assert_int_eq(sks_channel_send(channel, &item), 0);
}

static void
receive_in_a_child(void *arg)
{
	int n = 0, got;
	pid_t pid = fork();

	(void)arg;
	while (sks_channel_tryrecv(channel, &got) == 1)
		n++;
	if (pid == 0)
		_exit(n == 4 ? 0 : 1);
	ck_assert_int_eq(n, 5);
	expect_child(pid);
}

TEST(those_who_wait_are_of_one_process)
{
	struct rig_loop rig;
	int i;

	channel = sks_channel_new(sizeof(int), 4);
	rig_loop_open(&rig);
	rig_go(&rig, wait_to_receive, NULL);
	rig_go(&rig, send_in_a_child, NULL);
	rig_run(&rig);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(sks_channel_trysend(channel, &i), 0);
	rig_go(&rig, wait_to_send, NULL);
	rig_go(&rig, receive_in_a_child, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	sks_channel_free(channel);
}

static atomic_int is_over;

static void *
send_and_receive(void *arg)
{
	int item = 0;

	while (!atomic_load(&is_over)) {
		(void)!sks_channel_trysend(channel, &item);
		(void)!sks_channel_tryrecv(channel, &item);
	}
	return arg;
}

/* A lock that it had then would stay locked in the child. */
TEST(a_fork_waits_for_whoever_uses_it,
    .left_out = SKS_TSAN ? "ThreadSanitizer knows no threads in a child of a process with threads" :
			   NULL)
{
	pthread_t thread;
	int i, item = 0;
	pid_t pid;

	channel = sks_channel_new(sizeof(int), 4);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_and_receive, NULL), 0);
	for (i = 0; i < 200; i++) {
		pid = fork();
		if (pid == 0) {
			limit_child(50);
			_exit(sks_channel_tryrecv(channel, &item) == 0);
		}
		expect_child(pid);
	}
	atomic_store(&is_over, 1);
	pthread_join(thread, NULL);
	sks_channel_free(channel);
}
