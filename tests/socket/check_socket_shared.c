/* SPDX-License-Identifier: MIT */
/*
 * check_socket_shared.c - a socket that several tasks use.
 */
#include "loop/cancel.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define MUCH (4 << 20)

static void
read_much(void *arg)
{
	struct sks_socket *s = arg;
	char *buf = malloc(65536); /* each reader its own */
	size_t got = 0;
	ssize_t n;

	ck_assert_ptr_nonnull(buf);
	while ((n = sks_socket_recv(s, buf, 65536, 0)) > 0)
		got += (size_t)n;
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(got, MUCH);
	free(buf);
}

static void
write_much(void *arg)
{
	static char block[MUCH];
	struct sks_socket *s = arg;

	ck_assert_int_eq(sks_socket_sendall(s, block, sizeof(block), 0), 0);
	ck_assert_int_eq(sks_socket_shutdown(s, SHUT_WR), 0);
}

TEST_ON_BOTH(one_task_reads_while_another_writes)
{
	struct sks_socket *pair[2];
	struct aside tasks[4];
	int i;

	pair_of(pair, SOCK_STREAM);
	/* The readers wait first, so that both events are on each descriptor at once. */
	begin_aside(&tasks[0], read_much, pair[0]);
	begin_aside(&tasks[1], write_much, pair[0]);
	begin_aside(&tasks[2], write_much, pair[1]);
	begin_aside(&tasks[3], read_much, pair[1]);
	for (i = 0; i < 4; i++)
		end_aside(&tasks[i]);
	free_pair(pair);
}

struct attempt {
	struct sks_socket *s;
	ssize_t rc;
	int error;
};

static void
recv_once(void *arg)
{
	struct attempt *a = arg;
	char buf[4];

	a->rc = sks_socket_recv(a->s, buf, sizeof(buf), 0);
	a->error = errno;
}

static void
read_twice_at_once(void *arg)
{
	struct attempt first = { 0 };
	struct sks_socket *pair[2];
	struct aside reader;
	char buf[4];

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	first.s = pair[0];
	begin_aside(&reader, recv_once, &first);
	sks_yield();
	ck_fails(sks_socket_recv(pair[0], buf, 4, 0), EBUSY);
	ck_fails(sks_socket_detach(pair[0]), EBUSY);
	ck_assert_int_eq(sks_socket_send(pair[1], "x", 1, 0), 1);
	end_aside(&reader);
	ck_assert_int_eq(first.rc, 1);
	free_pair(pair);
}

TEST(a_second_reader_is_ebusy)
{
	rig_run_on(1, read_twice_at_once, NULL);
}

/* 0: close. 1: free. */
static void
close_under_a_reader(void *arg)
{
	struct attempt a = { 0 };
	struct sks_socket *pair[2];
	struct aside reader;
	int fd;

	pair_of(pair, SOCK_STREAM);
	a.s = pair[0];
	fd = sks_socket_fileno(a.s);
	begin_aside(&reader, recv_once, &a);
	sks_yield();
	if (*(int *)arg)
		sks_socket_free(pair[0]);
	else
		ck_assert_int_eq(sks_socket_close(pair[0]), 0);
	/* Its number is not given to another while the wait lasts. */
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
	end_aside(&reader);
	ck_assert_int_eq(a.rc, -1);
	ck_assert_int_eq(a.error, EBADF);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	if (!*(int *)arg)
		sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

TEST(closing_ends_the_wait_of_another_fiber, TIMES(2))
{
	rig_run_on(1, close_under_a_reader, &_i);
}

TEST_ON_BOTH(shutdown_ends_the_wait_of_another_task)
{
	struct attempt a = { 0 };
	struct sks_socket *pair[2];
	struct aside reader;

	pair_of(pair, SOCK_STREAM);
	a.s = pair[0];
	a.rc = -2;
	begin_aside(&reader, recv_once, &a);
	sks_yield();
	ck_assert_int_eq(sks_socket_shutdown(pair[0], SHUT_RDWR), 0);
	end_aside(&reader);
	ck_assert_int_eq(a.rc, 0);
	free_pair(pair);
}

static void
cancel_reader(void *arg)
{
	struct attempt a = { 0 };
	struct sks_socket *pair[2];
	struct sks_task *task;

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	a.s = pair[0];
	task = rig_go(rig_here(), recv_once, &a);
	sks_yield();
	sks_cancel_fiber(task);
	while (a.rc == 0)
		sks_yield();
	ck_assert_int_eq(a.error, ECANCELED);
	sks_task_current()->deadline = 1;
	a.rc = 0;
	recv_once(&a);
	ck_assert_int_eq(a.error, ETIMEDOUT);
	free_pair(pair);
}

TEST(a_cancelled_task_waits_for_no_socket)
{
	rig_run_on(1, cancel_reader, NULL);
}
