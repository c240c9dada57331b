/* SPDX-License-Identifier: MIT */
/*
 * check_close.c - a socket that another thread closes, while a thread (loop
 * test even) or a fiber of a loop of its own (odd) waits for it, or is about to.
 */
#include "harness.h"
#include "socket/socket.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define ROUNDS 200

/* -- what can be waited for -- */

struct waiter {
	struct sks_socket *s, *peer;
	ssize_t (*call)(struct sks_socket *s);
	int fiber;
	ssize_t rc;
	int error;
	pthread_t thread;
	atomic_int begun;
};

static ssize_t
receive(struct sks_socket *s)
{
	char buf[64];

	return sks_socket_recv(s, buf, sizeof(buf), 0);
}

static ssize_t
receive_from(struct sks_socket *s)
{
	char buf[64];

	return sks_socket_recvfrom(s, buf, sizeof(buf), 0, NULL, NULL, NULL);
}

static ssize_t
receive_descriptors(struct sks_socket *s)
{
	char buf[64];
	int fds[1];
	size_t n = 1;

	return sks_socket_recv_fds(s, buf, sizeof(buf), fds, &n, NULL);
}

static ssize_t
send_all(struct sks_socket *s)
{
	static char block[8 << 20];

	return sks_socket_sendall(s, block, sizeof(block), 0);
}

static ssize_t
take(struct sks_socket *s)
{
	struct sks_socket *client = sks_socket_accept(s, NULL, NULL);

	sks_socket_free(client);
	return client == NULL ? -1 : 0;
}

static struct sks_socket *
bound(int family, int type, int backlog)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sks_socket *s = sks_socket_new(family, type, 0);

	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sks_socket_bind(s,
	    family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&un,
	    /* a Unix socket gets a name of the kernel's choice */
	    family == AF_INET ? sizeof(in) : sizeof(un.sun_family)), 0);
	if (backlog > 0)
		ck_assert_int_eq(sks_socket_listen(s, backlog), 0);
	return s;
}

static void
connect_tcp(struct waiter *w)
{
	struct sks_socket *listener = bound(AF_INET, SOCK_STREAM, 1);
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	ck_assert_int_eq(sks_socket_getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	w->s = sks_socket_new(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(sks_socket_connect(w->s, (struct sockaddr *)&addr, len), 0);
	w->peer = sks_socket_accept(listener, NULL, NULL);
	ck_assert_ptr_nonnull(w->peer);
	sks_socket_free(listener);
}

static const struct {
	ssize_t (*call)(struct sks_socket *s);
	int family, type, backlog; /* type 0: connected; backlog -1: a pair */
} kinds[] = {
	{ receive, AF_UNIX, SOCK_STREAM, -1 },
	{ receive, AF_UNIX, SOCK_DGRAM, -1 },
	{ receive, AF_INET, 0, 0 },
	{ receive_from, AF_INET, SOCK_DGRAM, 0 },
	{ receive_from, AF_UNIX, SOCK_DGRAM, 0 },
	{ receive_descriptors, AF_UNIX, SOCK_STREAM, -1 },
	{ take, AF_INET, SOCK_STREAM, 1 },
	{ take, AF_UNIX, SOCK_STREAM, 1 },
	{ send_all, AF_UNIX, SOCK_STREAM, -1 },
	{ send_all, AF_INET, 0, 0 },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void
open_waiter(struct waiter *w, int i)
{
	struct sks_socket *pair[2];

	*w = (struct waiter){ .call = kinds[i / 2].call, .fiber = i % 2 };
	if (kinds[i / 2].backlog == -1) {
		ck_assert_int_eq(sks_socket_pair(kinds[i / 2].type, pair), 0);
		w->s = pair[0];
		w->peer = pair[1];
	} else if (kinds[i / 2].type == 0)
		connect_tcp(w);
	else
		w->s = bound(kinds[i / 2].family, kinds[i / 2].type, kinds[i / 2].backlog);
}

static void
call_on_task(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->begun, 1);
	w->rc = w->call(w->s);
	w->error = errno;
}

static void *
run_waiter(void *arg)
{
	struct waiter *w = arg;

	rig_run_on(w->fiber, call_on_task, w);
	return NULL;
}

static void
start_waiter(struct waiter *w)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, run_waiter, w), 0);
}

static void
expect_closed(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	ck_assert_int_eq(w->rc, -1);
	ck_assert_int_eq(w->error, EBADF);
	ck_assert_int_eq(sks_socket_fileno(w->s), -1);
	sks_socket_free(w->s);
	sks_socket_free(w->peer);
}

static int
waits(const struct waiter *w)
{
	return atomic_load(&w->s->waiting[0].task) != NULL || atomic_load(&w->s->waiting[1].task) != NULL;
}

TEST(ends_the_wait_of_another_thread, TIMES(KINDS * 2))
{
	struct waiter w;

	open_waiter(&w, _i);
	start_waiter(&w);
	ck_eventually(waits(&w));
	ck_assert_int_eq(sks_socket_close(w.s), 0);
	expect_closed(&w);
}

/* Whatever it does just then; ThreadSanitizer's part. */
TEST(ends_a_call_that_has_just_begun, TIMES(KINDS * 2))
{
	struct waiter w;
	int i, k;

	for (i = 0; i < (is_slow() ? ROUNDS / 10 : ROUNDS); i++) {
		open_waiter(&w, _i);
		start_waiter(&w);
		while (!atomic_load(&w.begun))
			sched_yield();
		for (k = 0; k < i % 50; k++)
			(void)waits(&w);
		ck_assert_int_eq(sks_socket_close(w.s), 0);
		expect_closed(&w);
	}
}

static atomic_int told_to_close;

static void *
close_when_told(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->begun, 1);
	while (!atomic_load(&told_to_close))
		;
	ck_assert_int_eq(sks_socket_close(w->s), 0);
	return NULL;
}

/* Makes streams of a socket that another thread closes a moment before or behind that. */
static struct sks_client *
make_streams_beside_close(struct waiter *w, int moment)
{
	struct sks_client *client;
	int i;

	atomic_store(&told_to_close, 0);
	ck_assert_int_eq(pthread_create(&w->thread, NULL, close_when_told, w), 0);
	while (!atomic_load(&w->begun))
		sched_yield();
	atomic_store(&told_to_close, 1);
	for (i = 0; i < moment; i++)
		(void)waits(w);
	errno = 0;
	client = sks_socket_makefile(w->s, "rw");
	if (client == NULL)
		ck_assert_int_eq(errno, EBADF);
	pthread_join(w->thread, NULL);
	return client;
}

/* There are none, or they have the descriptor: its number may be another's otherwise. */
TEST(streams_that_are_made_meanwhile_keep_the_descriptor)
{
	struct sks_client *client;
	struct waiter w;
	char byte;
	int i;

	for (i = 0; i < (is_slow() ? ROUNDS : ROUNDS * 20); i++) {
		open_waiter(&w, 0);
		client = make_streams_beside_close(&w, i % 400);
		if (client != NULL) {
			ck_assert_int_eq(sks_socket_send(w.peer, "x", 1, 0), 1);
			ck_assert_int_eq(sks_read(client->rfile, &byte, 1), 1);
		}
		ck_assert_int_eq(sks_client_close(client), 0);
		sks_socket_free(w.s);
		sks_socket_free(w.peer);
	}
}

/* What has come by then is the peer's last word. */
TEST(the_peer_reads_an_end, TIMES(2))
{
	struct waiter w;

	open_waiter(&w, _i);
	start_waiter(&w);
	ck_eventually(waits(&w));
	ck_assert_int_eq(sks_socket_send(w.s, "bye", 3, 0), 3);
	ck_assert_int_eq(sks_socket_close(w.s), 0);
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(receive(w.peer), 3);
	ck_assert_int_eq(receive(w.peer), 0);
	sks_socket_free(w.s);
	sks_socket_free(w.peer);
}

/* Nor does it read one first where the owner wants a reset. */
TEST(or_a_reset, TIMES(2))
{
	struct linger at_once = { .l_onoff = 1 };
	struct waiter w;

	open_waiter(&w, 4 + _i); /* TCP */
	start_waiter(&w);
	ck_eventually(waits(&w));
	ck_assert_int_eq(sks_socket_setsockopt(w.s, SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once)), 0);
	ck_assert_int_eq(sks_socket_close(w.s), 0);
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(receive(w.peer), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	sks_socket_free(w.s);
	sks_socket_free(w.peer);
}

/* The parent's waits are the parent's. */
TEST(a_child_ends_no_wait_of_its_parent, TIMES(3))
{
	struct waiter w;
	pid_t child;

	open_waiter(&w, _i * 2); /* on a thread: the watch of a fiber is not for a child to end */
	start_waiter(&w);
	ck_eventually(waits(&w));
	child = fork();
	if (child == 0) {
		sks_socket_close(w.s);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(sks_socket_send(w.peer, "hello", 5, 0), 5);
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(w.rc, 5);
	sks_socket_free(w.s);
	sks_socket_free(w.peer);
}

/* A call that waits in the parent keeps the parent's descriptor, not the child's copy of it. */
TEST(a_child_closes_its_copy_while_its_parent_waits, TIMES(4))
{
	struct waiter w;
	int status, copy;
	pid_t child;

	open_waiter(&w, _i % 2);
	start_waiter(&w);
	ck_eventually(waits(&w));
	child = fork();
	if (child == 0) {
		copy = sks_socket_fileno(w.s);
		if (_i < 2)
			sks_socket_free(w.s);
		else if (sks_socket_detach(w.s) == copy)
			close(copy);
		_exit(fcntl(copy, F_GETFD) == -1 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(sks_socket_send(w.peer, "hello", 5, 0), 5);
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(w.rc, 5);
	sks_socket_free(w.s);
	sks_socket_free(w.peer);
}
