/* SPDX-License-Identifier: MIT */
/*
 * check_last_limits.c - what happens when drain_ms and linger_ms are over: a run ends with 0 when
 * all handlers are through by then, whatever their clients do, in each mode.
 */
#include "acceptance.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static void
shut_down(struct acc *acc)
{
	sks_server_shutdown(acc->server);
	acc_join(acc);
	ck_assert_int_eq(acc->rc, 0);
	ck_assert_uint_eq(acc_stats(acc).active, 0);
}

/* The handler waits for input, is cancelled, and the client never closes. */
TEST(a_silent_client_does_not_make_the_end_fail, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = 1, .linger_ms = 50 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\n");
	peer_expect(fd, "e\n");
	shut_down(&acc);
	ck_assert_int_eq(seen->finishes, 1);
	close(fd);
	acc_free(&acc);
}

/* Nothing is unread, and no hook is due: there is nothing to wait for. */
TEST(a_parked_client_is_not_waited_for, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = SKS_OFF, .linger_ms = SKS_OFF };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = NULL;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e\nk\n");
	peer_expect(fd, "e\n");
	ck_eventually(acc_has_parked(&acc, 1));
	shut_down(&acc);
	peer_expect_eof(fd);
	acc_free(&acc);
}

static void
finish_too_late(struct sks_request *req)
{
	(void)req;
	if (sks_sleep(3600 * 1000) == -1)
		seen->note = errno;
	seen->finishes++;
}

/* It is in finish until the moment when the server closes what is left. */
TEST(a_finish_that_takes_all_its_time_is_in_time, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = 1, .linger_ms = 50 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = finish_too_late;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	shut_down(&acc);
	ck_assert_int_eq(seen->finishes, 1);
	close(fd);
	acc_free(&acc);
}

/* Behind the stream's back, so that nothing waits before the handler is through. */
static int
answer_into_a_full_socket(struct sks_request *req)
{
	static const char block[65536];

	while (send(req->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	return sks_puts(req->wfile, "the last line\n") == -1 ? -1 : SKS_DONE;
}

/* The handler is through, and its output is not: the client reads nothing. */
TEST(unsent_output_does_not_make_the_end_fail, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = answer_into_a_full_socket,
		.finish = acc_finish };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 50 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(seen->finishes == 1);
	shut_down(&acc);
	close(fd);
	acc_free(&acc);
}

static int
is_reset(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

/* All of linger_ms: 60 ms, which another server waits for a silent client, are nothing of it. */
TEST(a_peer_that_still_sends_is_lingered_for, EACH_MODE)
{
	struct sks_options options = { .linger_ms = 30000 }, idle = { .idle_ms = 60 };
	struct acc acc, other;
	int fd, silent;
	char byte;

	acc_tcp(&other, _i, &acc_script, &idle);
	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&other);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\nunread\n");
	ck_assert_int_eq(peer_recv(fd, &byte, 1), 0);
	silent = acc_client(&other);
	while (peer_is_silent(silent)) {
		peer_puts(fd, "x");
		breathe();
	}
	peer_puts(fd, "x"); /* would be answered by a reset */
	ck_assert_int_eq(is_reset(fd), 0);
	close(silent);
	close(fd);
	acc_free(&other);
	acc_free(&acc);
}

/* And no longer: each byte of a peer that never closes is one more, but no more time. */
TEST(bytes_now_and_then_keep_no_lingering_alive, EACH_MODE)
{
	struct sks_options options = { .linger_ms = 50 };
	struct acc acc;
	int fd, tries = 5000;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\nunread\n");
	while (!is_reset(fd) && tries-- > 0) {
		(void)!send(fd, "x", 1, MSG_NOSIGNAL);
		breathe();
	}
	ck_assert_int_ge(tries, 0);
	close(fd);
	acc_free(&acc);
}
