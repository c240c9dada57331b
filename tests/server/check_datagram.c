/* SPDX-License-Identifier: MIT */
/*
 * check_datagram.c - datagrams as requests: their borders and their replies.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* Replies how many bytes came, and whether that was all. */
static int
measure(struct sks_request *req)
{
	char bytes[65536];
	ssize_t n = sks_readn(req->rfile, bytes, sizeof(bytes));

	atomic_fetch_add(&seen->handles, 1);
	return sks_printf(req->wfile, "%zd%s%s\n", n, sks_is_truncated(req) ? " cut" : "",
	    sks_eof(req->rfile) ? "" : " more");
}

static const struct sks_handler measuring = { .handle = measure, .stack_size = 262144 };

static int
be_quiet(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	return SKS_DONE;
}

static const struct sks_handler quiet = { .handle = be_quiet };

TEST(empty_datagram_is_a_request, EACH_DATAGRAM)
{
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &measuring, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_send(fd, "", 0);
	peer_expect(fd, "0\n");
	peer_send(fd, "\0\n", 2);
	peer_expect(fd, "2\n");
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->handles, 2);
}

/* A path may fill its room, without a NUL. */
TEST(a_client_with_the_longest_path_is_answered, EACH_MODE)
{
	struct { /* valgrind looks for a NUL behind the path */
		struct sockaddr_un address;
		char nul;
	} own = { .address.sun_family = AF_UNIX };
	char path[sizeof(own.address.sun_path) + 1] = "";
	union peer_name server;
	socklen_t len;
	struct acc acc;
	int fd, n;

	acc_on(&acc, _i, acc_listen_address(ACC_UNIX_DGRAM), &measuring, NULL);
	acc_start(&acc);
	memset(path, 'x', sizeof(own.address.sun_path));
	n = snprintf(NULL, 0, "%s/", acc_dir);
	memcpy(path, acc_dir, (size_t)n - 1);
	path[n - 1] = '/';
	memcpy(own.address.sun_path, path, sizeof(own.address.sun_path));
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&own.address, sizeof(own.address)), 0);
	len = peer_name(acc.address, &server);
	ck_assert_int_eq(connect(fd, &server.any, len), 0);
	peer_puts(fd, "x");
	peer_expect(fd, "1\n");
	close(fd);
	unlink(path);
	acc_free(&acc);
}

/* Python sends an empty reply always; who writes nothing here answers nothing. */
TEST(empty_reply_is_not_sent, EACH_DATAGRAM)
{
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &quiet, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "hello\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert(peer_is_silent(fd));
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(reply_is_one_datagram, EACH_DATAGRAM)
{
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e1\ne2\ne3\n");
	peer_expect(fd, "e1\ne2\ne3\n");
	peer_puts(fd, "e4\nd\n");
	peer_expect(fd, "e4\n");
	close(fd);
	acc_free(&acc);
}

TEST(large_datagrams_are_whole, EACH_DATAGRAM)
{
	static char bytes[60000];
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &measuring, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_send(fd, bytes, sizeof(bytes));
	peer_expect(fd, "60000\n");
	close(fd);
	acc_free(&acc);
}

TEST(cut_datagram_is_dropped_and_counted, EACH_DATAGRAM)
{
	struct sks_options options = { .max_datagram = 16 };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &measuring, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "0123456789abcdef+");
	peer_puts(fd, "0123456789abcdef");
	peer_expect(fd, "16\n");
	acc_stop(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_uint_eq(acc_stats(&acc).datagrams, 2);
	ck_assert_uint_eq(acc_stats(&acc).truncated, 1);
	ck_assert_uint_eq(acc_stats(&acc).dropped, 1);
	ck_assert_uint_eq(acc_stats(&acc).finished, 1);
	close(fd);
	acc_free(&acc);
}

TEST(cut_datagram_is_a_request_when_asked_for, EACH_DATAGRAM)
{
	struct sks_options options = { .max_datagram = 16, .keep_truncated = 1 };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &measuring, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "0123456789abcdef+");
	peer_expect(fd, "16 cut\n");
	peer_puts(fd, "0123456789abcdef");
	peer_expect(fd, "16\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).truncated, 1);
	ck_assert_uint_eq(acc_stats(&acc).dropped, 0);
	close(fd);
	acc_free(&acc);
}

/*
 * Returns whether each that was sent has been handled or dropped. If not, and the server has
 * nothing to do, one more is sent, with which the kernel tells. A busy server would never catch up.
 */
static int
adds_up(const struct acc *acc, int fd, int *sent)
{
	struct sks_stats stats = acc_stats(acc);

	if (atomic_load(&seen->handles) + (int)stats.dropped == *sent)
		return 1;
	if (stats.active == 0)
		*sent += send(fd, "x", 1, 0) == 1;
	return 0;
}

/* Not with a listener for each loop, where only the first one's queue can be made short here. */
TEST(what_the_kernel_lost_is_counted, TIMES(5))
{
	static const int modes[] = { ACC_FIBERS, ACC_SERIAL, ACC_THREADS, ACC_TWO_LOOPS, ACC_PROCESSES };
	char bytes[500] = "";
	int fd, sent, small = 1;
	struct acc acc;

	acc_on(&acc, modes[_i], acc_listen_address(ACC_UDP), &quiet, NULL);
	ck_assert_int_eq(setsockopt(sks_server_fileno(acc.server, 0), SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small)), 0);
	fd = acc_client(&acc);
	for (sent = 0; sent < 100; sent++)
		ck_assert_int_eq(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	acc_start(&acc);
	ck_eventually(adds_up(&acc, fd, &sent));
	ck_assert_uint_ge(acc_stats(&acc).dropped, 50);
	close(fd);
	acc_free(&acc);
}

/* A dropped one is not what sks_handle_request() was asked for. */
TEST(handle_request_does_not_count_a_dropped_datagram, EACH_DATAGRAM)
{
	struct sks_options options = { .max_datagram = 16 };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &measuring, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "0123456789abcdef+");
	peer_puts(fd, "hello");
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	peer_expect(fd, "5\n");
	close(fd);
	acc_free(&acc);
}

/* One more line than a datagram can hold: EMSGSIZE, and the reply keeps what it had. */
static int
write_too_much(struct sks_request *req)
{
	static char bytes[65536];

	if (sks_puts(req->wfile, "kept\n") == 0 &&
	    sks_write(req->wfile, bytes, sizeof(bytes)) == -1)
		atomic_store(&seen->note, errno);
	return SKS_DONE;
}

TEST(reply_that_is_too_large_is_refused, EACH_DATAGRAM)
{
	static const struct sks_handler handler = { .handle = write_too_much };
	struct acc acc;

	acc_datagrams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", "kept\n");
	ck_assert_int_eq(seen->note, EMSGSIZE);
	acc_free(&acc);
}

static int
tell_peer(struct sks_request *req)
{
	char text[160];

	atomic_fetch_add(&seen->handles, 1);
	return sks_printf(req->wfile, "%s %d\n", sks_peer(req, text, sizeof(text)), req->fd);
}

TEST(unix_client_has_its_own_name, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_peer };
	char own[128], expected[160];
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i * 2 + 1, &handler, NULL);
	acc_start(&acc);
	snprintf(own, sizeof(own), "unix:%s/client", acc_dir);
	fd = peer_datagram(acc.address, own);
	peer_puts(fd, "\n");
	snprintf(expected, sizeof(expected), "%s -1\n", own);
	peer_expect(fd, expected);
	close(fd);
	ck_assert_int_eq(unlink(own + 5), 0);
	acc_free(&acc);
}

/* It can not be answered, and that is no error. */
TEST(unix_client_without_a_name_is_served, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_peer };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i * 2 + 1, &handler, NULL);
	acc_start(&acc);
	fd = peer_datagram(acc.address, "");
	peer_puts(fd, "\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	close(fd);
	acc_stop(&acc);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

static int
answer_later(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		sks_sleep(1);
	return sks_printf(req->wfile, "%s\n", line);
}

/* A client that has gone concerns nobody else. */
TEST(reply_to_nobody_harms_nobody, EACH_DATAGRAM)
{
	static const struct sks_handler handler = { .handle = answer_later };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "gone\n");
	ck_eventually(atomic_load(&seen->handles) == 1);
	close(fd);
	atomic_store(&seen->note, 1);
	ck_eventually(acc_stats(&acc).finished == 1);
	acc_ask(&acc, "here\n", "here\n");
	acc_stop(&acc);
	/* A Unix socket knows at once that nobody is there. */
	ck_assert_uint_eq(acc_stats(&acc).failed, acc.transport == ACC_UDP ? 0 : 1);
	acc_free(&acc);
}

/* Replies come in the order in which handlers end. */
static int
wait_for_turn(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line != NULL && line[0] == '1')
		while (!atomic_load(&seen->note))
			sks_sleep(1);
	return sks_printf(req->wfile, "%s\n", line);
}

TEST(datagrams_do_not_wait_for_each_other, EACH_DATAGRAM)
{
	static const struct sks_handler handler = { .handle = wait_for_turn };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &handler, NULL);
	if (acc.mode->one_at_a_time)
		atomic_store(&seen->note, 1);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "1\n");
	peer_puts(fd, "2\n");
	peer_expect(fd, acc.mode->one_at_a_time ? "1\n" : "2\n");
	atomic_store(&seen->note, 1);
	peer_expect(fd, acc.mode->one_at_a_time ? "2\n" : "1\n");
	close(fd);
	acc_free(&acc);
}

/* Failures that concern one datagram leave the socket as it is. */
TEST(passing_errors_of_the_socket_are_passed_over, EACH_DATAGRAM)
{
	struct acc acc;

	acc_datagrams(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("recvmsg:ECONNREFUSED:1,recvmsg:EINTR:2,recvmsg:ENOBUFS:3"), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\n", "echo\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).datagrams, 1);
	acc_free(&acc);
}

TEST(reply_that_fails_is_told, EACH_DATAGRAM)
{
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("sendmsg:EPERM,sendmsg:EINTR:2,sendmsg:EPERM:3+"), 0);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	sks_fault_clear(); /* a process counts its own calls: each one's first would fail */
	close(fd);
	acc_ask(&acc, "echo\n", "echo\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	ck_assert_int_eq(log_count(strerror(EPERM)), 1);
	acc_free(&acc);
}

/*
 * Until the queue of a Unix client is full, and one reply more. The server's
 * socket can be written all the while, so a wait for that would spin. (A
 * process counts its own calls.)
 */
TEST(reply_waits_for_a_client_that_does_not_read, EACH_MODE_IN_ONE_MEMORY)
{
	struct timespec began, now;
	struct acc acc;
	uint64_t n = 0;
	int fd;

	acc_datagrams(&acc, _i * 2 + 1, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	do {
		ck_assert_uint_lt(n, 10000);
		sks_fault_clear();
		clock_gettime(CLOCK_MONOTONIC, &began);
		peer_puts(fd, "echo\n");
		n++;
		ck_eventually(acc_stats(&acc).finished == n || sks_fault_calls("sendmsg") >= 7);
	} while (acc_stats(&acc).finished == n);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_ge((now.tv_sec - began.tv_sec) * 1000 +
	    (now.tv_nsec - began.tv_nsec) / 1000000, 40); /* 1 + 2 + ... + 32, each up to 1 less */
	ck_assert_uint_gt(n, 1);
	while (n-- > 0)
		peer_expect(fd, "echo\n");
	close(fd);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
}

/* The last try is at the deadline; then the reply is lost, and told. */
TEST(reply_to_a_client_that_never_reads_is_lost, EACH_MODE)
{
	struct sks_options options = { .timeout_ms = 20 };
	struct acc acc;

	acc_datagrams(&acc, _i * 2 + 1, &acc_script, &options);
	ck_assert_int_eq(sks_fault("sendmsg:EAGAIN:1+"), 0);
	acc_start(&acc);
	{
		int fd = acc_client(&acc);

		peer_puts(fd, "echo\n");
		ck_eventually(acc_stats(&acc).finished == 1);
		close(fd);
	}
	acc_stop(&acc);
	sks_fault_clear();
	ck_assert_uint_eq(acc_stats(&acc).failed, 1);
	ck_assert_int_eq(log_count(strerror(ETIMEDOUT)), 1);
	acc_free(&acc);
}

static int
post_to_it(struct sks_request *req)
{
	if (sks_post(req, "x", 1) == -1)
		atomic_store(&seen->note, errno);
	return SKS_DONE;
}

TEST(nothing_can_be_posted_to_a_datagram, EACH_DATAGRAM)
{
	static const struct sks_handler handler = { .handle = post_to_it };
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	close(fd);
	ck_assert_int_eq(seen->note, ENOTSUP);
	acc_free(&acc);
}
