/* SPDX-License-Identifier: MIT */
/*
 * check_host_base.c - a server on the event_base of its host.
 */
#include "acceptance.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

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

/* The drain looks at the base first, and that is the end of the run. */
TEST(a_drain_behind_a_shutdown_ends_this_run_alone, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_server_drain(acc.server, SKS_DEFAULT, NULL), 0);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	event_base_loop(options.base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(sks_server_is_ready(acc.server), 1);
	ck_assert_int_eq(sks_server_drain(acc.server, SKS_DEFAULT, NULL), 0);
	acc_free(&acc);
	event_base_free(options.base);
}

/* -- a host that leaves its loop by libevent's own calls -- */

static int (*const leave[])(struct event_base *) = { event_base_loopbreak, NULL };

static void
leave_the_loop(evutil_socket_t fd, short what, void *arg)
{
	struct event_base *base = arg;
	int how = atomic_load(&seen->note);

	(void)fd;
	(void)what;
	if (leave[how] != NULL)
		leave[how](base);
	else
		event_base_loopexit(base, NULL);
}

TEST(a_host_that_leaves_its_loop_ends_the_server, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .data = seen,
		.on_stop = note_stop, .linger_ms = 1 };
	struct event *ev;
	struct acc acc;
	int fd, how;

	acc_tcp(&acc, _i, &acc_script, &options);
	ev = event_new(options.base, -1, EV_PERSIST, leave_the_loop, options.base);
	for (how = 0; how < 2; how++) {
		atomic_store(&seen->note, how);
		fd = acc_client(&acc);
		peer_puts(fd, "echo\nk\n");
		event_add(ev, &(struct timeval){ .tv_usec = 20000 });
		ck_assert_int_eq(sks_serve_forever(acc.server), 0);
		event_del(ev);
		ck_assert_int_eq(seen->stops, how + 1);
		ck_assert_int_eq(sks_server_is_running(acc.server), 0);
		peer_expect(fd, "echo\n");
		peer_expect_gone(fd);
	}
	event_free(ev);
	/*
	 * The timer may have left the loop twice, and libevent's debug mode keeps what never
	 * fired.
	 */
	event_base_loop(options.base, EVLOOP_NONBLOCK);
	acc_free(&acc);
	event_base_free(options.base);
}

TEST(a_host_that_leaves_its_loop_ends_the_wait_for_a_request, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .data = seen };
	struct event *ev;
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	atomic_store(&seen->note, 1);
	ev = evtimer_new(options.base, leave_the_loop, options.base);
	event_add(ev, &(struct timeval){ 0 });
	errno = 0;
	ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), -1);
	ck_assert_int_eq(errno, ECANCELED);
	event_free(ev);
	acc_free(&acc);
	event_base_free(options.base);
}

/* -- a server that a handler of another one frees -- */

static struct sks_server *other;

static int
free_the_other(struct sks_request *req)
{
	(void)req;
	sks_server_free(other);
	other = NULL;
	return 0;
}

/* On fibers of one loop, and so on the thread that has made both. */
TEST(a_handler_frees_another_server_of_its_base, TIMES(2))
{
	static const struct sks_handler frees = { .handle = free_the_other };
	struct sks_options options = { .base = event_base_new(), .data = seen };
	struct acc one, two;
	int a, b;

	acc_tcp(&one, _i, &frees, &options);
	acc_tcp(&two, _i, &acc_script, &options);
	other = two.server;
	ck_assert_int_eq(sks_server_start(one.server), 0);
	ck_assert_int_eq(sks_server_start(two.server), 0);
	b = acc_client(&two);
	peer_puts(b, "w\n");
	while (seen->handles < 1)
		turn(options.base);
	peer_expect(b, "waiting\n");
	a = acc_client(&one);
	while (other != NULL)
		turn(options.base);
	two.server = NULL;
	ck_assert_int_eq(seen->waited, ECANCELED);
	peer_expect_gone(b);
	close(a);
	acc_free(&one);
	event_base_free(options.base);
}
