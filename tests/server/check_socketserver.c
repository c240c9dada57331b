/* SPDX-License-Identifier: MIT */
/*
 * check_socketserver.c - what Python's test_socketserver asks of a server, in every mode and over
 * every transport. The comment above a test names its model.
 */
#include "base/sys.h"
#include "acceptance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_line };

static void
assert_bound_where_it_says(const struct acc *acc)
{
	union peer_name said, real;
	socklen_t len = sizeof(real), said_len = peer_name(acc->address, &said);

	ck_assert_int_eq(getsockname(sks_server_fileno(acc->server, 0), &real.any, &len), 0);
	ck_assert_uint_eq(len, said_len);
	ck_assert_int_eq(memcmp(&said, &real, len), 0);
}

/*
 * TCPServer, UDPServer, UnixStreamServer, UnixDatagramServer, with Threading*
 * and Forking* by the mode: three clients, one after another.
 */
TEST(echoes_to_three_clients, EACH_TRANSPORT)
{
	struct acc acc;
	int i, fd;

	acc_all(&acc, _i, &echo, NULL);
	assert_bound_where_it_says(&acc);
	acc_start(&acc);
	for (i = 0; i < 3; i++)
		acc_ask(&acc, "hello world\n", "hello world\n");
	acc_stop(&acc);
	ck_assert_int_eq(seen->handles, 3);
	fd = sks_server_fileno(acc.server, 0);
	acc_free(&acc);
	errno = 0;
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(log_lines(), 0);
}

/* Twenty clients are connected at the same time. */
TEST(echoes_to_clients_at_once, EACH_TRANSPORT)
{
	struct acc acc;
	int fd[20], i;

	acc_all(&acc, _i, &echo, NULL);
	acc_start(&acc);
	for (i = 0; i < 20; i++)
		fd[i] = acc_client(&acc);
	for (i = 0; i < 20; i++)
		peer_puts(fd[i], "hello\n");
	for (i = 0; i < 20; i++) {
		peer_expect(fd[i], "hello\n");
		close(fd[i]);
	}
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 20);
}

/* test_shutdown */
TEST(stops_although_it_has_just_been_started, EACH_MODE)
{
	struct acc accs[20];
	int i;

	for (i = 0; i < 20; i++) {
		acc_tcp(&accs[i], _i, &echo, NULL);
		acc_start(&accs[i]);
	}
	for (i = 0; i < 20; i++)
		acc_stop(&accs[i]);
	for (i = 0; i < 20; i++)
		acc_free(&accs[i]);
}

/* test_close_immediately */
TEST(can_be_freed_without_having_served, EACH_TRANSPORT)
{
	struct acc acc;

	acc_all(&acc, _i, &echo, NULL);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

/* test_tcpserver_bind_leak */
TEST(failing_to_bind_leaks_nothing)
{
	int before = open_descriptors(), taken, i;
	struct acc acc;

	for (i = 0; i < 1024; i++) {
		errno = 0;
		ck_assert_ptr_null(sks_tcp_server_new("127.0.0.1:-1", &echo, NULL));
		ck_assert_int_eq(errno, EINVAL);
	}
	ck_assert_int_eq(open_descriptors(), before);
	acc_tcp(&acc, 0, &echo, NULL);
	taken = open_descriptors();
	for (i = 0; i < 1024; i++) {
		errno = 0;
		ck_assert_ptr_null(sks_tcp_server_new(acc.address, &echo, NULL));
		ck_assert_int_eq(errno, EADDRINUSE);
	}
	ck_assert_int_eq(open_descriptors(), taken);
	acc_free(&acc);
	ck_assert_int_eq(open_descriptors(), before);
}

/* test_context_manager: leaving its scope closes the socket. */
TEST(free_closes_the_socket, EACH_TRANSPORT)
{
	struct acc acc;
	int fd, other;

	acc_all(&acc, _i, &echo, NULL);
	fd = sks_server_fileno(acc.server, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
	acc_free(&acc);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	/* gevent, refused after stop. */
	if (acc_is_stream(&acc)) {
		other = peer_try(acc.address);
		ck_assert_int_eq(other, -1);
		ck_assert(errno == ECONNREFUSED || errno == ENOENT);
	}
}

/* ErrorHandlerTest: test_sync_handled, test_threading_handled, test_forking_handled */
TEST(error_reaches_on_error_once, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	if (acc_is_stream(&acc))
		peer_expect_eof(fd); /* it is shut down all the same */
	else {
		ck_eventually(acc_stats(&acc).finished == 1);
		close(fd);
	}
	acc_stop(&acc);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

/*
 * ErrorHandlerTest: test_sync_not_handled and its kin. A handler that raises
 * SystemExit there asks for the server's end; here it shuts the server down.
 */
TEST(ending_the_server_is_no_error, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "s\nd\n");
	if (acc_is_stream(&acc))
		peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->errors, 0);
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(log_lines(), 0);
	if (!acc_is_stream(&acc))
		close(fd);
	acc_free(&acc);
}

/* handle_error of Python prints; ours is one line with handler, peer and reason. */
TEST(error_is_one_line_without_a_hook, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	if (acc_is_stream(&acc))
		peer_expect_eof(fd);
	else
		ck_eventually(acc_stats(&acc).finished == 1);
	acc_stop(&acc);
	if (!acc_is_stream(&acc))
		close(fd);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count("script: "), 1);
	ck_assert_int_eq(log_count(strerror(EPROTO)), 1);
	if (acc.transport == ACC_TCP || acc.transport == ACC_UDP)
		ck_assert_int_eq(log_count("script: 127.0.0.1:"), 1);
	else
		ck_assert_int_eq(log_count("script: unix:"), 1);
	acc_free(&acc);
}

/* gevent: an error in spawn or in a handler does not kill the server. */
TEST(serves_on_after_errors, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int i, fd;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	for (i = 0; i < 10; i++) {
		fd = acc_client(&acc);
		peer_puts(fd, "f\n");
		if (acc_is_stream(&acc))
			peer_expect_eof(fd);
		else
			close(fd);
		ck_eventually(atomic_load(&seen->errors) == i + 1); /* on whichever loop */
		acc_ask(&acc, "echo\nd\n", "echo\n");
	}
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 10);
}

/* SocketWriterTest: test_basics, and that what is written is seen without a flush. */
static int
tell_peer(struct sks_request *req)
{
	union peer_name peer;
	socklen_t len = sizeof(peer);
	char text[160], *line;

	if (getpeername(req->fd, &peer.any, &len) == 0 && len == req->peer_len &&
	    memcmp(&peer, req->peer, len) == 0)
		atomic_fetch_add(&seen->note, 1);
	sks_printf(req->wfile, "%s\n", sks_peer(req, text, sizeof(text)));
	return (int)sks_readline(req->rfile, &line);
}

TEST(descriptor_is_the_connection_and_output_is_seen, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = tell_peer };
	union peer_name name;
	socklen_t len = sizeof(name);
	struct acc acc;
	char text[64];
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(getsockname(fd, &name.any, &len), 0);
	if (acc.transport == ACC_TCP)
		snprintf(text, sizeof(text), "127.0.0.1:%d\n",
		    ntohs(((struct sockaddr_in *)&name.storage)->sin_port));
	else
		snprintf(text, sizeof(text), "unix:\n");
	peer_expect(fd, text);
	peer_puts(fd, "seen\n");
	peer_expect_eof(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->note, 1);
}

/* SocketWriterTest: test_write */
#define MUCH (8 * 1024 * 1024 + 1)

static void
on_usr1(int signo)
{
	(void)signo;
	atomic_fetch_add(&seen->note, 1);
}

static int
write_much(struct sks_request *req)
{
	int small = 65536;
	char *much = malloc(MUCH);
	int rc, i;

	setsockopt(req->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (much == NULL)
		return -1;
	for (i = 0; i < MUCH; i++)
		much[i] = (char)(i % 251);
	rc = sks_write(req->wfile, much, MUCH);
	free(much);
	return rc;
}

static void *
storm(void *arg)
{
	struct acc *acc = arg;

	while (atomic_load(&seen->finishes) == 0) {
		pthread_kill(acc->thread, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

TEST(big_write_is_complete_under_a_storm_of_signals, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = write_much, .finish = acc_finish };
	struct sigaction action = { .sa_handler = on_usr1 }, old; /* no SA_RESTART */
	struct acc acc;
	pthread_t thread;
	size_t n, i;
	char *all;
	int fd;

	sigaction(SIGUSR1, &action, &old);
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	ck_assert_int_eq(pthread_create(&thread, NULL, storm, &acc), 0);
	ck_eventually(atomic_load(&seen->note) > 0);
	fd = acc_client(&acc);
	all = peer_read_all(fd, &n);
	ck_assert_uint_eq(n, MUCH);
	for (i = 0; i < n && all[i] == (char)(i % 251); i++)
		;
	ck_assert_uint_eq(i, MUCH);
	free(all);
	close(fd);
	pthread_join(thread, NULL);
	acc_free(&acc);
	sigaction(SIGUSR1, &old, NULL);
	ck_assert_int_eq(log_lines(), 0);
}

/* MiscTestCase: test_shutdown_request_called_if_verify_request_false */
TEST(refused_request_is_shut_down_once_and_not_handled, EACH_TRANSPORT)
{
	struct sks_options options = { .verify = acc_refuse };
	unsigned long closed;
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	closed = sks_fault_calls("close");
	fd = acc_client(&acc);
	if (!acc_is_stream(&acc))
		peer_puts(fd, "echo\n");
	ck_eventually(acc_stats(&acc).refused == 1);
	if (acc_is_stream(&acc)) {
		peer_expect_eof(fd);
		acc_stop(&acc);
		ck_assert_uint_eq(sks_fault_calls("shutdown"), 1);
		ck_assert_uint_eq(sks_fault_calls("close"), closed + 1);
		ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	} else {
		acc_stop(&acc);
		ck_assert(peer_is_silent(fd));
		close(fd);
		ck_assert_uint_eq(acc_stats(&acc).datagrams, 1);
		ck_assert_uint_eq(acc_stats(&acc).dropped, 1);
	}
	ck_assert_int_eq(seen->verified, 1);
	ck_assert_int_eq(seen->setups + seen->handles + seen->finishes, 0);
	ck_assert_uint_eq(acc_stats(&acc).finished, 0);
	acc_free(&acc);
}

/* MiscTestCase: test_threads_reaped */
TEST(keeps_nothing_of_requests_that_ended, EACH_TRANSPORT)
{
	struct sks_stats stats;
	struct acc acc;
	int i, before;

	acc_all(&acc, _i, &echo, NULL);
	before = open_descriptors();
	acc_start(&acc);
	for (i = 0; i < 10; i++)
		acc_ask(&acc, "hello\n", "hello\n");
	ck_eventually(acc_stats(&acc).finished == 10);
	stats = acc_stats(&acc);
	ck_assert_uint_eq(stats.active + stats.parked + stats.lingering, 0);
	ck_assert_int_eq(open_descriptors(), before);
	acc_free(&acc);
}
