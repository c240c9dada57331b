/* SPDX-License-Identifier: MIT */
/*
 * check_exchange_faults.c - system calls that fail in the middle of exchanges.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

static const struct sks_handler echo = { .handle = acc_echo_lines };
static const struct sks_handler keep = { .handle = acc_echo_keep, .client_first = 1 };

/* -- exchanges, byte by byte and interrupted -- */

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

static const char *const disturbances[] = {
	"recv:short=1,send:short=1",
	"recv:short=1,send:short=1,sendmsg:short=1,recv:EAGAIN:%2,send:EAGAIN:%2",
	"recv:EINTR:%2,send:EINTR:%2,sendmsg:EINTR:%2,recvmsg:EINTR:%2,accept4:EINTR:%2,poll:EINTR:%2,"
	"read:EINTR:%2",
	"recv:EAGAIN:%2,send:EAGAIN:%2,sendmsg:EAGAIN:%2,recvmsg:EAGAIN:%2,accept4:EAGAIN:%2,"
	"read:EAGAIN:%2",
	"recv:EINTR:%3,recv:EAGAIN:%2,send:short=7,send:EINTR:%2,recvmsg:EAGAIN:%3",
};

/* Lines of all lengths on one connection, or as many datagrams. */
static void
converse(const struct acc *acc)
{
	char text[300], got[300];
	int fd = acc_client(acc), n;

	memset(text, 'c', sizeof(text));
	for (n = 1; n <= 300; n = n * 2 + 1) {
		text[n - 1] = '\n';
		ck_assert_int_eq(send(fd, text, (size_t)n, 0), n);
		ck_assert_uint_eq(peer_receive(fd, got, (size_t)n), (size_t)n);
		ck_assert_mem_eq(got, text, (size_t)n);
		text[n - 1] = 'c';
	}
	close(fd);
}

static void
hear_hello(const struct acc *acc)
{
	char got[14] = "";
	int fd = acc_client(acc);

	if (!acc_is_stream(acc))
		ck_assert_int_eq(send(fd, "", 0, 0), 0); /* an empty datagram is a request */
	ck_assert_uint_eq(peer_receive(fd, got, 13), 13);
	ck_assert_str_eq(got, "Hello World!\n");
	if (acc_is_stream(acc))
		ck_assert_int_eq(recv(fd, got, 1, 0), 0);
	close(fd);
}

TEST(exchanges_are_the_same_when_disturbed, TIMES(15 * ACC_MODES))
{
	static int (*const handlers[])(struct sks_request *) = {
		acc_echo_lines, acc_echo_keep, acc_hello
	};
	int which = _i % 3, disturbance = _i / 3 % 5, mode = _i / 15;
	struct sks_handler handler = { .handle = handlers[which], .client_first = which == 1 };
	struct acc acc;
	int t;

	for (t = 0; t < ACC_ADDRESSES; t++) {
		acc_on(&acc, mode, acc_listen_address((enum acc_transport)t), &handler, NULL);
		acc_start_serving(&acc);
		fault("%s", disturbances[disturbance]);
		if (which == 2)
			hear_hello(&acc);
		else
			converse(&acc);
		acc_stop(&acc);
		if (acc_is_stream(&acc) && acc.mode->one_memory) /* a process counts its own */
			ck_assert_uint_gt(sks_fault_hits(), 0);
		sks_fault_clear();
		ck_assert_uint_eq(acc_stats(&acc).failed, 0);
		acc_free(&acc);
	}
	ck_assert_int_eq(log_lines(), 0);
}

/*
 * A descriptor is served without a server, as by inetd: the waits are poll(2), which is disturbed.
 */
TEST(a_served_descriptor_is_the_same_when_disturbed, TIMES(5))
{
	static const struct sks_handler handler = { .handle = acc_echo_lines };
	char got[10];
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(send(fds[1], "one\ntwo\n", 8, 0), 8);
	shutdown(fds[1], SHUT_WR);
	fault("%s", disturbances[_i]);
	ck_assert_int_eq(sks_serve_fd(fds[0], &handler, NULL), 0);
	ck_assert_uint_eq(peer_receive(fds[1], got, 10), 8);
	ck_assert_mem_eq(got, "one\ntwo\n", 8);
	close(fds[1]);
}

/* Each call once, at its k-th use, and one exchange more after that. */
TEST(one_failure_at_each_use_of_each_call, TIMES(ACC_ADDRESSES * ACC_MODES))
{
	static const char *const calls[] = { "recv", "send", "sendmsg", "recvmsg", "accept4", "read" };
	static const char *const errors[] = { "EAGAIN", "EINTR" };
	const char *address = acc_listen_address((enum acc_transport)(_i % ACC_ADDRESSES));
	int one_memory = acc_modes[_i / ACC_ADDRESSES].one_memory, k, points = 0;
	size_t c, e;

	for (c = 0; c < SKS_ARRAY_LEN(calls); c++)
		for (e = 0; e < 2; e++) {
			unsigned long hits = 1;
			struct acc acc;

			acc_on(&acc, _i / ACC_ADDRESSES, address, &echo, NULL);
			acc_start_serving(&acc);
			for (k = 1; k <= 12 && (hits > 0 || !one_memory); k++) {
				sks_fault_clear();
				fault("%s:%s:%d", calls[c], errors[e], k);
				converse(&acc);
				hits = sks_fault_hits();
				points += hits > 0;
			}
			acc_stop(&acc);
			ck_assert_uint_eq(acc_stats(&acc).failed, 0);
			acc_free(&acc);
		}
	ck_assert_int_ge(points, one_memory ? 8 : 2); /* a process counts its own */
}

/* What breaks a connection breaks that one only. */
TEST(a_broken_connection_is_alone, TIMES(22 * ACC_MODES))
{
	static const char *const rules[] = {
		"recv:ECONNRESET", "recv:ETIMEDOUT", "recv:EIO", "recv:ENOMEM", "send:EPIPE",
		"send:ECONNRESET", "send:ENOBUFS", "send:ENOMEM", "shutdown:ENOTCONN", "close:EIO",
		"close:EINTR",
	};
	struct acc acc;
	int k;

	acc_tcp(&acc, _i / 22, _i % 2 == 0 ? &echo : &keep, NULL);
	acc_start_serving(&acc);
	for (k = 1; k <= 4; k++) {
		sks_fault_clear();
		fault("%s:%d", rules[_i % 22 / 2], k);
		(void)acc_echoes(&acc);
		(void)acc_echoes(&acc);
		sks_fault_clear();
		ck_assert_int_eq(acc_echoes(&acc), 1);
	}
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 12);
	ck_assert_uint_eq(acc_stats(&acc).finished + acc_stats(&acc).refused, 12);
	acc_free(&acc);
}

/* -- events that cannot be had -- */

TEST(an_event_that_cannot_be_had_costs_one_client_at_most, TIMES(24 * ACC_MODES))
{
	static const char *const errors[] = { "ENOMEM", "ENOSPC" };
	const char *address = acc_listen_address((enum acc_transport)(_i / 4 % ACC_ADDRESSES));
	struct acc acc;
	int k;

	acc_on(&acc, _i / 24, address, _i / 2 % 2 == 0 ? &echo : &keep, NULL);
	acc_start_serving(&acc);
	for (k = 1; k <= 8; k++) {
		int fd = acc_client(&acc);
		struct timeval brief = { .tv_usec = 20000 };
		char got[4];

		sks_fault_clear();
		fault("event_add:%s:%d", errors[_i % 2], k);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
		(void)!send(fd, "one\n", 4, MSG_NOSIGNAL);
		(void)peer_receive(fd, got, 4); /* or an end, or nothing */
		(void)!send(fd, "two\n", 4, MSG_NOSIGNAL);
		(void)peer_receive(fd, got, 4);
		close(fd);
		sks_fault_clear();
		ck_assert_msg(acc_echoes(&acc), "after event_add:%d on %s: %s", k, address, acc_echo_lacks);
	}
	acc_free(&acc);
}

/* A server that cannot begin says so, and can begin later. */
TEST(a_server_without_events_does_not_begin, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = acc_hello };
	struct sks_options options = acc_options(&acc_modes[_i], &(struct sks_options){ .tick_ms = 1000 });
	struct sks_server *server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	unsigned long hits = 1;
	int k;

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_server_listen(server, acc_listen_address(ACC_ABSTRACT)), 0);
	for (k = 1; hits > 0; k++) {
		sks_fault_clear();
		fault("event_add:ENOMEM:%d", k);
		if (k > 3) /* it may begin, and then ends at once */
			sks_server_shutdown(server);
		errno = 0;
		if (sks_serve_forever(server) == -1 || k <= 3)
			ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(sks_server_is_running(server), 0);
		hits = sks_fault_hits();
	}
	ck_assert_int_eq(errno, 0);
	sks_fault_clear();
	ck_assert_int_eq(sks_handle_request(server, 1), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_server_free(server);
}

/* -- nothing to run a handler on -- */

/*
 * Neither a stack, nor a thread or a child, nor a timer to try it again: so nobody would ever
 * look.
 */
TEST(who_cannot_be_run_is_closed_and_the_next_is_served, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	acc_start_serving(&acc);
	fault("mmap:ENOMEM:1+,pthread_create:EAGAIN:1+,fork:EAGAIN:1+,event_add:ENOMEM:1+");
	fd = acc_client(&acc);
	(void)!send(fd, "echo\nd\n", 7, MSG_NOSIGNAL); /* it may be closed already */
	ck_eventually(log_count("cannot run the handler: ") == 1);
	if (acc_is_stream(&acc))
		peer_expect_gone(fd);
	else
		close(fd);
	sks_fault_clear();
	ck_assert_int_eq(seen->setups, 0);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).dropped, acc_is_stream(&acc) ? 0 : 1);
	ck_assert_uint_eq(acc_stats(&acc).refused, acc_is_stream(&acc) ? 1 : 0);
	ck_assert_uint_eq(acc_stats(&acc).finished, 1);
	acc_free(&acc);
}
