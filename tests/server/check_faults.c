/* SPDX-License-Identifier: MIT */
/*
 * check_faults.c - system calls that fail under a server: at listening, at
 * accepting, in the middle of exchanges. Whatever it is, the next client is
 * served, nothing spins, and one line says what was wrong where a user must
 * know.
 */
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define UNIX_PATH "/tmp/sks-check-faults.%d"

static char unix_stream[64], unix_dgram[64], abstract_stream[64], abstract_dgram[64];

/* One address of each transport, with a name in the file system and without. */
static const char *const transports[] = {
	"127.0.0.1:0", "udp:127.0.0.1:0", unix_stream, unix_dgram, abstract_stream,
	abstract_dgram,
};

#define TRANSPORTS (int)SKS_ARRAY_LEN(transports)

static void
set_up(void)
{
	rig_setup();
	log_keep();
	snprintf(unix_stream, sizeof(unix_stream), "unix:" UNIX_PATH, (int)getpid());
	snprintf(unix_dgram, sizeof(unix_dgram), "unix-dgram:" UNIX_PATH "d", (int)getpid());
	snprintf(abstract_stream, sizeof(abstract_stream), "unix:@sks-check-faults.%d", (int)getpid());
	snprintf(abstract_dgram, sizeof(abstract_dgram), "unix-dgram:@sks-check-faults.%d",
	    (int)getpid());
}

static void
tear_down(void)
{
	log_forget();
	no_leaks_teardown();
}

FIXTURE(set_up, tear_down);

static int
is_stream(const char *address)
{
	return strncmp(address, "udp:", 4) != 0 && strncmp(address, "unix-dgram:", 11) != 0;
}

__attribute__((format(printf, 1, 2))) static void
fault(const char *format, ...)
{
	char rules[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(rules, sizeof(rules), format, ap);
	va_end(ap);
	ck_assert_msg(sks_fault(rules) == 0, "%s", rules);
}

static void
start(struct rig_server *rig)
{
	ck_assert_int_eq(rig_server_start(rig), 0);
}

static struct rig_server
echo_on(const char *address)
{
	return (struct rig_server){ .listen = { address }, .handler = { .handle = rig_echo_lines } };
}

/* -- accepting -- */

static uint64_t
finished(const struct rig_server *rig)
{
	struct sks_stats stats;

	ck_assert_int_eq(sks_server_stats(rig->server, &stats), 0);
	return stats.finished;
}

TEST(accept_without_descriptors_waits_and_goes_on, TIMES(4))
{
	static const char *const errors[] = { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM" };
	struct rig_server rig = echo_on("127.0.0.1:0");
	unsigned long calls;
	int64_t began, ms;
	int fd, lines;

	start(&rig);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	ck_eventually(finished(&rig) == 1); /* else an accept4 that has begun takes the next one */
	sks_fault_clear();
	fault("accept4:%s:1+", errors[_i]);
	began = rig_now();
	fd = rig_dial(rig.address[0]);
	ck_assert_int_eq(send(fd, "patience\n", 9, 0), 9);
	ck_eventually(sks_fault_calls("accept4") >= 6);
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

		ck_assert_uint_eq(rig_receive(fd, got, 9), 9);
		ck_assert_mem_eq(got, "patience\n", 9);
	}
	close(fd);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	rig_server_stop(&rig);
	ck_assert_uint_eq(rig.stats.accepted, 3);
	ck_assert_uint_eq(rig.stats.finished, 3);
}

TEST(an_old_client_is_served_while_accept_fails)
{
	struct rig_server rig = echo_on("127.0.0.1:0");
	char got[4];
	int old, late, i;

	start(&rig);
	old = rig_dial(rig.address[0]);
	ck_assert_int_eq(send(old, "old\n", 4, 0), 4);
	ck_assert_uint_eq(rig_receive(old, got, 4), 4);
	sks_fault_clear();
	fault("accept4:EMFILE:1+");
	late = rig_dial(rig.address[0]);
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(send(old, "old\n", 4, 0), 4);
		ck_assert_uint_eq(rig_receive(old, got, 4), 4);
	}
	sks_fault_clear();
	ck_assert_int_eq(send(late, "new\n", 4, 0), 4);
	ck_assert_uint_eq(rig_receive(late, got, 4), 4);
	close(old);
	close(late);
	rig_server_stop(&rig);
}

TEST(an_error_of_one_client_is_passed_over, TIMES(13))
{
	static const char *const errors[] = {
		"ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EHOSTUNREACH", "EOPNOTSUPP",
		"ENOPROTOOPT", "ENONET", "EHOSTDOWN", "ENETUNREACH", "ETIMEDOUT", "EINTR", "EAGAIN",
	};
	struct rig_server rig = echo_on(_i % 2 == 0 ? "127.0.0.1:0" : abstract_stream);
	int passing = strcmp(errors[_i], "EINTR") != 0 && strcmp(errors[_i], "EAGAIN") != 0;

	start(&rig);
	fault("accept4:%s:1,accept4:%s:2,accept4:%s:4", errors[_i], errors[_i], errors[_i]);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	rig_server_stop(&rig);
	ck_assert_uint_eq(rig.stats.accepted, 2);
	ck_assert_uint_eq(rig.stats.finished, 2);
	ck_assert_uint_eq(rig.stats.refused, passing ? sks_fault_hits() : 0);
	ck_assert_int_eq(log_lines(), 0);
}

static const struct {
	const char *name;
	int error;
} fatal[] = { { "EBADF", EBADF }, { "EINVAL", EINVAL }, { "ENOTSOCK", ENOTSOCK } };

TEST(a_listener_that_fails_for_good_ends_the_server, TIMES(3))
{
	struct rig_server rig = echo_on("127.0.0.1:0");
	int fd;

	start(&rig);
	fault("accept4:%s:1", fatal[_i].name);
	fd = rig_dial(rig.address[0]);
	rig_server_join(&rig);
	ck_assert_int_eq(rig.result, -1);
	ck_assert_int_eq(rig.error, fatal[_i].error);
	ck_assert_int_eq(log_lines(), 1);
	close(fd);
}

TEST(the_other_listeners_go_on, TIMES(3))
{
	struct rig_server rig = {
		.listen = { "127.0.0.1:0", abstract_stream },
		.handler = { .handle = rig_echo_lines },
	};
	int fd;

	start(&rig);
	fault("accept4:%s:1", fatal[_i].name);
	fd = rig_dial(rig.address[0]);
	ck_eventually(log_lines() == 1);
	ck_assert_int_eq(rig_echoes(rig.address[1]), 1);
	close(fd);
	rig_server_stop(&rig);
	ck_assert_int_eq(rig.result, 0);
}

TEST(a_datagram_socket_that_fails_for_good_ends_the_server)
{
	struct rig_server rig = echo_on("udp:127.0.0.1:0");
	int fd;

	start(&rig);
	fault("recvmsg:EBADF:1");
	fd = rig_dial(rig.address[0]);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	rig_server_join(&rig);
	ck_assert_int_eq(rig.result, -1);
	ck_assert_int_eq(rig.error, EBADF);
	close(fd);
}

TEST(a_passing_error_of_a_datagram_socket_is_passed_over, TIMES(9))
{
	static const char *const errors[] = {
		"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENOBUFS", "ENOMEM",
		"EPERM", "EINTR", "EAGAIN",
	};
	struct rig_server rig = echo_on("udp:127.0.0.1:0");

	start(&rig);
	fault("recvmsg:%s:1,recvmsg:%s:3", errors[_i], errors[_i]);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	rig_server_stop(&rig);
	ck_assert_uint_eq(rig.stats.finished, 2);
}

/* The datagram stays in the kernel, so the socket can be read all the while. */
TEST(receiving_without_memory_waits_and_goes_on, TIMES(2))
{
	static const char *const errors[] = { "ENOBUFS", "ENOMEM" };
	struct rig_server rig = echo_on("udp:127.0.0.1:0");
	unsigned long calls;
	int64_t began, ms;
	char got[9];
	int fd, lines;

	start(&rig);
	fault("recvmsg:%s:1+", errors[_i]);
	began = rig_now();
	fd = rig_dial(rig.address[0]);
	ck_assert_int_eq(send(fd, "patience\n", 9, 0), 9);
	ck_eventually(sks_fault_calls("recvmsg") >= 6);
	calls = sks_fault_calls("recvmsg");
	lines = log_lines();
	ms = (rig_now() - began) / 1000000; /* last, as there may be more of both meanwhile */
	ck_assert_uint_le(calls, (unsigned long)ms / 10 + 2); /* 10 ms apart, and more and more */
	ck_assert_int_le(lines, (int)(ms / 1000) * 2 + 2);
	ck_assert_int_ge(log_count("receive: "), 1);
	sks_fault_clear();
	ck_assert_uint_eq(rig_receive(fd, got, 9), 9);
	ck_assert_mem_eq(got, "patience\n", 9);
	close(fd);
	rig_server_stop(&rig);
	ck_assert_uint_eq(rig.stats.finished, 1);
}

TEST(a_reply_that_cannot_be_sent_is_told_and_not_more, TIMES(7))
{
	static const char *const errors[] = {
		"ECONNREFUSED", "EMSGSIZE", "EPERM", "ENOBUFS", "ENETUNREACH", "EHOSTUNREACH", "ENOMEM",
	};
	struct rig_server rig = echo_on("udp:127.0.0.1:0");
	int fd;

	start(&rig);
	fault("sendmsg:%s:1", errors[_i]);
	fd = rig_dial(rig.address[0]);
	ck_assert_int_eq(send(fd, "lost\n", 5, 0), 5);
	ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	close(fd);
	rig_server_stop(&rig);
	ck_assert_uint_eq(rig.stats.failed, 1);
	ck_assert_int_eq(log_lines(), 1);
}

/* -- exchanges, byte by byte and interrupted -- */

FIXTURE(set_up, tear_down, .timeout_s = 120);

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
converse(const char *address)
{
	char text[300], got[300];
	int fd = rig_dial(address), n;

	ck_assert_int_ne(fd, -1);
	memset(text, 'c', sizeof(text));
	for (n = 1; n <= 300; n = n * 2 + 1) {
		text[n - 1] = '\n';
		ck_assert_int_eq(send(fd, text, (size_t)n, 0), n);
		ck_assert_uint_eq(rig_receive(fd, got, (size_t)n), (size_t)n);
		ck_assert_mem_eq(got, text, (size_t)n);
		text[n - 1] = 'c';
	}
	close(fd);
}

static void
hear_hello(const char *address)
{
	char got[14] = "";
	int fd = rig_dial(address);

	ck_assert_int_ne(fd, -1);
	if (!is_stream(address))
		ck_assert_int_eq(send(fd, "", 0, 0), 0); /* an empty datagram is a request */
	ck_assert_uint_eq(rig_receive(fd, got, 13), 13);
	ck_assert_str_eq(got, "Hello World!\n");
	if (is_stream(address))
		ck_assert_int_eq(recv(fd, got, 1, 0), 0);
	close(fd);
}

TEST(exchanges_are_the_same_when_disturbed, TIMES(15))
{
	static int (*const handlers[])(struct sks_request *) = {
		rig_echo_lines, rig_echo_keep, rig_hello
	};
	int which = _i % 3, disturbance = _i / 3;
	size_t t;

	for (t = 0; t < SKS_ARRAY_LEN(transports); t++) {
		struct rig_server rig = {
			.listen = { transports[t] },
			.handler = { .handle = handlers[which], .client_first = which == 1 },
		};

		start(&rig);
		fault("%s", disturbances[disturbance]);
		if (which == 2)
			hear_hello(rig.address[0]);
		else
			converse(rig.address[0]);
		rig_server_stop(&rig);
		if (is_stream(transports[t]))
			ck_assert_uint_gt(sks_fault_hits(), 0);
		sks_fault_clear();
		ck_assert_uint_eq(rig.stats.failed, 0);
		ck_assert_int_eq(rig.result, 0);
	}
	ck_assert_int_eq(log_lines(), 0);
}

/* The same without a server: inetd's way, with poll(2). */
TEST(a_served_descriptor_is_the_same_when_disturbed, TIMES(5))
{
	static const struct sks_handler handler = { .handle = rig_echo_lines };
	char got[10];
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(send(fds[1], "one\ntwo\n", 8, 0), 8);
	shutdown(fds[1], SHUT_WR);
	fault("%s", disturbances[_i]);
	ck_assert_int_eq(sks_serve_fd(fds[0], &handler, NULL), 0);
	ck_assert_uint_eq(rig_receive(fds[1], got, 10), 8);
	ck_assert_mem_eq(got, "one\ntwo\n", 8);
	close(fds[1]);
}

/* Each call once, at its k-th use, and one exchange more after that. */
TEST(one_failure_at_each_use_of_each_call, TIMES(TRANSPORTS))
{
	static const char *const calls[] = { "recv", "send", "sendmsg", "recvmsg", "accept4", "read" };
	static const char *const errors[] = { "EAGAIN", "EINTR" };
	const char *address = transports[_i];
	size_t c, e;
	int k, points = 0;

	for (c = 0; c < SKS_ARRAY_LEN(calls); c++)
		for (e = 0; e < 2; e++) {
			struct rig_server rig = echo_on(address);
			unsigned long hits = 1;

			start(&rig);
			for (k = 1; k <= 12 && hits > 0; k++) {
				sks_fault_clear();
				fault("%s:%s:%d", calls[c], errors[e], k);
				converse(rig.address[0]);
				hits = sks_fault_hits();
				points += hits > 0;
			}
			rig_server_stop(&rig);
			ck_assert_uint_eq(rig.stats.failed, 0);
		}
	ck_assert_int_ge(points, 8);
}

/* What breaks a connection breaks that one only. */
TEST(a_broken_connection_is_alone, TIMES(22))
{
	static const char *const rules[] = {
		"recv:ECONNRESET", "recv:ETIMEDOUT", "recv:EIO", "recv:ENOMEM", "send:EPIPE",
		"send:ECONNRESET", "send:ENOBUFS", "send:ENOMEM", "shutdown:ENOTCONN", "close:EIO",
		"close:EINTR",
	};
	struct rig_server rig = echo_on("127.0.0.1:0");
	int k;

	if (_i % 2 == 1) {
		rig.handler.handle = rig_echo_keep;
		rig.handler.client_first = 1;
	}
	start(&rig);
	for (k = 1; k <= 4; k++) {
		sks_fault_clear();
		fault("%s:%d", rules[_i / 2], k);
		(void)rig_echoes(rig.address[0]);
		(void)rig_echoes(rig.address[0]);
		sks_fault_clear();
		ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
	}
	rig_server_stop(&rig);
	ck_assert_int_eq(rig.result, 0);
	ck_assert_uint_eq(rig.stats.accepted, 12);
	ck_assert_uint_eq(rig.stats.finished + rig.stats.refused, 12);
}

/* -- events that cannot be had -- */

TEST(an_event_that_cannot_be_had_costs_one_client_at_most, TIMES(24))
{
	static const char *const errors[] = { "ENOMEM", "ENOSPC" };
	const char *address = transports[_i / 4];
	struct rig_server rig = echo_on(address);
	int k;

	if (_i / 2 % 2 == 1) {
		rig.handler.handle = rig_echo_keep;
		rig.handler.client_first = 1;
	}
	start(&rig);
	for (k = 1; k <= 8; k++) {
		int fd = rig_dial(rig.address[0]);
		struct timeval brief = { .tv_usec = 20000 };
		char got[4];

		sks_fault_clear();
		fault("event_add:%s:%d", errors[_i % 2], k);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
		(void)!send(fd, "one\n", 4, MSG_NOSIGNAL);
		(void)rig_receive(fd, got, 4); /* or an end, or nothing */
		(void)!send(fd, "two\n", 4, MSG_NOSIGNAL);
		(void)rig_receive(fd, got, 4);
		close(fd);
		sks_fault_clear();
		ck_assert_msg(rig_echoes(rig.address[0]), "after event_add:%d on %s", k, address);
	}
	rig_server_stop(&rig);
	ck_assert_int_eq(rig.result, 0);
}

/* A server that cannot begin says so, and can begin later. */
TEST(a_server_without_events_does_not_begin)
{
	static const struct sks_handler handler = { .handle = rig_hello };
	struct sks_options options = { .tick_ms = 1000 };
	struct sks_server *server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	int k;

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(sks_server_listen(server, abstract_stream), 0);
	for (k = 1; k <= 3; k++) {
		sks_fault_clear();
		fault("event_add:ENOMEM:%d", k);
		ck_assert_int_eq(sks_serve_forever(server), -1);
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(sks_server_is_running(server), 0);
	}
	sks_fault_clear();
	ck_assert_int_eq(sks_handle_request(server, 1), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_server_free(server);
}

/* -- listening -- */

FIXTURE(set_up, tear_down);

static int
exists(const char *address)
{
	struct stat st;

	return strchr(address, '/') != NULL && lstat(strchr(address, '/'), &st) == 0;
}

/* Options are a service; of the rest only what asks whether there is IPv6, or which port it was. */
static int
is_no_need(struct sks_server *server, const char *address, const char *call)
{
	if (strcmp(call, "socket") == 0)
		return strcmp(address, ":0") == 0 || strcmp(address, "udp::0") == 0;
	if (strcmp(call, "getsockname") == 0)
		return sks_server_fileno(server, 1) == -1;
	return strcmp(call, "setsockopt") == 0;
}

/* A call that fails when listening gives an error, one line, and leaves nothing; or is not needed. */
TEST(listening_fails_whole, TIMES(10))
{
	static const struct {
		const char *call, *error;
		int number;
	} faults[] = {
		{ "socket", "EMFILE", EMFILE }, { "socket", "EACCES", EACCES },
		{ "bind", "EACCES", EACCES }, { "bind", "EINVAL", EINVAL },
		{ "listen", "EOPNOTSUPP", EOPNOTSUPP }, { "getsockname", "ENOBUFS", ENOBUFS },
		{ "setsockopt", "ENOPROTOOPT", ENOPROTOOPT }, { "fchmod", "EPERM", EPERM },
		{ "lstat", "EIO", EIO }, { "malloc", "ENOMEM", ENOMEM },
		{ "getaddrinfo", "EMFILE", EMFILE },
	};
	static const char *const addresses[] = {
		"127.0.0.1:0", "[::1]:0", ":0", "udp::0", "localhost:0", "udp:127.0.0.1:0",
		unix_stream, unix_dgram, abstract_stream, abstract_dgram,
	};
	static const struct sks_handler handler = { .handle = rig_hello };
	struct sks_options options = { .unix_mode = 0600, .reuse_port = 1 };
	struct sks_server *server = sks_server_new(&handler, &options);
	const char *address = addresses[_i];
	int k, points = 0, descriptors;
	size_t f;

	ck_assert_ptr_nonnull(server);
	if (sks_server_listen(server, address) == -1) { /* a machine without IPv6 */
		ck_assert_ptr_nonnull(strchr(address, '['));
		sks_server_free(server);
		return;
	}
	sks_server_free(server);
	for (f = 0; f < SKS_ARRAY_LEN(faults); f++) {
		for (k = 1;; k++) {
			int rc, error;

			sks_fault_clear();
			server = sks_server_new(&handler, &options);
			ck_assert_ptr_nonnull(server);
			descriptors = open_descriptors();
			log_forget();
			log_keep();
			sks_fault_clear();
			fault("%s:%s:%d", faults[f].call, faults[f].error, k);
			rc = sks_server_listen(server, address);
			error = errno;
			if (sks_fault_hits() == 0) {
				ck_assert_int_eq(rc, 0);
				sks_fault_clear(); /* closing asks whether the file is still ours */
				sks_server_free(server);
				break;
			}
			points++;
			if (rc == -1) {
				ck_assert_msg(error == faults[f].number, "%s: %s:%d: errno is %s", address,
				    faults[f].call, k, strerror(error));
				ck_assert_msg(log_lines() == 1, "%s: %s:%d: %d lines", address,
				    faults[f].call, k, log_lines());
				ck_assert_int_eq(open_descriptors(), descriptors);
				ck_assert_msg(!exists(address), "%s: %s:%d leaves a file", address,
				    faults[f].call, k);
				ck_assert_ptr_null(sks_server_address(server, 0, (char[10]){ 0 }, 10));
			} else {
				ck_assert_msg(is_no_need(server, address, faults[f].call),
				    "%s: %s:%d is passed over", address, faults[f].call, k);
				ck_assert_int_eq(log_lines(), 0);
			}
			sks_fault_clear();
			sks_server_free(server);
			ck_assert_msg(!exists(address), "%s: %s:%d leaves a file in the end", address,
			    faults[f].call, k);
		}
	}
	ck_assert_int_ge(points, 6);
}

TEST(an_inherited_socket_that_cannot_be_used_is_refused)
{
	static const char *const rules[] = { "getsockopt:ENOTSOCK:1", "fcntl:EINVAL:1", "fcntl:EINVAL:2",
		"fcntl:EINVAL:3", "malloc:ENOMEM:1" };
	static const struct sks_handler handler = { .handle = rig_hello };
	struct sks_server *server = sks_server_new(&handler, NULL);
	char address[20];
	size_t i;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	snprintf(address, sizeof(address), "fd:%d", fd);
	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		log_forget();
		log_keep();
		sks_fault_clear();
		fault("%s", rules[i]);
		ck_assert_int_eq(sks_server_listen(server, address), -1);
		ck_assert_int_eq(log_lines(), 1);
		ck_assert_int_ne(fcntl(fd, F_GETFD), -1); /* still the caller's */
	}
	sks_fault_clear();
	ck_assert_int_eq(sks_server_listen(server, address), 0);
	sks_server_free(server);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

TEST(options_of_a_connection_are_no_need, TIMES(TRANSPORTS))
{
	const char *address = transports[_i];
	struct rig_server rig = echo_on(address);
	int k;

	for (k = 1; k <= 4; k++) {
		sks_fault_clear();
		fault("setsockopt:ENOPROTOOPT:%d", k);
		if (rig_server_start(&rig) == -1) {
			ck_assert_int_eq(errno, ENOPROTOOPT); /* SO_REUSEADDR is needed, and says so */
			ck_assert_int_eq(log_count("SO_REUSEADDR"), 1);
			continue;
		}
		ck_assert_int_eq(rig_echoes(rig.address[0]), 1);
		rig_server_stop(&rig);
	}
}
