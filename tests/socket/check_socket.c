/* SPDX-License-Identifier: MIT */
/*
 * check_socket.c - socket objects: each call in a thread (loop test 0) and on
 * a fiber (1).
 */
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

FIXTURE(rig_setup, no_leaks_teardown);

static void
pair_of(struct sks_socket *pair[2], int type)
{
	ck_assert_int_eq(sks_socket_pair(type, pair), 0);
}

static void
free_pair(struct sks_socket *pair[2])
{
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

static struct sks_socket *
bound(const char *text, int type)
{
	struct sockaddr_storage addr;
	struct sks_socket *s;
	char own[64];
	socklen_t len;

	/* The same suite may run beside this one: not with the same names. */
	snprintf(own, sizeof(own), strncmp(text, "unix:", 5) == 0 ? "%s.%d" : "%s", text,
	    (int)getpid());
	ck_assert_int_eq(sks_address_parse(own, &addr, &len), 0);
	s = sks_socket_new(addr.ss_family, type, 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sks_socket_bind(s, (struct sockaddr *)&addr, len), 0);
	return s;
}

static void
name_of(struct sks_socket *s, struct sockaddr_storage *addr, socklen_t *len)
{
	*len = sizeof(*addr);
	ck_assert_int_eq(sks_socket_getsockname(s, (struct sockaddr *)addr, len), 0);
}

static int
connect_to(struct sks_socket *s, struct sks_socket *server)
{
	struct sockaddr_storage addr;
	socklen_t len;

	name_of(server, &addr, &len);
	return sks_socket_connect(s, (struct sockaddr *)&addr, len);
}

/* What another task does meanwhile: a fiber beside a fiber, a thread beside a thread. */
struct aside {
	void (*run)(void *);
	void *arg;
	pthread_t thread;
	int over;
};

static void
run_aside(void *arg)
{
	struct aside *aside = arg;

	aside->run(aside->arg);
	aside->over = 1;
}

static void *
thread_aside(void *arg)
{
	run_aside(arg);
	return NULL;
}

static void
begin_aside(struct aside *aside, void (*run)(void *), void *arg)
{
	*aside = (struct aside){ .run = run, .arg = arg };
	if (rig_here() != NULL)
		rig_go(rig_here(), run_aside, aside);
	else
		ck_assert_int_eq(pthread_create(&aside->thread, NULL, thread_aside, aside), 0);
}

static void
end_aside(struct aside *aside)
{
	if (rig_here() == NULL)
		pthread_join(aside->thread, NULL);
	while (!aside->over)
		sks_yield();
}

/* -- the life of one -- */

TEST_ON_BOTH(closes_once_and_is_nothing_then)
{
	struct sks_socket *s = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	int fd;

	ck_assert_ptr_nonnull(s);
	fd = sks_socket_fileno(s);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(sks_socket_gettimeout(s), SKS_OFF);
	sks_socket_settimeout(s, 1500);
	ck_assert_int_eq(sks_socket_gettimeout(s), 1500);
	sks_socket_settimeout(s, -7);
	ck_assert_int_eq(sks_socket_gettimeout(s), SKS_OFF);
	ck_assert_int_eq(sks_socket_close(s), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(sks_socket_close(s), 0);
	ck_assert_int_eq(sks_socket_fileno(s), -1);
	sks_socket_free(s);
	sks_socket_free(NULL);
	ck_assert_ptr_null(sks_socket_new(AF_INET, 99, 0));
	ck_assert_int_eq(errno, EINVAL);
}

TEST_ON_BOTH(every_call_on_a_closed_one_is_ebadf)
{
	struct sks_socket *s = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct sockaddr *any = (struct sockaddr *)&addr;
	size_t nfds = 1;
	char buf[8];
	int value;

	sks_socket_close(s);
	ck_fails(sks_socket_bind(s, any, len), EBADF);
	ck_fails(sks_socket_listen(s, 0), EBADF);
	ck_assert_ptr_null(sks_socket_accept(s, NULL, NULL));
	ck_assert_int_eq(errno, EBADF);
	ck_fails(sks_socket_connect(s, any, len), EBADF);
	ck_fails(sks_socket_recv(s, buf, 1, 0), EBADF);
	ck_fails(sks_socket_send(s, buf, 1, 0), EBADF);
	ck_fails(sks_socket_sendall(s, buf, 1, 0), EBADF);
	ck_fails(sks_socket_recvfrom(s, buf, 1, 0, NULL, NULL, NULL), EBADF);
	ck_fails(sks_socket_sendto(s, buf, 1, 0, any, len), EBADF);
	ck_fails(sks_socket_send_fds(s, buf, 1, NULL, 0), EBADF);
	ck_fails(sks_socket_recv_fds(s, buf, 1, &value, &nfds, NULL), EBADF);
	ck_fails(sks_socket_shutdown(s, SHUT_WR), EBADF);
	ck_fails(sks_socket_detach(s), EBADF);
	ck_fails(sks_socket_getsockname(s, any, &len), EBADF);
	ck_fails(sks_socket_getpeername(s, any, &len), EBADF);
	ck_fails(sks_socket_get_option(s, SOL_SOCKET, SO_TYPE, &value), EBADF);
	ck_fails(sks_socket_set_option(s, SOL_SOCKET, SO_REUSEADDR, 1), EBADF);
	ck_assert_ptr_null(sks_socket_makefile(s, "rw"));
	ck_assert_int_eq(errno, EBADF);
	sks_socket_free(s);
}

TEST_ON_BOTH(takes_a_descriptor_and_gives_it_away)
{
	int fds[2], pipes[2], fd;
	struct sks_socket *s;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	s = sks_socket_fromfd(fds[0]);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sks_socket_fileno(s), fds[0]);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	ck_assert(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	fd = sks_socket_detach(s);
	ck_assert_int_eq(fd, fds[0]);
	ck_assert_int_eq(sks_socket_fileno(s), -1);
	ck_assert_int_eq(sks_socket_close(s), 0);
	sks_socket_free(s);
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
	close(fds[0]);
	close(fds[1]);

	/* What is none stays as it was. */
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_ptr_null(sks_socket_fromfd(pipes[0]));
	ck_assert_int_eq(errno, ENOTSOCK);
	ck_assert_int_eq(fcntl(pipes[0], F_GETFD), 0);
	ck_assert_int_eq(fcntl(pipes[0], F_GETFL) & O_NONBLOCK, 0);
	close(pipes[0]);
	close(pipes[1]);
	ck_assert_ptr_null(sks_socket_fromfd(pipes[0]));
	ck_assert_int_eq(errno, EBADF);
}

/* -- connections -- */

static void
receive(struct sks_socket *s, const char *text)
{
	size_t got = 0;
	char buf[16];

	while (got < strlen(text)) {
		ssize_t n = sks_socket_recv(s, buf + got, strlen(text) - got, 0);

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_mem_eq(buf, text, got);
}

static void
connect_and_send(void *arg)
{
	struct sks_socket *server = arg, *s;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char buf[16];
	int family;

	name_of(server, &addr, &len);
	s = sks_socket_new(addr.ss_family, SOCK_STREAM, 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(connect_to(s, server), 0);
	len = sizeof(addr);
	ck_assert_int_eq(sks_socket_getpeername(s, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_eq(sks_socket_get_option(s, SOL_SOCKET, SO_DOMAIN, &family), 0);
	ck_assert_int_eq(addr.ss_family, family);
	ck_assert_int_eq(sks_socket_sendall(s, "question", 8, 0), 0);
	ck_assert_int_ge(sks_socket_recv(s, buf, 3, MSG_PEEK), 1);
	receive(s, "answer");
	ck_assert_int_eq(sks_socket_shutdown(s, SHUT_WR), 0);
	ck_assert_int_eq(sks_socket_recv(s, buf, sizeof(buf), 0), 0);
	sks_socket_free(s);
}

static const char *const addresses[] = { "127.0.0.1:0", "[::1]:0", "unix:@sks-check-socket" };

static void
accept_and_answer(void *arg)
{
	struct sks_socket *server = bound(arg, SOCK_STREAM), *s;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct aside client;
	char buf[16];

	ck_assert_int_eq(sks_socket_listen(server, 0), 0);
	sks_socket_settimeout(server, 20000);
	begin_aside(&client, connect_and_send, server);
	s = sks_socket_accept(server, (struct sockaddr *)&addr, &len);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sks_socket_gettimeout(s), SKS_OFF);
	ck_assert_int_eq(fcntl(sks_socket_fileno(s), F_GETFD), FD_CLOEXEC);
	receive(s, "question");
	ck_assert_int_eq(sks_socket_sendall(s, "answer", 6, 0), 0);
	ck_assert_int_eq(sks_socket_recv(s, buf, sizeof(buf), 0), 0);
	sks_socket_free(s);
	end_aside(&client);
	sks_socket_free(server);
}

TEST(accepts_and_connects_and_talks, TIMES(6))
{
	rig_run_on(_i % 2, accept_and_answer, (void *)addresses[_i / 2]);
}

TEST_ON_BOTH(a_refused_connect_says_so)
{
	struct sks_socket *server = bound("127.0.0.1:0", SOCK_STREAM);
	struct sks_socket *s = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage addr;
	socklen_t len;

	ck_fails(connect_to(s, server), ECONNREFUSED);
	sks_socket_free(s);
	ck_assert_int_eq(sks_address_parse("unix:/tmp/sks-there-is-none", &addr, &len), 0);
	s = sks_socket_new(AF_UNIX, SOCK_STREAM, 0);
	ck_fails(sks_socket_connect(s, (struct sockaddr *)&addr, len), ENOENT);
	sks_socket_free(s);
	sks_socket_free(server);
}

TEST_ON_BOTH(with_no_time_it_never_waits)
{
	static char block[65536];
	struct sks_socket *pair[2], *server;
	char buf[4];

	pair_of(pair, SOCK_STREAM);
	sks_socket_settimeout(pair[0], 0);
	ck_fails(sks_socket_recv(pair[0], buf, 4, 0), EAGAIN);
	while (sks_socket_send(pair[0], block, sizeof(block), 0) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ck_fails(sks_socket_sendall(pair[0], block, 1, 0), EAGAIN);
	free_pair(pair);

	server = bound("127.0.0.1:0", SOCK_STREAM);
	ck_assert_int_eq(sks_socket_listen(server, 1), 0);
	sks_socket_settimeout(server, 0);
	ck_assert_ptr_null(sks_socket_accept(server, NULL, NULL));
	ck_assert_int_eq(errno, EAGAIN);
	sks_socket_free(server);

	pair_of(pair, SOCK_STREAM); /* waits as long as it takes, but not when told so */
	ck_fails(sks_socket_recv(pair[0], buf, 4, MSG_DONTWAIT), EAGAIN);
	free_pair(pair);
}

TEST_ON_BOTH(a_call_ends_when_its_time_is_over)
{
	static char block[1 << 20];
	struct sks_socket *pair[2], *server;
	int64_t before = rig_now();
	char buf[4];

	pair_of(pair, SOCK_STREAM);
	sks_socket_settimeout(pair[0], 20);
	ck_fails(sks_socket_recv(pair[0], buf, 4, 0), ETIMEDOUT);
	ck_assert_int_ge(rig_now() - before, 19 * 1000000);
	ck_fails(sks_socket_sendall(pair[0], block, sizeof(block), 0), ETIMEDOUT);
	ck_fails(sks_socket_send(pair[0], block, 1, 0), ETIMEDOUT);
	free_pair(pair);
	server = bound("127.0.0.1:0", SOCK_STREAM);
	ck_assert_int_eq(sks_socket_listen(server, 1), 0);
	sks_socket_settimeout(server, 20);
	ck_assert_ptr_null(sks_socket_accept(server, NULL, NULL));
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_socket_free(server);
}

/* Takes a little now and then, so that each send alone would be in time. */
static void
read_slowly(void *arg)
{
	struct sks_socket *s = arg;
	char buf[4096];

	while (sks_socket_recv(s, buf, sizeof(buf), 0) > 0)
		ck_assert_int_eq(sks_sleep(5), 0);
}

TEST_ON_BOTH(sendall_has_one_time_limit_for_all)
{
	static char block[8 << 20];
	struct sks_socket *pair[2];
	struct aside reader;

	pair_of(pair, SOCK_STREAM);
	ck_assert_int_eq(sks_socket_set_option(pair[0], SOL_SOCKET, SO_SNDBUF, 4608), 0);
	begin_aside(&reader, read_slowly, pair[1]);
	sks_socket_settimeout(pair[0], 100);
	ck_fails(sks_socket_sendall(pair[0], block, sizeof(block), 0), ETIMEDOUT);
	sks_socket_close(pair[0]);
	end_aside(&reader);
	free_pair(pair);
}

TEST_ON_BOTH(a_peer_that_is_gone_is_epipe_and_no_signal)
{
	struct sks_socket *pair[2];
	char buf[4];

	pair_of(pair, SOCK_STREAM);
	sks_socket_close(pair[1]);
	ck_fails(sks_socket_send(pair[0], "x", 1, 0), EPIPE);
	ck_fails(sks_socket_sendall(pair[0], "x", 1, 0), EPIPE);
	ck_fails(sks_socket_send_fds(pair[0], "x", 1, NULL, 0), EPIPE);
	ck_assert_int_eq(sks_socket_recv(pair[0], buf, 4, 0), 0);
	free_pair(pair);
}

/* -- duplex, and who else uses it -- */

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
	sks_wait_cancel(task);
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

static void
read_later(void *arg)
{
	struct sks_socket *s = arg;
	char buf[16];
	int i;

	ck_assert_int_eq(sks_sleep(10), 0);
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
	begin_aside(&reader, read_later, a);
	ck_assert_int_eq(sks_socket_sendto(b, "x", 1, 0, (struct sockaddr *)&addr, len), 1);
	end_aside(&reader);
	sks_socket_free(b);
	sks_socket_free(a);
}

static void
accept_later(void *arg)
{
	struct sks_socket *server = arg, *s;

	ck_assert_int_eq(sks_sleep(10), 0);
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

/* -- what runs out, and what the kernel may answer at any time -- */

TEST_ON_BOTH(what_runs_out_leaks_nothing)
{
	struct sks_socket *server = bound("127.0.0.1:0", SOCK_STREAM);
	struct sks_socket *s = sks_socket_new(AF_INET, SOCK_STREAM, 0), *accepted;

	ck_assert_int_eq(sks_socket_listen(server, 5), 0);
	ck_assert_int_eq(connect_to(s, server), 0);
	sks_fault("socket:EMFILE,accept4:EMFILE,malloc:ENOMEM:2,socketpair:EMFILE");
	ck_assert_ptr_null(sks_socket_new(AF_INET, SOCK_STREAM, 0));
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_ptr_null(sks_socket_accept(server, NULL, NULL));
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_ptr_null(sks_socket_accept(server, NULL, NULL));
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	/* The client was not lost. */
	accepted = sks_socket_accept(server, NULL, NULL);
	ck_assert_ptr_nonnull(accepted);
	sks_socket_free(accepted);
	sks_socket_free(s);
	sks_fault("malloc:ENOMEM:1+");
	ck_assert_ptr_null(sks_socket_new(AF_INET, SOCK_STREAM, 0));
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	sks_socket_free(server);
}

static const char *const nuisances[] = {
	"recv:EINTR:%2,send:EINTR:%2,recvmsg:EINTR:%2,sendmsg:EINTR:%2,sendto:EINTR:%2,"
	"accept4:EINTR:%2,connect:EINTR,poll:EINTR:%2",
	"recv:EAGAIN:%2,send:EAGAIN:%2,recvmsg:EAGAIN:%2,sendmsg:EAGAIN:%2,sendto:EAGAIN:%2,"
	"accept4:EAGAIN:%2",
	"recv:short=1,send:short=1",
};

static void
be_pestered(void *arg)
{
	int *which = arg;
	size_t a;

	for (a = 0; a < SKS_ARRAY_LEN(addresses); a++) {
		sks_fault(nuisances[*which]);
		accept_and_answer((void *)addresses[a]);
		sks_fault_clear();
		if (*which == 2)
			continue;
		/* At the other end nobody reads meanwhile, so a wait for room ends at once. */
		sks_fault(nuisances[*which]);
		send_descriptors(NULL);
		sks_fault_clear();
	}
}

TEST(interruptions_and_short_counts_change_nothing, TIMES(6))
{
	int which = _i / 2;

	rig_run_on(_i % 2, be_pestered, &which);
}

/* -- options -- */

TEST(options_are_set_and_read)
{
	struct sks_socket *s = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	struct linger linger = { .l_onoff = 1, .l_linger = 7 }, back = { 0 };
	socklen_t len = sizeof(back);
	int value = -1;

	ck_assert_int_eq(sks_socket_get_option(s, SOL_SOCKET, SO_TYPE, &value), 0);
	ck_assert_int_eq(value, SOCK_STREAM);
	ck_assert_int_eq(sks_socket_set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
	ck_assert_int_eq(sks_socket_get_option(s, SOL_SOCKET, SO_KEEPALIVE, &value), 0);
	ck_assert_int_eq(value, 1);
	ck_assert_int_eq(sks_socket_setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	ck_assert_int_eq(sks_socket_getsockopt(s, SOL_SOCKET, SO_LINGER, &back, &len), 0);
	ck_assert_uint_eq(len, sizeof(back));
	ck_assert_mem_eq(&linger, &back, sizeof(back));
	ck_fails(sks_socket_set_option(s, SOL_SOCKET, -1, 1), ENOPROTOOPT);
	sks_socket_free(s);
}

/* -- addresses -- */

TEST(addresses_are_read_and_written)
{
	static const char *const texts[] = {
		"127.0.0.1:80", "[::1]:8080", "unix:/tmp/x", "unix:@name",
	};
	struct sockaddr_storage addr;
	char buf[160];
	socklen_t len;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(texts); i++) {
		ck_assert_int_eq(sks_address_parse(texts[i], &addr, &len), 0);
		ck_assert_str_eq(sks_address_format((struct sockaddr *)&addr, len, buf, sizeof(buf)),
		    texts[i]);
	}
	ck_assert_int_eq(sks_address_parse("udp::53", &addr, &len), 0);
	ck_fails(sks_address_parse("localhost:80", &addr, &len), EINVAL);
	ck_fails(sks_address_parse("127.0.0.1:http", &addr, &len), EINVAL);
	ck_fails(sks_address_parse("127.0.0.1", &addr, &len), EINVAL);
	ck_fails(sks_address_parse("fd:3", &addr, &len), EINVAL);
	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "unix:/", 6);
	buf[sizeof(buf) - 1] = '\0';
	ck_fails(sks_address_parse(buf, &addr, &len), ENAMETOOLONG);
}
