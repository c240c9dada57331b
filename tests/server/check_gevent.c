/* SPDX-License-Identifier: MIT */
/*
 * check_gevent.c - what gevent's test__server asks of a server, in every mode. The comment above a
 * test names its model.
 */
#include "acceptance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_line };

/* TestTCP, backlog */
TEST(backlog_is_the_option, EACH_STREAM)
{
	struct sks_options options = { .backlog = 3 };
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct acc acc;
	int fd[10], n = 0;

	acc_streams(&acc, _i, &echo, &options);
	if (acc.transport == ACC_TCP) {
		memset(&info, 0, sizeof(info));
		ck_assert_int_eq(getsockopt(sks_server_fileno(acc.server, 0), IPPROTO_TCP,
		    TCP_INFO, &info, &len), 0);
		ck_assert_uint_eq(info.tcpi_sacked, 3); /* of a listener: its backlog */
	} else {
		while (n < 10 && (fd[n] = peer_try(acc.address)) != -1)
			n++;
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_int_eq(n, 4); /* Linux holds one more */
	}
	while (n > 0)
		close(fd[--n]);
	acc_free(&acc);
}

TEST(a_backlog_that_the_system_shortens_is_told, EACH_STREAM)
{
	struct sks_options options = { .backlog = INT_MAX }, none = { 0 };
	struct acc acc;

	acc_streams(&acc, _i, &echo, &none);
	ck_assert_int_eq(log_count("somaxconn"), 0);
	acc_free(&acc);
	acc_streams(&acc, _i, &echo, &options);
	ck_assert_int_eq(log_count("net.core.somaxconn shortens the backlog from 2147483647 to "), 1);
	acc_free(&acc);
}

/* A socket that listens before the server has started. */
TEST(requests_queue_before_it_runs, EACH_TRANSPORT)
{
	struct acc acc;
	int fd[3], i;

	acc_all(&acc, _i, &echo, NULL);
	for (i = 0; i < 3; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "early\n");
	}
	ck_assert_int_eq(seen->handles, 0);
	ck_assert_uint_eq(acc_stats(&acc).accepted + acc_stats(&acc).datagrams, 0);
	acc_start(&acc);
	for (i = 0; i < 3; i++) {
		peer_expect(fd[i], "early\n");
		close(fd[i]);
	}
	acc_free(&acc);
}

TEST(serves_again_after_a_shutdown, EACH_TRANSPORT)
{
	struct acc acc;
	int fd, i;

	acc_all(&acc, _i, &echo, NULL);
	for (i = 0; i < 3; i++) {
		acc_start(&acc);
		acc_ask(&acc, "hello\n", "hello\n");
		acc_stop(&acc);
		ck_assert_int_eq(seen->handles, 2 * i + 1);

		/* Between two runs: it waits, as before the first. */
		fd = acc_client(&acc);
		peer_puts(fd, "between\n");
		ck_assert(peer_is_silent(fd));
		acc_start(&acc);
		peer_expect(fd, "between\n");
		close(fd);
		acc_stop(&acc);
	}
	acc_free(&acc);
}

/* Python's waits for a run to begin, gevent's too; ours needs no other thread. */
TEST(shutdown_before_it_runs_ends_the_next_run_at_once, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &echo, NULL);
	fd = acc_client(&acc);
	peer_puts(fd, "hello\n");
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	ck_assert_int_eq(seen->handles, 0);
	acc_start(&acc); /* and only that one */
	peer_expect(fd, "hello\n");
	close(fd);
	acc_free(&acc);
}

/* The client's socket is closed when the handler returns: nobody else holds it. */
TEST(connection_ends_with_its_handler, EACH_STREAM)
{
	struct acc acc;
	int fd, before;

	acc_streams(&acc, _i, &acc_script, NULL);
	before = open_descriptors();
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	ck_eventually(open_descriptors() == before);
	acc_free(&acc);
}

/* A full pool: not accepted; accepted when there is room again. */
TEST(accepts_no_more_than_max_connections, EACH_STREAM)
{
	struct sks_options options = { .max_connections = 2 };
	struct acc acc;
	int fd[4], i;

	acc_streams(&acc, _i, &acc_script, &options);
	if (acc.mode->reuse_port) { /* two queues: not the first two, and for a moment three */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	for (i = 0; i < 4; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "echo\n");
	}
	peer_expect(fd[0], "echo\n");
	if (!acc.mode->one_at_a_time) {
		peer_expect(fd[1], "echo\n");
		ck_assert_uint_eq(acc_stats(&acc).accepted, 2);
	}
	for (i = 0; i < 4; i++) {
		peer_puts(fd[i], "d\n");
		if (i >= 2 || (i > 0 && acc.mode->one_at_a_time))
			peer_expect(fd[i], "echo\n");
		ck_assert_uint_le(acc_stats(&acc).accepted, (unsigned int)i + 2);
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 4);
}

TEST(runs_no_more_than_max_running, EACH_STREAM)
{
	struct sks_options options = { .max_running = 2 };
	struct acc acc;
	int fd[5], i, most;

	acc_streams(&acc, _i, &acc_script, &options);
	if (acc.mode->reuse_port) { /* each loop has a place, and may get all */
		acc_free(&acc);
		return;
	}
	most = acc.mode->one_at_a_time ? 1 : 2;
	acc_start(&acc);
	for (i = 0; i < 5; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "echo\n");
		if (i < most)
			peer_expect(fd[i], "echo\n");
	}
	for (i = 0; i < 5; i++) {
		if (i >= most)
			peer_expect(fd[i], "echo\n");
		ck_assert_int_le(seen->setups, seen->finishes + most);
		peer_puts(fd[i], "d\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 5);
}

/* One datagram at a time where the mode says so: the others wait in the kernel. */
TEST(datagrams_wait_for_a_free_place, EACH_DATAGRAM)
{
	struct sks_options options = { .max_running = 1, .drain_ms = 1 };
	struct acc acc;
	int one, two;

	acc_datagrams(&acc, _i, &acc_script, &options);
	if (acc.mode->workers > 1) { /* each loop has a place */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	one = acc_client(&acc);
	two = acc_client(&acc);
	peer_puts(one, "w\n");
	ck_eventually(atomic_load(&seen->handles) == 1);
	peer_puts(two, "echo\n");
	ck_assert_uint_eq(acc_stats(&acc).datagrams, 1);
	ck_assert(peer_is_silent(two));
	acc_stop(&acc); /* ends the first, by ECANCELED */
	ck_assert_int_eq(seen->waited, ECANCELED);
	peer_expect(one, "waiting\n");
	acc_start(&acc);
	peer_expect(two, "echo\n");
	acc_free(&acc);
	close(one);
	close(two);
}
