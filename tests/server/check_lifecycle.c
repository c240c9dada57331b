/* SPDX-License-Identifier: MIT */
/*
 * check_lifecycle.c - a server's runs: how they begin, how they are ended and
 * by whom, and what becomes of the requests then.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

/* -- one request at a time: sks_handle_request -- */

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
	ck_assert_int_eq(sks_handle_request(acc.server, 0), 0);
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
	ck_assert_int_eq(sks_handle_request(acc.server, 0), 0);
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
	ck_assert_int_eq(sks_handle_request(acc.server, 0), 0);
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
	ck_assert_int_eq(sks_handle_request(acc.server, 0), 0);
	ck_assert_uint_eq(acc_stats(&acc).refused, 1);
	peer_expect_gone(fd);
	acc_free(&acc);
}

/* -- beginning -- */

TEST(needs_a_listener, EACH_MODE)
{
	struct sks_options options = { 0 };
	struct sks_server *server;

	options = acc_options(&acc_modes[_i], &options);
	server = sks_server_new(&acc_script, &options);
	ck_assert_ptr_nonnull(server);
	errno = 0;
	ck_assert_int_eq(sks_serve_forever(server), -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_int_eq(sks_handle_request(server, 1), -1);
	ck_assert_int_eq(errno, EINVAL);
	sks_server_free(server);
}

static int
serve_inside(struct sks_request *req)
{
	if (sks_serve_forever(req->server) == -1 && errno == EALREADY)
		atomic_fetch_add(&seen->note, 1);
	if (sks_handle_request(req->server, 1) == -1 && errno == EALREADY)
		atomic_fetch_add(&seen->note, 1);
	return sks_puts(req->wfile, sks_server_is_running(req->server) ? "runs\n" : "no\n");
}

TEST(runs_once_at_a_time, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = serve_inside };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", "runs\n");
	ck_assert_int_eq(seen->note, 2);
	acc_free(&acc);
}

TEST(free_of_nothing_is_fine)
{
	sks_server_free(NULL);
}

/* -- the five origins of a shutdown -- */

TEST(shuts_down_from_a_handler, EACH_TRANSPORT)
{
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	/* It goes on: what it writes afterwards arrives. */
	peer_puts(fd, "q\ns\ns\ne after\nd\n");
	peer_half_close(fd);
	if (acc_is_stream(&acc)) {
		peer_expect(fd, "draining 0\ne after\n");
		peer_expect_eof(fd);
	} else {
		peer_expect(fd, "draining 0\ne after\n");
		close(fd);
	}
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

static void
finish_with_shutdown(struct sks_request *req)
{
	sks_server_shutdown(req->server);
	acc_finish_bye(req);
}

TEST(shuts_down_from_finish, EACH_TRANSPORT)
{
	struct sks_handler handler = acc_script;
	struct acc acc;

	handler.finish = finish_with_shutdown;
	acc_all(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "d\n", "bye\n");
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

static void
tick_and_shut_down(struct sks_server *server, void *data)
{
	(void)data;
	if (atomic_fetch_add(&seen->ticks, 1) == 2)
		sks_server_shutdown(server);
}

/* Python's service_actions: once in a while, with requests or without. */
TEST(ticks_and_shuts_down_from_a_tick, EACH_MODE)
{
	struct sks_options options = { .on_tick = tick_and_shut_down, .tick_ms = 1 };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	ck_assert_int_ge(seen->ticks, 3);
	acc_free(&acc);
}

TEST(does_not_tick_when_ticks_are_off, EACH_MODE)
{
	struct sks_options options = { .on_tick = tick_and_shut_down, .tick_ms = SKS_OFF };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	ck_assert_int_eq(seen->ticks, 0);
	acc_free(&acc);
}

static struct sks_server *to_stop;

static void
stop_it(int signo)
{
	int error = errno;

	(void)signo;
	errno = EXDEV;
	sks_server_shutdown(to_stop);
	if (errno == EXDEV)
		atomic_store(&seen->note, 1);
	errno = error;
}

TEST(shuts_down_from_a_signal_handler_which_keeps_errno, EACH_MODE)
{
	struct sigaction action = { .sa_handler = stop_it }, old;
	struct acc acc;
	int i;

	for (i = 0; i < 2; i++) { /* on the loop's thread, then on another one */
		acc_tcp(&acc, _i, &acc_script, NULL);
		to_stop = acc.server;
		sigaction(SIGUSR1, &action, &old);
		acc_start(&acc);
		acc_ask(&acc, "echo\nd\n", "echo\n");
		if (i == 0)
			pthread_kill(acc.thread, SIGUSR1);
		else
			raise(SIGUSR1);
		acc_join(&acc);
		ck_assert_int_eq(acc.rc, 0);
		ck_assert_int_eq(seen->note, 1);
		sigaction(SIGUSR1, &old, NULL);
		acc_free(&acc);
	}
}

static void *
shut_down_often(void *arg)
{
	struct acc *acc = arg;
	int i;

	for (i = 0; i < 100; i++)
		sks_server_shutdown(acc->server);
	return NULL;
}

TEST(shuts_down_from_several_threads_at_once, EACH_MODE)
{
	pthread_t threads[4];
	struct acc acc;
	int i, run;

	acc_tcp(&acc, _i, &acc_script, NULL);
	for (run = 0; run < 20; run++) {
		acc_start(&acc);
		for (i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, shut_down_often, &acc);
		acc_join(&acc);
		ck_assert_int_eq(acc.rc, 0);
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	acc_free(&acc);
}

TEST(shutdown_twice_before_it_runs_ends_one_run, EACH_MODE)
{
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	sks_server_shutdown(acc.server);
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

/* -- draining -- */

TEST(lets_running_requests_end_and_tells_them, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	sks_server_shutdown(acc.server);
	do { /* it is told as soon as the loop has heard of it */
		char answer[16] = { 0 };

		peer_puts(fd, "q\n");
		ck_assert_int_eq(peer_recv(fd, answer, 11), 11);
		if (strcmp(answer, "draining 1\n") == 0)
			break;
	} while (1);
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

/* No more accepting: who connects now waits for the next run. */
TEST(accepts_nobody_while_it_drains, EACH_STREAM)
{
	struct acc acc;
	char answer[16] = { 0 };
	int fd, late;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	sks_server_shutdown(acc.server);
	while (strcmp(answer, "draining 1\n") != 0) {
		peer_puts(fd, "q\n");
		ck_assert_int_eq(peer_recv(fd, answer, 11), 11);
	}
	late = acc_client(&acc);
	peer_puts(late, "echo late\nd\n");
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert(peer_is_silent(late));
	ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	acc_start(&acc);
	peer_expect(late, "echo late\n");
	peer_expect_eof(late);
	acc_free(&acc);
}

TEST(closes_parked_connections_at_once, EACH_STREAM)
{
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

TEST(cancels_waits_when_the_drain_time_is_over, EACH_TRANSPORT)
{
	struct sks_options options = { .drain_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	if (acc_is_stream(&acc))
		peer_expect(fd, "waiting\n");
	else
		ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	if (acc_is_stream(&acc)) {
		peer_expect(fd, "bye\n"); /* finish may still write */
		peer_expect_eof(fd);
	} else {
		peer_expect(fd, "waiting\nbye\n");
		close(fd);
	}
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

/* A read is a wait like others; its handler ends with -1 and ECANCELED. */
TEST(cancels_reads_when_the_drain_time_is_over, EACH_STREAM)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = acc_finish_bye;
	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	sks_server_shutdown(acc.server);
	peer_expect(fd, "bye\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, ECANCELED);
	acc_free(&acc);
}

/* Those that have not begun yet are not begun any more. */
TEST(drops_waiting_connections_when_the_drain_time_is_over, EACH_STREAM)
{
	struct sks_options options = { .max_running = 1, .drain_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int one, two;

	handler.client_first = 1;
	acc_streams(&acc, _i, &handler, &options);
	if (acc.mode->workers > 1) { /* each loop has a place: there is nobody to wait for */
		acc_free(&acc);
		return;
	}
	acc_start(&acc);
	one = acc_client(&acc);
	two = acc_client(&acc);
	ck_eventually(acc_stats(&acc).parked == 2);
	peer_puts(one, "w\n");
	peer_expect(one, "waiting\n");
	peer_puts(two, "echo\nd\n");
	ck_eventually(acc_stats(&acc).active == 2);
	sks_server_shutdown(acc.server);
	peer_expect_eof(one);
	peer_expect_gone(two);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->handles, 1);
	ck_assert_uint_eq(acc_stats(&acc).refused, 1);
	acc_free(&acc);
}

/* Keeps its loop, with all that is on its way there, until the test says so. */
static int
keep_loop(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	atomic_fetch_add(&seen->handles, 1);
	if (line != NULL && line[0] == 'w')
		return sks_sleep(3600 * 1000);
	while (!atomic_load(&seen->note))
		breathe();
	return SKS_DONE;
}

TEST(cancels_what_is_on_its_way_to_another_loop)
{
	static const struct sks_handler handler = { .handle = keep_loop };
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct sks_worker *second;
	struct acc acc;
	int fd[4], i;

	acc_tcp(&acc, ACC_TWO_LOOPS, &handler, &options);
	second = &acc.server->workers[1];
	acc_start(&acc);
	for (i = 0; i < 4; i++) { /* the loops take turns, and the second one does not hear of the last */
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], i == 1 ? "keep\n" : "wait\n");
		if (i < 3)
			ck_eventually(atomic_load(&seen->handles) == i + 1);
	}
	ck_eventually(atomic_load(&second->executor->open) == 2);
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&second->order) == SKS_ORDER_CANCEL);
	for (i = 0; i < 4; i++)
		close(fd[i]);
	atomic_store(&seen->note, 1);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->handles, 4);
	ck_assert_int_eq(seen->errors, 3);
	ck_assert_int_eq(seen->last_error, ECANCELED);
	acc_free(&acc);
}

/* A handler that heeds nothing. */
static int
be_stubborn(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		sks_yield();
	return SKS_DONE;
}

TEST(says_so_when_requests_do_not_end, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = be_stubborn, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(seen->finishes, 0);
	ck_assert_uint_eq(acc_stats(&acc).active, acc.mode->one_memory ? 1 : 0); /* a process was killed */
	if (acc.mode->one_memory)
		atomic_store(&seen->note, 1);
	acc_free(&acc); /* now it ends */
	ck_assert_int_eq(seen->finishes, acc.mode->one_memory);
	peer_expect_gone(fd);
}

/* -- a host's event_base -- */

static void
note_stop(struct sks_server *server, void *data)
{
	(void)server;
	if (data == seen)
		atomic_fetch_add(&seen->stops, 1);
}

TEST(lives_on_the_base_of_a_host, EACH_TRANSPORT)
{
	struct sks_options options = { .base = event_base_new(), .data = seen,
		.on_stop = note_stop };
	struct acc acc;
	int fd, run;

	acc_all(&acc, _i, &acc_script, &options);
	if (acc.mode->reuse_port) { /* its other loop may serve, and stop it, before start returns */
		acc_free(&acc);
		event_base_free(options.base);
		return;
	}
	for (run = 1; run <= 2; run++) {
		fd = acc_client(&acc);
		peer_puts(fd, "echo\ns\nd\n");
		peer_half_close(fd);
		ck_assert_int_eq(sks_server_start(acc.server), 0);
		ck_assert_int_eq(sks_server_is_running(acc.server), 1);
		errno = 0;
		ck_assert_int_eq(sks_server_start(acc.server), -1);
		ck_assert_int_eq(errno, EALREADY);
		/* Returns when there are no events left: the server holds none any more. */
		ck_assert_int_eq(event_base_dispatch(options.base), 1);
		ck_assert_int_eq(seen->stops, run);
		ck_assert_int_eq(sks_server_is_running(acc.server), 0);
		peer_expect(fd, "echo\n");
		close(fd);
	}
	acc_free(&acc);
	event_base_free(options.base);
}

TEST(start_after_a_shutdown_is_over_at_once, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .data = seen,
		.on_stop = note_stop };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	event_base_dispatch(options.base);
	ck_assert_int_eq(seen->stops, 1);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	acc_free(&acc);
	event_base_free(options.base);
}

TEST(start_needs_a_base_and_a_listener, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new() };
	struct sks_server *server;
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	errno = 0;
	ck_assert_int_eq(sks_server_start(acc.server), -1);
	ck_assert_int_eq(errno, EINVAL);
	acc_free(&acc);
	options = acc_options(&acc_modes[_i], &options);
	server = sks_server_new(&acc_script, &options);
	errno = 0;
	ck_assert_int_eq(sks_server_start(server), -1);
	ck_assert_int_eq(errno, EINVAL);
	sks_server_free(server);
	event_base_free(options.base);
}

static void
turn(struct event_base *base)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/*
 * Freed while it serves: connections are reset, requests that wait end before
 * it returns, by ECANCELED; processes are killed, where they are.
 */
TEST(free_stops_a_server_that_runs_on_a_base, EACH_STREAM)
{
	struct sks_options options = { .base = event_base_new(), .data = seen,
		.on_stop = note_stop };
	struct acc acc;
	int running, parked, one_memory;

	acc_streams(&acc, _i, &acc_script, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	parked = acc_client(&acc);
	peer_puts(parked, "k\n");
	while (!acc_has_parked(&acc, 1))
		turn(options.base);
	running = acc_client(&acc);
	peer_puts(running, "w\n");
	while (seen->handles < 2)
		turn(options.base);
	peer_expect(running, "waiting\n");
	one_memory = acc.mode->one_memory;
	acc_free(&acc);
	if (one_memory) {
		ck_assert_int_eq(seen->waited, ECANCELED);
		ck_assert_int_eq(seen->finishes, 2);
	}
	ck_assert_int_eq(seen->stops, 0);
	peer_expect_gone(running);
	peer_expect_gone(parked);
	/* Nothing of it is left in the base. */
	ck_assert_int_eq(event_base_loop(options.base, EVLOOP_NONBLOCK), 1);
	event_base_free(options.base);
}

TEST(two_servers_share_a_base, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .data = seen,
		.on_stop = note_stop };
	struct acc one, two;
	int a, b;

	acc_tcp(&one, _i, &acc_script, &options);
	acc_tcp(&two, _i, &acc_script, &options);
	a = acc_client(&one);
	b = acc_client(&two);
	peer_puts(a, "echo a\ns\nd\n");
	peer_puts(b, "echo b\ns\nd\n");
	peer_half_close(a);
	peer_half_close(b);
	ck_assert_int_eq(sks_server_start(one.server), 0);
	ck_assert_int_eq(sks_server_start(two.server), 0);
	event_base_dispatch(options.base);
	ck_assert_int_eq(seen->stops, 2);
	peer_expect(a, "echo a\n");
	peer_expect(b, "echo b\n");
	close(a);
	close(b);
	acc_free(&one);
	acc_free(&two);
	event_base_free(options.base);
}

/* -- several servers -- */

TEST(two_servers_in_two_threads_do_not_know_each_other, EACH_MODE)
{
	struct acc one, two;

	acc_tcp(&one, _i, &acc_script, NULL);
	acc_tcp(&two, _i, &acc_script, NULL);
	acc_start(&one);
	acc_start(&two);
	acc_ask(&one, "echo 1\nd\n", "echo 1\n");
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_stop(&one);
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_free(&one);
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_free(&two);
}

/* -- stop_signals -- */

static void
on_signal(int signo)
{
	(void)signo;
	atomic_fetch_add(&seen->note, 1);
}

static const int stop_signals[] = { SIGINT, SIGTERM };

TEST(stop_signals_stop_it_and_are_given_back, TIMES(ACC_MODES * 2))
{
	struct sks_options options = { .stop_signals = 1 };
	struct sigaction own = { .sa_handler = on_signal }, old, now;
	int signo = stop_signals[_i % 2];
	struct acc acc;

	sigaction(signo, &own, &old);
	acc_tcp(&acc, _i / 2, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n"); /* so it serves, and has its handlers in place */
	kill(getpid(), signo);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	sigaction(signo, NULL, &now);
	ck_assert_ptr_eq(now.sa_handler, on_signal);
	ck_assert_int_eq(seen->note, 0);
	kill(getpid(), signo);
	ck_assert_int_eq(seen->note, 1);
	sigaction(signo, &old, NULL);
	acc_free(&acc);
}

TEST(second_stop_signal_ends_the_drain, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .drain_ms = SKS_OFF };
	char answer[16] = { 0 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "q\n");
	peer_expect(fd, "draining 0\n");
	kill(getpid(), SIGTERM);
	while (strcmp(answer, "draining 1\n") != 0) {
		peer_puts(fd, "q\n");
		ck_assert_int_eq(peer_recv(fd, answer, 11), 11);
	}
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	kill(getpid(), SIGINT);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	acc_free(&acc);
}

TEST(stop_signal_stops_all_servers_that_asked, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1 };
	struct acc asked[2], other;
	int i;

	for (i = 0; i < 2; i++) {
		acc_tcp(&asked[i], _i, &acc_script, &options);
		acc_start(&asked[i]);
		acc_ask(&asked[i], "echo\nd\n", "echo\n");
	}
	acc_tcp(&other, _i, &acc_script, NULL);
	acc_start(&other);
	kill(getpid(), SIGTERM);
	for (i = 0; i < 2; i++) {
		acc_join(&asked[i]);
		ck_assert_int_eq(asked[i].rc, 0);
		acc_free(&asked[i]);
	}
	acc_ask(&other, "echo\nd\n", "echo\n");
	acc_free(&other);
}

TEST(signals_are_left_alone_unless_asked, EACH_MODE)
{
	struct sigaction before, during;
	struct acc acc;

	sigaction(SIGTERM, NULL, &before);
	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	sigaction(SIGTERM, NULL, &during);
	ck_assert_ptr_eq(during.sa_handler, before.sa_handler);
	sigaction(SIGPIPE, NULL, &during);
	ck_assert_ptr_eq(during.sa_handler, SIG_DFL);
	acc_free(&acc);
}

/* -- when things break -- */

TEST(ends_when_its_last_listener_has_failed, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	if (acc.mode->reuse_port && acc.transport == ACC_TCP) { /* one of two: the other goes on */
		acc_free(&acc);
		return;
	}
	ck_assert_int_eq(sks_fault("accept4:EBADF:1"), 0);
	acc_start(&acc);
	fd = acc_client(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, EBADF);
	ck_assert_int_eq(log_count("listener"), 1);
	close(fd);
	acc_free(&acc);
}

TEST(passes_over_clients_that_went_away, EACH_STREAM)
{
	struct acc acc;

	acc_streams(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("accept4:ECONNABORTED:1,accept4:EINTR:2,accept4:EPERM:3"), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).refused, 2);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	acc_free(&acc);
}

TEST(waits_a_little_when_descriptors_run_out, EACH_STREAM)
{
	static const char *const rules[] = { "accept4:EMFILE:1", "accept4:ENFILE:1",
		"accept4:ENOBUFS:1", "accept4:ENOMEM:1" };
	struct acc acc;
	size_t i;

	for (i = 0; i < 4; i++) {
		acc_streams(&acc, _i, &acc_script, NULL);
		ck_assert_int_eq(sks_fault(rules[i]), 0);
		acc_start(&acc);
		acc_ask(&acc, "echo\nd\n", "echo\n");
		ck_assert_int_eq(log_count("accept: "), (int)i + 1);
		ck_assert_uint_le(sks_fault_calls("accept4"), 8);
		acc_free(&acc);
		sks_fault_clear();
	}
}

TEST(reports_when_it_cannot_begin, EACH_MODE)
{
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("event_add:ENOMEM:1"), 0);
	errno = 0;
	ck_assert_int_eq(sks_serve_forever(acc.server), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}
