/* SPDX-License-Identifier: MIT */
/*
 * check_select.c - waiting for any of many descriptors; in a thread (loop
 * test 0) and on a fiber (1).
 */
#include "base/sys.h"
#include "base/util.h"
#include "loop/cancel.h"
#include "sockets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

/* Writes to a socket after a moment. */
static void
write_later(void *arg)
{
	ck_assert_int_eq(sks_sleep(5), 0);
	ck_assert_int_eq(sks_socket_send(arg, "x", 1, 0), 1);
}

static void *
write_later_in_thread(void *arg)
{
	write_later(arg);
	return NULL;
}

static pthread_t writer;

static void
begin_writer(struct sks_socket *s)
{
	if (rig_here() != NULL)
		rig_go(rig_here(), write_later, s);
	else
		ck_assert_int_eq(pthread_create(&writer, NULL, write_later_in_thread, s), 0);
}

static void
end_writer(void)
{
	if (rig_here() == NULL)
		pthread_join(writer, NULL);
}

/* -- what is ready -- */

static void
look(void *arg)
{
	struct sks_socket *pair[2];
	struct sks_selectable set[3];
	char byte;

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	set[0] = (struct sks_selectable){ .socket = pair[0], .want = SKS_READ, .ready = -1 };
	set[1] = (struct sks_selectable){ .socket = pair[0], .want = SKS_WRITE, .ready = -1 };
	set[2] = (struct sks_selectable){ .socket = pair[1], .want = 0, .ready = -1 };
	ck_assert_int_eq(sks_select(set, 3, SKS_OFF), 1);
	ck_assert(set[0].ready == 0 && set[1].ready == SKS_WRITE && set[2].ready == 0);
	ck_assert_int_eq(sks_select(set, 1, 0), 0);
	ck_assert_int_eq(set[0].ready, 0);
	ck_assert_int_eq(sks_socket_send(pair[1], "x", 1, 0), 1);
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 2);
	ck_assert(set[0].ready == SKS_READ && set[1].ready == SKS_WRITE);
	set[0].want = SKS_READ | SKS_WRITE;
	ck_assert_int_eq(sks_select(set, 1, SKS_OFF), 1);
	ck_assert_int_eq(set[0].ready, SKS_READ | SKS_WRITE);

	/* An end is readable, and an error is whatever was wanted. */
	set[0] = (struct sks_selectable){ .socket = pair[1], .want = SKS_READ };
	set[1] = (struct sks_selectable){ .fd = sks_socket_fileno(pair[1]), .want = SKS_WRITE };
	sks_socket_close(pair[0]);
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 2);
	ck_assert(set[0].ready == SKS_READ && set[1].ready == SKS_WRITE);
	ck_assert_int_eq(sks_socket_recv(pair[1], &byte, 1, 0), -1); /* it had unread input */
	free_pair(pair);
}

TEST(tells_what_is_ready, ON_BOTH)
{
	rig_run_on(_i, look, NULL);
}

TEST_ON_BOTH(waits_for_the_first_or_the_time)
{
	struct sks_socket *a[2], *b[2];
	struct sks_selectable set[4];
	int64_t before;

	pair_of(a, SOCK_STREAM);
	pair_of(b, SOCK_STREAM);
	set[0] = (struct sks_selectable){ .socket = a[0], .want = SKS_READ };
	set[1] = (struct sks_selectable){ .socket = b[0], .want = SKS_READ };
	set[2] = (struct sks_selectable){ .socket = b[0], .want = SKS_READ | SKS_EXCEPT };
	set[3] = (struct sks_selectable){ .socket = a[0], .want = SKS_EXCEPT };
	before = rig_now();
	ck_assert_int_eq(sks_select(set, 4, 20), 0);
	ck_assert_int_ge(rig_now() - before, 19 * 1000000);
	begin_writer(b[1]);
	ck_assert_int_eq(sks_select(set, 4, SKS_OFF), 2);
	ck_assert(set[0].ready == 0 && set[1].ready == SKS_READ && set[2].ready == SKS_READ);
	end_writer();
	/* One alone. */
	begin_writer(a[1]);
	ck_assert_int_eq(sks_select(set, 1, 20000), 1);
	end_writer();
	/* None at all is a sleep. */
	before = rig_now();
	ck_assert_int_eq(sks_select(NULL, 0, 10), 0);
	ck_assert_int_ge(rig_now() - before, 9 * 1000000);
	ck_assert_int_eq(sks_select(NULL, 0, 0), 0);
	free_pair(a);
	free_pair(b);
}

/* Urgent data is the exceptional condition. */
TEST_ON_BOTH(tells_exceptional_conditions)
{
	struct rig_link l;
	struct sks_selectable set[2];

	rig_link_open_tcp(&l);
	set[0] = (struct sks_selectable){ .fd = l.fd, .want = SKS_EXCEPT };
	set[1] = (struct sks_selectable){ .fd = l.fd, .want = SKS_READ };
	ck_assert_int_eq(sks_select(set, 2, 10), 0);
	ck_assert_int_eq(send(l.peer, "!", 1, MSG_OOB), 1);
	ck_assert_int_eq(sks_select(set, 1, SKS_OFF), 1);
	ck_assert_int_eq(set[0].ready, SKS_EXCEPT);
	rig_link_close(&l);
}

/* A peer that is gone is no exceptional condition: nothing comes of it until the time is over. */
TEST_ON_BOTH(an_end_is_no_exceptional_condition)
{
	struct sks_socket *gone[2], *pair[2];
	struct sks_selectable set[2];

	pair_of(gone, SOCK_STREAM);
	pair_of(pair, SOCK_STREAM);
	sks_socket_close(gone[1]);
	set[0] = (struct sks_selectable){ .socket = gone[0], .want = SKS_EXCEPT };
	set[1] = (struct sks_selectable){ .socket = pair[0], .want = SKS_READ };
	ck_assert_int_eq(sks_select(set, 2, 0), 0);
	ck_assert_int_eq(sks_select(set, 1, 10), 0);
	begin_writer(pair[1]);
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert(set[0].ready == 0 && set[1].ready == SKS_READ);
	end_writer();
	free_pair(gone);
	free_pair(pair);
}

TEST_ON_BOTH(buffered_input_is_ready)
{
	struct sks_socket *pair[2];
	struct sks_selectable set[2];
	struct sks_client *conn;

	pair_of(pair, SOCK_STREAM);
	conn = sks_socket_makefile(pair[0], "rw");
	set[0] = (struct sks_selectable){ .rfile = conn->rfile, .want = SKS_READ };
	set[1] = (struct sks_selectable){ .socket = pair[0], .want = SKS_READ };
	ck_assert_int_eq(sks_select(set, 1, 0), 0);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "one\ntwo\n", 8, 0), 0);
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 2);
	ck_assert_str_eq(sks_gets(conn->rfile), "one");
	/* The socket is empty, but the next line is here. */
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert(set[0].ready == SKS_READ && set[1].ready == 0);
	set[0].want = SKS_READ | SKS_WRITE;
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert_int_eq(set[0].ready, SKS_READ | SKS_WRITE);
	ck_assert_str_eq(sks_gets(conn->rfile), "two");
	set[0].want = SKS_READ;
	ck_assert_int_eq(sks_select(set, 2, 10), 0);
	/* What was written goes before a wait. */
	ck_assert_int_eq(sks_puts(conn->wfile, "x"), 0);
	set[1].socket = pair[1];
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert_int_eq(set[1].ready, SKS_READ);
	sks_client_close(conn);
	free_pair(pair);
}

TEST_ON_BOTH(files_are_ready_and_pipes_wait)
{
	struct sks_selectable set[2];
	FILE *file = tmpfile();
	int ends[2];

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(pipe(ends), 0);
	set[0] = (struct sks_selectable){ .fd = fileno(file), .want = SKS_READ | SKS_WRITE };
	set[1] = (struct sks_selectable){ .fd = ends[0], .want = SKS_READ };
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert_int_eq(set[0].ready, SKS_READ | SKS_WRITE);
	set[0].want = SKS_EXCEPT; /* which a file never has, and which no epoll takes */
	ck_assert_int_eq(sks_select(set, 2, 10), 0);
	close(ends[1]);
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	close(ends[0]);
	fclose(file);
}

TEST_ON_BOTH(what_is_closed_is_ebadf)
{
	struct sks_socket *pair[2];
	struct sks_selectable set[2];
	int fd;

	pair_of(pair, SOCK_STREAM);
	fd = sks_socket_fileno(pair[1]);
	set[0] = (struct sks_selectable){ .socket = pair[0], .want = SKS_WRITE };
	set[1] = (struct sks_selectable){ .socket = pair[1], .want = SKS_READ };
	sks_socket_close(pair[1]);
	ck_fails(sks_select(set, 2, SKS_OFF), EBADF);
	set[1] = (struct sks_selectable){ .fd = fd, .want = SKS_READ };
	ck_fails(sks_select(set, 2, SKS_OFF), EBADF);
	set[1].fd = -1;
	ck_fails(sks_select(set, 2, SKS_OFF), EBADF);
	set[1].want = 0; /* passed over */
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	set[1].want = 8;
	ck_fails(sks_select(set, 2, SKS_OFF), EINVAL);
	free_pair(pair);
}

/* -- many -- */

static size_t
as_many_as_allowed(size_t most)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur < most + 100 ? (size_t)limit.rlim_cur - 100 : most;
}

TEST_ON_BOTH(there_may_be_many_thousands)
{
	size_t n = as_many_as_allowed(is_slow() ? 2000 : 15000), i;
	struct sks_selectable *set = calloc(n, sizeof(*set));
	struct sks_socket *pair[2];

	ck_assert_ptr_nonnull(set);
	ck_assert_uint_gt(n, 1024);
	pair_of(pair, SOCK_STREAM);
	for (i = 0; i < n; i++) {
		set[i].fd = fcntl(sks_socket_fileno(pair[0]), F_DUPFD_CLOEXEC, 0);
		ck_assert_int_ne(set[i].fd, -1);
		set[i].want = SKS_READ;
	}
	ck_assert_int_eq(sks_select(set, n, 1), 0);
	begin_writer(pair[1]);
	ck_assert_int_gt(sks_select(set, n, SKS_OFF), 0); /* it may come amid the look at all of them */
	end_writer();
	ck_assert_int_eq(sks_select(set, n, SKS_OFF), (int)n);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(set[i].ready, SKS_READ);
		close(set[i].fd);
	}
	free(set);
	free_pair(pair);
}

/*
 * poll(2) takes no more entries than that. What is not wanted, and what comes again, does not
 * count.
 */
TEST_ON_BOTH(there_may_be_more_than_files_may_be_open)
{
	enum { N = 500 };
	struct rlimit before, few;
	struct sks_selectable set[N];
	struct sks_socket *pair[2], *other[2];
	int i;

	pair_of(pair, SOCK_STREAM);
	pair_of(other, SOCK_STREAM);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){ 100, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < N; i++)
		set[i] = (struct sks_selectable){ .socket = pair[0], .want = i % 100 == 7 ? SKS_READ : 0 };
	ck_assert_int_eq(sks_select(set, N, 1), 0);
	begin_writer(pair[1]);
	ck_assert_int_eq(sks_select(set, N, SKS_OFF), 5);
	end_writer();
	for (i = 0; i < N; i++)
		ck_assert_int_eq(set[i].ready, i % 100 == 7 ? SKS_READ : 0);
	/* Each third wants one thing, or another, or something of another. */
	for (i = 0; i < N; i++)
		set[i] = (struct sks_selectable){ .socket = i % 3 == 2 ? other[0] : pair[0],
			.want = i % 3 == 1 ? SKS_WRITE : SKS_READ };
	ck_assert_int_eq(sks_select(set, N, SKS_OFF), N / 3 * 2 + 2);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(set[i].ready, i % 3 == 2 ? 0 : set[i].want);
	for (i = 0; i < N; i++)
		set[i] = (struct sks_selectable){ .socket = other[0], .want = SKS_READ };
	begin_writer(other[1]);
	ck_assert_int_eq(sks_select(set, N, SKS_OFF), N);
	end_writer();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	free_pair(pair);
	free_pair(other);
}

/* Two fibers wait for much the same at once. */
static int rounds;

static void
take_turns(void *arg)
{
	struct sks_socket **pair = arg;
	struct sks_selectable set[2] = {
		{ .socket = pair[0], .want = SKS_READ },
		{ .socket = pair[1], .want = SKS_READ },
	};
	char byte;

	while (rounds < 100) {
		ck_assert_int_gt(sks_select(set, 2, SKS_OFF), 0);
		if (set[0].ready && sks_socket_recv(pair[0], &byte, 1, MSG_DONTWAIT) == 1) {
			if (++rounds >= 100)
				break;
			ck_assert_int_eq(sks_socket_send(pair[0], "x", 1, 0), 1);
		}
		if (set[1].ready && sks_socket_recv(pair[1], &byte, 1, MSG_DONTWAIT) == 1)
			ck_assert_int_eq(sks_socket_send(pair[1], "x", 1, 0), 1);
	}
	(void)sks_socket_shutdown(pair[0], SHUT_RDWR);
}

static void
share(void *arg)
{
	struct sks_socket *pair[2];
	int i;

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	for (i = 0; i < 3; i++)
		rig_go(rig_here(), take_turns, pair);
	ck_assert_int_eq(sks_socket_send(pair[1], "x", 1, 0), 1);
	while (rig_here()->live > 1)
		sks_yield();
	free_pair(pair);
}

TEST(several_fibers_may_wait_for_the_same)
{
	rig_run_on(1, share, NULL);
}

/* Each has a socket of its own, and one that all wait for. */
static void
wait_for_the_bell(void *arg)
{
	struct sks_socket **bell = arg, *own[2];
	struct sks_selectable set[2];

	pair_of(own, SOCK_STREAM);
	set[0] = (struct sks_selectable){ .socket = own[0], .want = SKS_READ };
	set[1] = (struct sks_selectable){ .socket = bell[0], .want = SKS_READ };
	ck_assert_int_eq(sks_select(set, 2, SKS_OFF), 1);
	ck_assert_int_eq(set[1].ready, SKS_READ);
	free_pair(own);
}

static void
ring_the_bell(void *arg)
{
	struct sks_socket *bell[2];
	int i;

	(void)arg;
	(void)as_many_as_allowed(5000);
	pair_of(bell, SOCK_STREAM);
	for (i = 0; i < 1200; i++)
		rig_go(rig_here(), wait_for_the_bell, bell);
	sks_yield();
	ck_assert_int_eq(sks_socket_send(bell[1], "x", 1, 0), 1);
	while (rig_here()->live > 1)
		sks_yield();
	free_pair(bell);
}

TEST(more_than_a_thousand_fibers_may_wait_for_one)
{
	rig_run_on(1, ring_the_bell, NULL);
}

/* -- how a wait ends otherwise -- */

static void
select_in_vain(void *arg)
{
	struct sks_socket **pair = arg;
	struct sks_selectable set[2] = {
		{ .socket = pair[0], .want = SKS_READ },
		{ .socket = pair[1], .want = SKS_READ },
	};

	ck_fails(sks_select(set, 2, SKS_OFF), ECANCELED);
	ck_fails(sks_select(set, 2, 0), ECANCELED);
}

static void
cancel(void *arg)
{
	struct sks_socket *pair[2];
	struct sks_selectable set;
	struct sks_task *task;

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	task = rig_go(rig_here(), select_in_vain, pair);
	sks_yield();
	sks_cancel_fiber(task);
	while (rig_here()->live > 1)
		sks_yield();
	set = (struct sks_selectable){ .socket = pair[0], .want = SKS_READ };
	sks_task_current()->deadline = 1; /* not the call's own time: no 0 */
	ck_fails(sks_select(&set, 1, SKS_OFF), ETIMEDOUT);
	free_pair(pair);
}

TEST(a_cancelled_task_and_a_deadline_end_it)
{
	rig_run_on(1, cancel, NULL);
}

static void
run_out(void *arg)
{
	static const char *const rules[] = {
		"epoll_create1:EMFILE", "epoll_ctl:ENOSPC:2", "event_add:ENOMEM:10", "malloc:ENOMEM:2",
		"poll:ENOMEM:2",
	};
	static const int errors[] = { EMFILE, ENOSPC, ENOMEM, ENOMEM, ENOMEM };
	struct sks_selectable set[20] = { 0 };
	struct sks_socket *pair[2];
	size_t i;

	pair_of(pair, SOCK_STREAM);
	for (i = 0; i < 20; i++)
		set[i] = (struct sks_selectable){ .socket = pair[i % 2],
			.want = SKS_READ | SKS_EXCEPT };
	sks_fault("malloc:ENOMEM");
	ck_fails(sks_select(set, 20, SKS_OFF), ENOMEM);
	sks_fault_clear();
	for (i = *(int *)arg ? 0 : 4; i < SKS_ARRAY_LEN(rules); i++) {
		if (i == 4 && *(int *)arg)
			begin_writer(pair[0]);
		sks_fault(rules[i]);
		ck_fails(sks_select(set, 20, SKS_OFF), errors[i]);
		sks_fault_clear();
	}
	sks_fault("poll:EINTR:%2");
	ck_assert_int_eq(sks_select(set, 20, 5), *(int *)arg ? 10 : 0);
	free_pair(pair);
}

TEST(what_runs_out_leaks_nothing, ON_BOTH)
{
	rig_run_on(_i, run_out, &_i);
}
