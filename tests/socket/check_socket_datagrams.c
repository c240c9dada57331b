/* SPDX-License-Identifier: MIT */
/*
 * check_socket_datagrams.c - sockets of datagrams, full queues, and descriptors that go through a
 * socket.
 */
#include "base/sys.h"
#include "socket/socket.h"
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static const char *const addresses[] = { "127.0.0.1:0", "[::1]:0", "unix:@sks-check-socket" };

/* -- datagrams -- */

static void
exchange_datagrams(void *arg)
{
	struct sks_socket *a = bound(arg, SOCK_DGRAM), *b;
	struct sockaddr_storage addr, from;
	socklen_t len, from_len = sizeof(from);
	static char large[70000];
	char buf[8];
	int cut = -1;

	name_of(a, &addr, &len);
	if (addr.ss_family == AF_UNIX)
		b = bound("unix:@sks-check-socket-b", SOCK_DGRAM);
	else
		b = sks_socket_new(addr.ss_family, SOCK_DGRAM, 0);
	ck_assert_int_eq(sks_socket_sendto(b, "four", 4, 0, (struct sockaddr *)&addr, len), 4);
	ck_assert_int_eq(sks_socket_recvfrom(a, buf, sizeof(buf), 0, (struct sockaddr *)&from,
	    &from_len, &cut), 4);
	ck_assert_int_eq(cut, 0);
	ck_assert_mem_eq(buf, "four", 4);
	ck_assert_int_eq(sks_socket_sendto(a, "much longer", 11, 0, (struct sockaddr *)&from,
	    from_len), 11);
	ck_assert_int_eq(sks_socket_recvfrom(b, buf, sizeof(buf), 0, NULL, NULL, &cut), 8);
	ck_assert_int_eq(cut, 1);
	/* Empty ones are datagrams, too. */
	ck_assert_int_eq(sks_socket_sendto(b, NULL, 0, 0, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_socket_recv(a, buf, sizeof(buf), 0), 0);
	if (addr.ss_family != AF_UNIX)
		ck_fails(sks_socket_sendto(b, large, sizeof(large), 0, (struct sockaddr *)&addr,
		    len), EMSGSIZE);
	ck_assert_int_eq(sks_socket_connect(b, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(sks_socket_send(b, "x", 1, 0), 1);
	ck_assert_int_eq(sks_socket_recv(a, buf, 1, 0), 1);
	sks_socket_free(a);
	if (addr.ss_family != AF_UNIX) { /* nobody has the port any more */
		ck_assert_int_eq(sks_socket_send(b, "x", 1, 0), 1);
		ck_fails(sks_socket_recv(b, buf, 1, 0), ECONNREFUSED);
	}
	sks_socket_free(b);
}

TEST(datagrams_go_whole_and_tell_when_they_were_cut, TIMES(6))
{
	rig_run_on(_i % 2, exchange_datagrams, (void *)addresses[_i / 2]);
}

static unsigned long tries; /* of the test, before another task makes room */

/* Until the test has tried once more, found no room, and so waits. */
static void
wait_for_a_try(const char *call)
{
	while (sks_fault_calls(call) == tries)
		sks_yield();
}

static void
read_later(void *arg)
{
	struct sks_socket *s = arg;
	char buf[16];
	int i;

	wait_for_a_try("sendto");
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(sks_socket_recv(s, buf, sizeof(buf), 0), 1);
}

TEST_ON_BOTH(a_full_queue_of_a_unix_socket_is_waited_for)
{
	struct sks_socket *a = bound("unix:@sks-check-socket", SOCK_DGRAM);
	struct sks_socket *b = sks_socket_new(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_storage addr;
	struct aside reader;
	unsigned long calls;
	socklen_t len;

	name_of(a, &addr, &len);
	sks_socket_settimeout(b, 0);
	while (sks_socket_sendto(b, "x", 1, 0, (struct sockaddr *)&addr, len) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
	/* poll(2) says all the time that b can be written; that must not be a busy loop. */
	sks_socket_settimeout(b, 50);
	calls = sks_fault_calls("sendto");
	ck_fails(sks_socket_sendto(b, "x", 1, 0, (struct sockaddr *)&addr, len), ETIMEDOUT);
	ck_assert_uint_lt(sks_fault_calls("sendto") - calls, 20);
	sks_socket_settimeout(b, SKS_OFF);
	tries = sks_fault_calls("sendto");
	begin_aside(&reader, read_later, a);
	ck_assert_int_eq(sks_socket_sendto(b, "x", 1, 0, (struct sockaddr *)&addr, len), 1);
	end_aside(&reader);
	sks_socket_free(b);
	sks_socket_free(a);
}

static void
receive_one(void *arg)
{
	char byte;

	ck_assert_int_eq(sks_socket_recv(arg, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'r');
}

/* b waits for room in a's queue while another task waits for what b receives. */
TEST_ON_BOTH(a_socket_receives_while_it_waits_for_a_full_queue)
{
	struct sks_socket *a = bound("unix:@sks-check-socket", SOCK_DGRAM);
	struct sks_socket *b = bound("unix:@sks-check-socket-b", SOCK_DGRAM);
	struct sockaddr_storage addr;
	struct aside receiver, reader;
	socklen_t len;

	name_of(a, &addr, &len);
	begin_aside(&receiver, receive_one, b);
	while (b->waiting[0].task == NULL)
		sks_yield();
	while (sks_socket_sendto(b, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&addr, len) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
	tries = sks_fault_calls("sendto");
	begin_aside(&reader, read_later, a);
	ck_assert_int_eq(sks_socket_sendto(b, "x", 1, 0, (struct sockaddr *)&addr, len), 1);
	end_aside(&reader);
	name_of(b, &addr, &len);
	ck_assert_int_eq(sks_socket_sendto(a, "r", 1, 0, (struct sockaddr *)&addr, len), 1);
	end_aside(&receiver);
	sks_socket_free(b);
	sks_socket_free(a);
}

static void
accept_later(void *arg)
{
	struct sks_socket *server = arg, *s;

	wait_for_a_try("connect");
	s = sks_socket_accept(server, NULL, NULL);
	ck_assert_ptr_nonnull(s);
	sks_socket_free(s);
}

TEST_ON_BOTH(a_full_backlog_of_a_unix_socket_is_waited_for)
{
	struct sks_socket *server = bound("unix:@sks-check-socket", SOCK_STREAM);
	struct sks_socket *s[10];
	struct aside accepter;
	int n = 0;

	ck_assert_int_eq(sks_socket_listen(server, 1), 0);
	do {
		ck_assert_int_lt(n, 10);
		s[n] = sks_socket_new(AF_UNIX, SOCK_STREAM, 0);
		sks_socket_settimeout(s[n], 0);
	} while (connect_to(s[n++], server) == 0);
	ck_assert_int_eq(errno, EAGAIN);
	sks_socket_settimeout(s[n - 1], 20);
	ck_fails(connect_to(s[n - 1], server), ETIMEDOUT);
	sks_socket_settimeout(s[n - 1], SKS_OFF);
	tries = sks_fault_calls("connect");
	begin_aside(&accepter, accept_later, server);
	ck_assert_int_eq(connect_to(s[n - 1], server), 0);
	end_aside(&accepter);
	while (n > 0)
		sks_socket_free(s[--n]);
	sks_socket_free(server);
}

/* -- descriptors -- */

static void
send_descriptors(void *arg)
{
	struct sks_socket *pair[2];
	int fds[3], got[3], ends[2], cut = -1;
	size_t n = 3;
	char buf[8];

	(void)arg;
	pair_of(pair, SOCK_STREAM);
	ck_assert_int_eq(pipe(ends), 0);
	fds[0] = ends[0];
	fds[1] = ends[1];
	fds[2] = ends[1];
	ck_assert_int_eq(sks_socket_send_fds(pair[0], "abc", 3, fds, 3), 3);
	ck_assert_int_eq(sks_socket_recv_fds(pair[1], buf, sizeof(buf), got, &n, &cut), 3);
	ck_assert_mem_eq(buf, "abc", 3);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(cut, 0);
	ck_assert_int_eq(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(write(got[1], "!", 1), 1);
	ck_assert_int_eq(read(ends[0], buf, 1), 1);
	while (n > 0)
		close(got[--n]);
	/* None at all. */
	n = 3;
	ck_assert_int_eq(sks_socket_send_fds(pair[0], "abc", 3, NULL, 0), 3);
	ck_assert_int_eq(sks_socket_recv_fds(pair[1], buf, sizeof(buf), got, &n, &cut), 3);
	ck_assert_uint_eq(n, 0);
	n = SKS_FDS_MAX + 1;
	ck_fails(sks_socket_send_fds(pair[0], "abc", 3, fds, n), EINVAL);
	ck_fails(sks_socket_recv_fds(pair[1], buf, 8, got, &n, &cut), EINVAL);
	close(ends[0]);
	close(ends[1]);
	free_pair(pair);
}

TEST(descriptors_go_through_a_unix_socket, ON_BOTH)
{
	rig_run_on(_i, send_descriptors, NULL);
}

static const char *const nuisances_of_messages[] = {
	"recvmsg:EINTR:%2,sendmsg:EINTR:%2,poll:EINTR:%2",
	"recvmsg:EAGAIN:%2,sendmsg:EAGAIN:%2",
};

static void
send_descriptors_anyway(void *arg)
{
	const int *which = arg;

	/* At the other end nobody reads meanwhile, so a wait for room ends at once. */
	sks_fault(nuisances_of_messages[*which]);
	send_descriptors(NULL);
	sks_fault_clear();
}

TEST(interruptions_lose_no_descriptors, TIMES(4))
{
	int which = _i / 2;

	rig_run_on(_i % 2, send_descriptors_anyway, &which);
}

/* By a child, for valgrind would keep a limit of our own itself, and not tell the kernel. */
static void
limit_from_outside(const struct rlimit *limit)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(prlimit(getppid(), RLIMIT_NOFILE, limit, NULL) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

/* Room for too few, room for as many with credentials before them, and a full table. */
TEST_ON_BOTH(descriptors_without_room_are_closed_and_told)
{
	struct sks_socket *pair[2];
	int fds[5] = { 0, 0, 0, 0, 0 }, got[5], cut, i, before;
	struct rlimit limit, few;
	size_t n;
	char buf[8];

	pair_of(pair, SOCK_STREAM);
	before = open_descriptors();
	for (i = 0; i < 5; i++) {
		n = (size_t)i;
		cut = -1;
		ck_assert_int_eq(sks_socket_send_fds(pair[0], "abc", 3, fds, 5), 3);
		ck_assert_int_eq(sks_socket_recv_fds(pair[1], buf, sizeof(buf), got, &n, &cut), 3);
		ck_assert_int_eq(cut, 1);
		ck_assert_uint_eq(n, (size_t)i);
		while (n > 0)
			close(got[--n]);
		ck_assert_int_eq(open_descriptors(), before);
	}
	ck_assert_int_eq(sks_socket_set_option(pair[1], SOL_SOCKET, SO_PASSCRED, 1), 0);
	n = 5;
	ck_assert_int_eq(sks_socket_send_fds(pair[0], "abc", 3, fds, 5), 3);
	ck_assert_int_eq(sks_socket_recv_fds(pair[1], buf, sizeof(buf), got, &n, &cut), 3);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(cut, 0);
	while (n > 0)
		close(got[--n]);

	ck_assert_int_eq(sks_socket_send_fds(pair[0], "abc", 3, fds, 5), 3);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	i = dup(0);
	few.rlim_cur = (rlim_t)i + 2; /* room for two */
	close(i);
	limit_from_outside(&few);
	n = 5;
	ck_assert_int_eq(sks_socket_recv_fds(pair[1], buf, sizeof(buf), got, &n, &cut), 3);
	limit_from_outside(&limit);
	ck_assert_uint_le(n, 2);
	ck_assert_int_eq(cut, 1);
	while (n > 0)
		close(got[--n]);
	ck_assert_int_eq(open_descriptors(), before);
	free_pair(pair);
}
