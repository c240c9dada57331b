/* SPDX-License-Identifier: MIT */
/*
 * check_accept_faults.c - accepting and receiving that fails: whatever it is, the next client is
 * served, nothing spins, and one line says what was wrong where a user must know.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_handler echo = { .handle = acc_echo_lines };

TEST(accept_without_descriptors_waits_and_goes_on, TIMES(4 * ACC_MODES))
{
	static const char *const errors[] = { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM" };
	struct acc acc;
	unsigned long calls;
	int64_t began, ms;
	int fd, lines;

	acc_tcp(&acc, _i / 4, &echo, NULL);
	acc_start_serving(&acc);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	ck_eventually(acc_stats(&acc).finished == 1); /* else an accept4 that has begun takes the next one */
	sks_fault_clear();
	fault("accept4:%s:1+", errors[_i % 4]);
	began = rig_now();
	fd = acc_client(&acc);
	ck_assert_int_eq(send(fd, "patience\n", 9, 0), 9);
	ck_eventually(sks_fault_calls("accept4") >= 5);
	calls = sks_fault_calls("accept4");
	lines = log_lines();
	ms = (rig_now() - began) / 1000000; /* last, as there may be more of both meanwhile */
	ck_assert_uint_le(calls, (unsigned long)ms / 10 + 2); /* 10 ms apart, and more and more */
	ck_assert_int_ge(lines, 1);
	ck_assert_int_le(lines, (int)(ms / 1000) * 2 + 2); /* one a second, and what was left out */
	ck_assert_int_ge(log_count("accept: "), 1);
	sks_fault_clear();
	/* Who waited is served, and so is the next. */
	{
		char got[9];

		ck_assert_uint_eq(peer_receive(fd, got, 9), 9);
		ck_assert_mem_eq(got, "patience\n", 9);
	}
	close(fd);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 3);
	ck_assert_uint_eq(acc_stats(&acc).finished, 3);
	acc_free(&acc);
}

TEST(an_old_client_is_served_while_accept_fails, EACH_MODE)
{
	struct acc acc;
	int old, late, i;

	acc_tcp(&acc, _i, &echo, NULL);
	acc_start_serving(&acc);
	old = acc_client(&acc);
	peer_puts(old, "old\n");
	peer_expect(old, "old\n");
	sks_fault_clear();
	fault("accept4:EMFILE:1+");
	late = acc_client(&acc);
	peer_puts(late, "new\n");
	if (!acc.mode->one_at_a_time) /* else it is not accepted while the old one is served */
		ck_eventually(sks_fault_hits() > 0);
	for (i = 0; i < 100; i++) {
		peer_puts(old, "old\n");
		peer_expect(old, "old\n");
	}
	ck_assert(peer_is_silent(late));
	close(old);
	ck_eventually(sks_fault_hits() > 0);
	sks_fault_clear();
	peer_expect(late, "new\n");
	close(late);
	acc_stop(&acc);
	acc_free(&acc);
}

/* No request is left that could free a descriptor, so the time of the drain is not waited for. */
TEST(a_server_that_stops_does_not_wait_for_a_descriptor, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = INT_MAX, .close_listeners = 1 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &echo, &options);
	acc_start_serving(&acc);
	fault("accept4:EMFILE:1+");
	fd = acc_client(&acc);
	ck_eventually(log_count("trying again soon") > 0);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(log_count("; clients that wait on "), 1);
	ck_assert_int_eq(log_count(" are reset: 1"), acc.transport == ACC_TCP);
	peer_expect_gone(fd);
	sks_fault_clear();
	acc_free(&acc);
}

/* accept4(2) says EMFILE with an empty queue, too. One that runs has its time. */
TEST(a_server_that_stops_sees_that_nobody_waits, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = INT_MAX, .close_listeners = 1 };
	struct acc acc;
	char got[2];
	int fd;

	acc_streams(&acc, _i, &echo, &options);
	acc_start_serving(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "a\n");
	ck_assert_uint_eq(peer_receive(fd, got, 2), 2);
	fault("accept4:EMFILE:1+");
	sks_server_shutdown(acc.server);
	ck_eventually(sks_fault_hits() > 0);
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(log_count(" are reset"), 0);
	sks_fault_clear();
	acc_free(&acc);
}

TEST(an_error_of_one_client_is_passed_over, TIMES(13 * ACC_MODES))
{
	static const char *const errors[] = {
		"ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EHOSTUNREACH", "EOPNOTSUPP",
		"ENOPROTOOPT", "ENONET", "EHOSTDOWN", "ENETUNREACH", "ETIMEDOUT", "EINTR", "EAGAIN",
	};
	const char *error = errors[_i % 13];
	int passing = strcmp(error, "EINTR") != 0 && strcmp(error, "EAGAIN") != 0;
	struct acc acc;

	acc_on(&acc, _i / 13, acc_listen_address(_i % 2 == 0 ? ACC_TCP : ACC_ABSTRACT), &echo, NULL);
	acc_start_serving(&acc);
	fault("accept4:%s:1,accept4:%s:2,accept4:%s:4", error, error, error);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 2);
	ck_assert_uint_eq(acc_stats(&acc).finished, 2);
	ck_assert_uint_eq(acc_stats(&acc).refused, passing ? sks_fault_hits() : 0);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

static const struct {
	const char *name;
	int error;
} fatal[] = { { "EBADF", EBADF }, { "EINVAL", EINVAL }, { "ENOTSOCK", ENOTSOCK } };

/* One that each loop has of a Unix socket is one listener, so there none is left. */
TEST(a_listener_that_fails_for_good_ends_the_server, TIMES(3 * ACC_MODES))
{
	struct acc acc;
	int fd;

	acc_on(&acc, _i / 3, acc_listen_address(ACC_ABSTRACT), &echo, NULL);
	acc_start_serving(&acc);
	fault("accept4:%s:1", fatal[_i % 3].name);
	fd = acc_client(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, fatal[_i % 3].error);
	ck_assert_int_eq(log_lines(), 1);
	close(fd);
	acc_free(&acc);
}

/*
 * Another process that has the socket, too, has shut it down. With reuse_port each loop has a
 * socket of TCP and UDP of its own.
 */
TEST(a_listener_that_was_shut_down_ends_the_server, EACH_TRANSPORT)
{
	struct acc acc;
	int rc;

	acc_all(&acc, _i, &echo, NULL);
	acc_start_serving(&acc);
	if (!acc.mode->reuse_port || acc.transport == ACC_UNIX || acc.transport == ACC_UNIX_DGRAM) {
		rc = shutdown(sks_server_fileno(acc.server, 0), SHUT_RDWR);
		ck_assert(rc == 0 || acc.transport == ACC_UDP); /* ENOTCONN, but it has taken effect */
		acc_join(&acc);
		ck_assert_int_eq(acc.rc, -1);
		ck_assert_int_eq(acc.error, EINVAL);
		ck_assert_int_eq(log_lines(), 1);
	}
	acc_free(&acc);
}

TEST(the_other_listeners_go_on, TIMES(3 * ACC_MODES))
{
	struct acc acc, other;
	int fd;

	acc_tcp(&acc, _i / 3, &echo, NULL);
	ck_assert_int_eq(sks_server_listen(acc.server, acc_listen_address(ACC_ABSTRACT)), 0);
	other = (struct acc){ .transport = ACC_UNIX };
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, other.address, sizeof(other.address)));
	acc_start_serving(&acc);
	fault("accept4:%s:1", fatal[_i % 3].name);
	fd = acc_client(&acc);
	ck_eventually(log_lines() == 1);
	ck_assert_int_eq(acc_echoes(&other), 1);
	close(fd);
	acc_free(&acc);
}

TEST(a_datagram_socket_that_fails_for_good_ends_the_server)
{
	struct acc acc;
	int fd;

	acc_on(&acc, ACC_FIBERS, acc_listen_address(ACC_UDP), &echo, NULL);
	acc_start_serving(&acc);
	fault("recvmsg:EBADF:1");
	fd = acc_client(&acc);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, EBADF);
	close(fd);
	acc_free(&acc);
}

TEST(a_passing_error_of_a_datagram_socket_is_passed_over, TIMES(9))
{
	static const char *const errors[] = {
		"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENOBUFS", "ENOMEM",
		"EPERM", "EINTR", "EAGAIN",
	};
	struct acc acc;

	acc_on(&acc, ACC_FIBERS, acc_listen_address(ACC_UDP), &echo, NULL);
	acc_start_serving(&acc);
	fault("recvmsg:%s:1,recvmsg:%s:3", errors[_i], errors[_i]);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).finished, 2);
	acc_free(&acc);
}

/* The datagram stays in the kernel, so the socket can be read all the while. */
TEST(receiving_without_memory_waits_and_goes_on, TIMES(2))
{
	static const char *const errors[] = { "ENOBUFS", "ENOMEM" };
	struct acc acc;
	unsigned long calls;
	int64_t began, ms;
	char got[9];
	int fd, lines;

	acc_on(&acc, ACC_FIBERS, acc_listen_address(ACC_UDP), &echo, NULL);
	acc_start_serving(&acc);
	fault("recvmsg:%s:1+", errors[_i]);
	began = rig_now();
	fd = acc_client(&acc);
	ck_assert_int_eq(send(fd, "patience\n", 9, 0), 9);
	ck_eventually(sks_fault_calls("recvmsg") >= 6);
	calls = sks_fault_calls("recvmsg");
	lines = log_lines();
	ms = (rig_now() - began) / 1000000; /* last, as there may be more of both meanwhile */
	ck_assert_uint_le(calls, (unsigned long)ms / 10 + 2); /* 10 ms apart, and more and more */
	ck_assert_int_le(lines, (int)(ms / 1000) * 2 + 2);
	ck_assert_int_ge(log_count("receive: "), 1);
	sks_fault_clear();
	ck_assert_uint_eq(peer_receive(fd, got, 9), 9);
	ck_assert_mem_eq(got, "patience\n", 9);
	close(fd);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).finished, 1);
	acc_free(&acc);
}

TEST(a_reply_that_cannot_be_sent_is_told_and_not_more, TIMES(7))
{
	static const char *const errors[] = {
		"ECONNREFUSED", "EMSGSIZE", "EPERM", "ENOBUFS", "ENETUNREACH", "EHOSTUNREACH", "ENOMEM",
	};
	struct acc acc;
	int fd;

	acc_on(&acc, ACC_FIBERS, acc_listen_address(ACC_UDP), &echo, NULL);
	acc_start_serving(&acc);
	/* A reply is sent with the address that was asked for, then without it. */
	fault("sendmsg:%s:1", errors[_i]);
	fault("sendmsg:%s:2", errors[_i]);
	fd = acc_client(&acc);
	ck_assert_int_eq(send(fd, "lost\n", 5, 0), 5);
	ck_assert_int_eq(acc_echoes(&acc), 1);
	close(fd);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	ck_assert_int_eq(log_lines(), 1);
	acc_free(&acc);
}
