/* SPDX-License-Identifier: MIT */
/*
 * check_handle_request.c - sks_handle_request(): one request at a time.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "server/server.h"

#include <errno.h>
#include <event2/event.h>

FIXTURE(acc_setup, acc_teardown);

TEST(handles_one_request_and_leaves_the_next, EACH_TRANSPORT)
{
	struct acc acc;
	int one, two;

	acc_all(&acc, _i, &acc_script, NULL);
	if (acc.mode->reuse_port) { /* two queues: either may be the first */
		acc_free(&acc);
		return;
	}
	one = acc_client(&acc);
	two = acc_client(&acc);
	peer_puts(one, "echo 1\nd\n");
	peer_puts(two, "echo 2\nd\n");
	peer_half_close(one);
	peer_half_close(two);
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	peer_expect(one, "echo 1\n");
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert(peer_is_silent(two));
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	ck_assert_int_eq(sks_handle_request(acc.server, 60000), 0);
	peer_expect(two, "echo 2\n");
	ck_assert_int_eq(seen->finishes, 2);
	close(one);
	close(two);
	acc_free(&acc);
}

static int
close_address(struct sks_request *req)
{
	acc_require(sks_server_close_address(req->server, "127.0.0.1:0") == 0);
	return SKS_DONE;
}

/* The run ends within the call that accepts. _i: verify closes it, and refuses the client. */
TEST(the_request_may_close_the_address_it_came_by, TIMES(2))
{
	static const struct sks_handler handler = { .handle = close_address };
	struct sks_options options = { .verify = _i ? close_address : NULL };
	struct acc acc;
	int fd;

	acc_on(&acc, ACC_FIBERS, "127.0.0.1:0", &handler, &options);
	fd = acc_client(&acc);
	peer_half_close(fd);
	ck_assert_int_eq(sks_handle_request(acc.server, 60000), 0);
	peer_expect_eof(fd);
	ck_assert_int_eq(sks_server_fileno(acc.server, 0), -1);
	ck_fails(sks_handle_request(acc.server, 0), EINVAL);
	acc_free(&acc);
}

TEST(handle_request_waits_no_longer_than_asked, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	errno = 0;
	ck_assert_int_eq(sks_handle_request(acc.server, 1), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	peer_half_close(fd);
	ck_assert_int_eq(sks_handle_request(acc.server, 60000), 0);
	peer_expect(fd, "echo\n");
	close(fd);
	acc_free(&acc);
}

TEST(handle_request_ends_with_a_shutdown, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	sks_server_shutdown(acc.server);
	errno = 0;
	ck_assert_int_eq(sks_handle_request(acc.server, 60000), -1);
	ck_assert_int_eq(errno, ECANCELED);
	/* What the handler itself asks for comes after its request. */
	fd = acc_client(&acc);
	peer_puts(fd, "echo\ns\nd\n");
	peer_half_close(fd);
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	peer_expect(fd, "echo\n");
	close(fd);
	acc_free(&acc);
}

/* A limit that was set for a run that never was must not outlive it. */
TEST(handle_request_leaves_no_timer_behind, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_handle_request(acc.server, 60000), -1);
	ck_assert_int_eq(errno, ECANCELED);
	ck_assert_int_eq(event_base_loop(options.base, EVLOOP_NONBLOCK), 1); /* no events */
	acc_free(&acc);
	event_base_free(options.base);
}

TEST(handle_request_counts_a_refused_one, EACH_TRANSPORT)
{
	struct sks_options options = { .verify = acc_refuse };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	ck_assert_int_eq(seen->verified, 1);
	ck_assert_int_eq(seen->handles, 0);
	close(fd);
	acc_free(&acc);
}

/* A connection for which there is no memory is gone; the call must not wait for it. */
TEST(handle_request_survives_a_lack_of_memory, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	fd = acc_client(&acc);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	ck_assert_uint_eq(acc_stats(&acc).refused, 1);
	peer_expect_gone(fd);
	acc_free(&acc);
}

static int
accept_all(struct sks_request *req)
{
	(void)req;
	return 1;
}

/* On a thread, where a handler may have a server of its own. */
static int
serve_another(struct sks_request *req)
{
	const struct sks_handler inner = { .name = "inner", .handle = acc_echo_line };
	const struct sks_options options = { .verify = accept_all };
	struct sks_server *server = sks_tcp_server_new("127.0.0.1:0", &inner, &options);
	char address[160];
	int fd;

	if (server == NULL || sks_gets(req->rfile) == NULL)
		return -1;
	fd = peer_connect(sks_server_address(server, 0, address, sizeof(address)));
	peer_puts(fd, "line\n");
	ck_assert_int_eq(sks_handle_request(server, 60000), 0);
	peer_expect(fd, "line\n");
	close(fd);
	sks_server_free(server);
	sks_log(SKS_LOG_INFO, "goes on");
	return sks_puts(req->wfile, "done\n") == -1 ? -1 : SKS_DONE;
}

TEST(a_handler_that_handles_a_request_keeps_its_name_in_the_log)
{
	const struct sks_handler outer = { .name = "outer", .handle = serve_another };
	struct acc acc;

	acc_tcp(&acc, ACC_THREADS, &outer, NULL);
	acc_start(&acc);
	acc_ask(&acc, "a\n", "done\n");
	acc_free(&acc);
	ck_assert_int_eq(log_count("outer: 127.0.0.1:"), 1);
}

/* -- a claim that is given back -- */

static void *
handle_within_a_moment(void *arg)
{
	struct acc *acc = arg;

	acc->rc = sks_handle_request(acc->server, 200);
	acc->error = errno;
	atomic_store(&acc->over, 1);
	return NULL;
}

/* As another loop does. Returns 0 where the call was over before. */
static int
claim_its_request(struct acc *acc)
{
	struct sks_admission *admission = &acc->server->admission;

	while (!sks_admission_claim(admission, &acc->server->workers[0])) {
		if (atomic_load(&acc->over))
			return 0;
		breathe();
	}
	return 1;
}

static void
begin_and_claim(struct acc *acc)
{
	atomic_store(&acc->server->admission.quota, 0); /* as before its first run */
	for (;;) {
		atomic_store(&acc->over, 0);
		atomic_store(&seen->ticks, 0);
		pthread_create(&acc->thread, NULL, handle_within_a_moment, acc);
		if (claim_its_request(acc))
			return;
		pthread_join(acc->thread, NULL);
	}
}

/* With reuse_port another loop claims it for a datagram that it drops, and gives it back. */
TEST(what_another_loop_claims_and_gives_back_takes_no_time_limit_away)
{
	struct sks_options options = { .on_tick = acc_count_tick, .tick_ms = 10 };
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &options);
	begin_and_claim(&acc);
	ck_eventually(atomic_load(&seen->ticks) >= 40); /* the limit has passed */
	sks_admission_unclaim(&acc.server->admission, &acc.server->workers[0]);
	pthread_join(acc.thread, NULL);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	acc_free(&acc);
}

TEST(a_shutdown_amid_a_claim_that_is_given_back_leaves_nothing_served)
{
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	begin_and_claim(&acc);
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining) || atomic_load(&acc.over));
	sks_admission_unclaim(&acc.server->admission, &acc.server->workers[0]);
	sks_loop_wake(acc.server->workers[0].loop);
	pthread_join(acc.thread, NULL);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ECANCELED);
	acc_free(&acc);
}
