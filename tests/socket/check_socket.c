/* SPDX-License-Identifier: MIT */
/*
 * check_socket.c - socket objects: their life, connections, options and addresses; in a thread and
 * on a fiber.
 */
#include "base/sys.h"
#include "base/util.h"
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

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
	sks_socket_settimeout(s, SKS_OFF);
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

/* And what the caller gave stays the caller's, as it was. */
TEST_ON_BOTH(without_means_there_is_no_pair_and_no_socket_of_a_descriptor)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), k;
	struct sks_socket *pair[2];

	fault("socketpair:EMFILE");
	ck_fails(sks_socket_pair(SOCK_STREAM, pair), EMFILE);
	for (k = 1; k <= 2; k++) {
		sks_fault_clear();
		fault("malloc:ENOMEM:%d", k);
		ck_fails(sks_socket_pair(SOCK_STREAM, pair), ENOMEM);
		ck_assert_ptr_null(pair[0]);
		ck_assert_ptr_null(pair[1]);
	}
	sks_fault_clear();
	fault("malloc:ENOMEM");
	ck_assert_ptr_null(sks_socket_fromfd(fd));
	ck_assert_int_eq(errno, ENOMEM);
	sks_fault_clear();
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
	ck_assert_ptr_null(sks_socket_fromfd(fd));
	ck_assert_int_eq(errno, EBADF);
}

static const char *const nuisances[] = {
	"recv:EINTR:%2,send:EINTR:%2,accept4:EINTR:%2,connect:EINTR,poll:EINTR:%2",
	"recv:EAGAIN:%2,send:EAGAIN:%2,accept4:EAGAIN:%2",
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
	ck_fails(sks_address_parse("[fe80::1%none]:80", &addr, &len), ENOENT);
	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "unix:/", 6);
	buf[sizeof(buf) - 1] = '\0';
	ck_fails(sks_address_parse(buf, &addr, &len), ENAMETOOLONG);
}

/* With MSG_WAITALL a stream waits for all bytes, up to its time limit or the end of input. */
TEST_ON_BOTH(receives_all_that_was_asked_for)
{
	struct sks_socket *pair[2];
	char got[9] = "";

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "eight...", 8, 0), 0);
	ck_assert_int_eq(sks_fault("recv:short=3"), 0);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, 0), 3);
	ck_assert_int_eq(sks_socket_recv(pair[0], got + 3, 5, MSG_WAITALL), 5);
	ck_assert_str_eq(got, "eight...");
	sks_fault_clear();
	ck_assert_int_eq(sks_socket_settimeout(pair[0], 1), 0);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "two", 3, 0), 0);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), 3);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "end", 3, 0), 0);
	ck_assert_int_eq(sks_socket_shutdown(pair[1], SHUT_WR), 0);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), 3);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), 0);
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
}

/* The kernel tells of a reset only once. */
TEST_ON_BOTH(a_reset_behind_some_bytes_is_told_by_the_next_call)
{
	struct sks_socket *pair[2];
	char got[8];

	ck_assert_int_eq(sks_socket_pair(SOCK_STREAM, pair), 0);
	ck_assert_int_eq(sks_socket_sendall(pair[1], "two", 3, 0), 0);
	sks_socket_free(pair[1]);
	ck_assert_int_eq(sks_fault("recv:ECONNRESET:2"), 0);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), 3);
	ck_fails(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), ECONNRESET);
	ck_assert_int_eq(sks_socket_recv(pair[0], got, 8, MSG_WAITALL), 0);
	sks_socket_free(pair[0]);
}
