/* SPDX-License-Identifier: MIT */
/*
 * check_activation.c - sockets passed by a service manager: LISTEN_FDS and its
 * kin, right and wrong. Each test is a process of its own, where descriptors
 * from 3 on are free to be taken.
 */
#include "harness.h"
#include "peer.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <socketserver/host.h>

#define MOST 5

static struct sks_server *server;

static int tells_options;

static int
tell_option(struct sks_request *req, int level, int option)
{
	int on = -1;
	socklen_t len = sizeof(on);

	getsockopt(req->fd, level, option, &on, &len);
	return on;
}

static int
hello(struct sks_request *req)
{
	if (tells_options)
		return sks_printf(req->wfile, "no delay: %d, keepalive: %d",
		    tell_option(req, IPPROTO_TCP, TCP_NODELAY), tell_option(req, SOL_SOCKET, SO_KEEPALIVE));
	return sks_puts(req->wfile, "hello");
}

/*
 * In place of passed sockets before and between tests, so that nothing else gets their numbers,
 * files of Check neither.
 */
__attribute__((constructor)) static void
fill_numbers(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	for (i = 0; i < MOST; i++)
		if (null != 3 + i)
			dup2(null, 3 + i);
	if (null >= 3 + MOST)
		close(null);
}

/* A server whose own descriptors are not among the numbers. */
static void
make_server(const struct sks_options *options)
{
	int i;

	server = sks_server_new(&(struct sks_handler){ .handle = hello }, options);
	ck_assert_ptr_nonnull(server);
	for (i = 0; i < MOST; i++)
		close(3 + i);
}

static void
set_up(void)
{
	no_leaks_setup();
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	log_keep();
	make_server(NULL);
}

static void
tear_down(void)
{
	sks_server_free(server);
	fill_numbers();
	log_forget();
	no_leaks_teardown();
}

FIXTURE(set_up, tear_down);

/* A socket at that number, without FD_CLOEXEC, as a service manager passes it. */
static void
pass(int fd, int type, int listening)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int made = socket(AF_INET, type, 0);

	ck_assert_int_ne(made, -1);
	if (made != fd) {
		ck_assert_int_eq(dup2(made, fd), fd);
		close(made);
	}
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	if (listening)
		ck_assert_int_eq(listen(fd, 5), 0);
}

static void
environment(const char *fds, const char *names)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", fds, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
}

static void
listens_on(const char *name, int first, int n)
{
	int i;

	ck_assert_msg(sks_server_listen_inherited(server, name) == 0, "%s: %s", name,
	    strerror(errno));
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(sks_server_fileno(server, (unsigned int)i), first + i);
		ck_assert_int_eq(fcntl(first + i, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	}
	ck_assert_int_eq(sks_server_fileno(server, (unsigned int)n), -1);
}

static void
refused(const char *name, int error, const char *words)
{
	int lines = log_lines();

	errno = 0;
	ck_assert_msg(sks_server_listen_inherited(server, name) == -1, "it was taken");
	ck_assert_msg(errno == error, "%s", strerror(errno));
	ck_assert_int_eq(log_lines(), lines + 1);
	ck_assert_msg(log_count(words) > 0, "nothing of: %s", words);
	ck_assert_int_eq(sks_server_fileno(server, 0), -1);
}

TEST(all_that_were_passed_are_listened_on)
{
	char address[64];
	int fd;

	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_DGRAM, 0);
	environment("2", NULL);
	listens_on(NULL, 3, 2);
	fd = peer_connect(sks_server_address(server, 0, address, sizeof(address)));
	peer_half_close(fd); /* no lingering */
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, "hello");
	peer_expect_eof(fd);
}

TEST(those_of_a_name_are_listened_on)
{
	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_STREAM, 1);
	pass(5, SOCK_STREAM, 1);
	environment("3", "a:web:web");
	refused("we", ENOENT, "systemd:we: no socket of that name was passed");
	refused("web:web", ENOENT, "no socket of that name");
	listens_on("web", 4, 2);
	ck_assert_int_eq(fcntl(3, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC); /* nor do others inherit it */
	ck_assert_int_eq(sks_server_listen_inherited(server, "a"), 0);
	ck_assert_int_eq(sks_server_fileno(server, 2), 3);
}

TEST(without_names_all_are_unknown)
{
	pass(3, SOCK_STREAM, 1);
	environment("1", NULL);
	refused("web", ENOENT, "no socket of that name");
	listens_on("unknown", 3, 1);
}

TEST(the_same_is_not_taken_twice)
{
	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_STREAM, 1);
	environment("2", "a:b");
	listens_on("a", 3, 1);
	ck_assert_int_eq(sks_server_listen_inherited(server, ""), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(log_count("listen on fd:3: it is listened on already"), 1);
	ck_assert_int_eq(sks_server_fileno(server, 1), -1);
}

/* Or it would be closed twice, the second time when it is somebody else's. */
TEST(a_descriptor_is_not_taken_twice)
{
	struct sks_server *other = sks_server_new(&(struct sks_handler){ .handle = hello }, NULL);
	char address[16];
	int i;

	ck_assert_ptr_nonnull(other);
	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_DGRAM, 0);
	for (i = 3; i <= 4; i++) {
		snprintf(address, sizeof(address), "fd:%d", i);
		ck_assert_int_eq(sks_server_listen(server, address), 0);
		errno = 0;
		ck_assert_int_eq(sks_server_listen(server, address), -1);
		ck_assert_int_eq(errno, EBUSY);
		errno = 0;
		ck_assert_int_eq(sks_server_listen(other, address), -1);
		ck_assert_int_eq(errno, EBUSY);
	}
	ck_assert_int_eq(log_count("listen on fd:3: it is listened on already"), 2);
	ck_assert_int_eq(log_count("listen on fd:4: it is listened on already"), 2);
	/* Nor is one that a server has opened itself. */
	ck_assert_int_eq(sks_server_listen(server, "127.0.0.1:0"), 0);
	snprintf(address, sizeof(address), "fd:%d", sks_server_fileno(server, 2));
	ck_assert_int_eq(sks_server_listen(other, address), -1);
	ck_assert_int_eq(errno, EBUSY);
	/* Once it is closed the number is another's. */
	sks_server_free(server);
	server = other;
	pass(3, SOCK_STREAM, 1);
	ck_assert_int_eq(sks_server_listen(server, "fd:3"), 0);
}

TEST(none_is_said)
{
	refused("", ENOENT, "systemd: no sockets were passed");
	setenv("LISTEN_FDS", "1", 1);
	refused("", ENOENT, "systemd: no sockets were passed");
}

TEST(those_of_another_process_are_left_alone)
{
	pass(3, SOCK_STREAM, 1);
	environment("1", NULL);
	setenv("LISTEN_PID", "1", 1);
	refused("", ENOENT, "LISTEN_PID=1: not for this one");
	ck_assert_int_eq(fcntl(3, F_GETFD) & FD_CLOEXEC, 0);
	setenv("LISTEN_PID", "", 1);
	refused("", EINVAL, "LISTEN_PID=: not a process");
	setenv("LISTEN_PID", "-1", 1);
	refused("", EINVAL, "LISTEN_PID=-1: not a process");
}

TEST(a_wrong_number_is_refused, TIMES(8))
{
	static const char *const wrong[] = { "", "0", "-1", "x", "1x", " 1", "99999999999999999999",
		"2147483647" };

	pass(3, SOCK_STREAM, 1);
	environment(wrong[_i], NULL);
	refused("", EINVAL, "not a number of sockets");
}

TEST(more_than_there_are_is_refused, TIMES(2))
{
	static const char *const wrong[] = { "2", "1000000000" };

	pass(3, SOCK_STREAM, 1);
	environment(wrong[_i], NULL);
	refused("", EBADF, "descriptor 4: Bad file descriptor");
}

TEST(names_must_be_as_many)
{
	pass(3, SOCK_STREAM, 1);
	environment("1", "a:b");
	refused("a", EINVAL, "LISTEN_FDNAMES=a:b: not a name for each of LISTEN_FDS");
}

TEST(what_is_no_listening_socket_is_refused)
{
	char words[80];

	pass(3, SOCK_STREAM, 1);
	environment("2", "good:bad");
	pass(4, SOCK_STREAM, 0);
	refused("", EINVAL, "listen on fd:4: neither a listening stream socket nor a datagram "
			    "socket");
	close(4);
	ck_assert_int_eq(open("/dev/null", O_RDONLY), 4);
	snprintf(words, sizeof(words), "listen on fd:4: %s", strerror(ENOTSOCK));
	refused("", ENOTSOCK, words);
	listens_on("good", 3, 1);
}

/* -- what comes over them -- */

static const char *const passed_as[] = { "fd:3", "systemd:" };

/*
 * A reply of two writes would wait for an acknowledgement of the first, and a client that is gone
 * would stay for ever.
 */
TEST(their_connections_have_the_options_that_others_have, EACH_OF(passed_as))
{
	char text[64];
	int fd;

	tells_options = 1;
	pass(3, SOCK_STREAM, 1);
	environment("1", NULL);
	if (_i == 0)
		ck_assert_int_eq(sks_server_listen(server, passed_as[_i]), 0);
	else
		ck_assert_int_eq(sks_server_listen_inherited(server, ""), 0);
	fd = peer_connect(sks_server_address(server, 0, text, sizeof(text)));
	peer_half_close(fd);
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, "no delay: 1, keepalive: 1");
	peer_expect_eof(fd);
}

/* -- and what stands before their address -- */

TEST(a_prefix_is_for_all_sockets_of_the_name)
{
	struct sks_options options = { .proxy_from = "127.0.0.1" };
	char address[100];
	int fd;

	sks_server_free(server);
	fill_numbers();
	make_server(&options);
	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_STREAM, 1);
	environment("2", "web:web");
	listens_on("proxy:web", 3, 2);
	ck_assert_ptr_nonnull(sks_server_listen_address(server, 1, address, sizeof(address)));
	ck_assert_int_eq(strncmp(address, "proxy:127.0.0.1:", 16), 0);
	fd = peer_connect(address + 6);
	peer_puts(fd, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
	peer_half_close(fd);
	ck_assert_int_eq(sks_handle_request(server, 10000), 0);
	peer_expect(fd, "hello");
	peer_expect_eof(fd);
}

TEST(a_prefix_needs_connections_and_what_goes_with_it,
    .left_out = WITH_TLS ? NULL : "the library has no TLS")
{
	struct sks_options options = { .proxy_from = "127.0.0.1" };

	pass(3, SOCK_STREAM, 1);
	environment("1", "web");
	refused("tls:web", EINVAL, "there is no certificate for it");
	refused("proxy:tls:", EINVAL, "there is no certificate for it");
	refused("tls:else", ENOENT, "systemd:else: no socket of that name was passed");
	sks_server_free(server);
	fill_numbers();
	make_server(&options);
	pass(3, SOCK_STREAM, 1);
	pass(4, SOCK_DGRAM, 0);
	environment("2", "web:web");
	refused("proxy:web", EINVAL,
	    "listen on proxy:fd:4: proxy: is for connections, not for datagrams");
}
