/* SPDX-License-Identifier: MIT */
/*
 * check_phases.c - the phases of a stop: announced, drained, cut; and what is told of it.
 */
#include "acceptance.h"

#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static int
is_draining(const struct acc *acc)
{
	return atomic_load(&acc->server->service.shared->draining);
}

TEST(a_lame_duck_is_not_ready_and_still_serves, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .lame_duck_ms = 3600 * 1000 };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	ck_assert_int_eq(sks_server_is_ready(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_assert_int_eq(sks_server_is_ready(acc.server), 1);
	kill(getpid(), SIGTERM);
	ck_assert_int_eq(sks_server_is_ready(acc.server), 0);
	ck_eventually(acc.server->state == SKS_LAME_DUCK);
	ck_assert_int_eq(sks_server_is_running(acc.server), 1);
	acc_ask(&acc, "q\nd\n", "draining 0\n");
	kill(getpid(), SIGTERM); /* and it is over */
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

TEST(a_lame_duck_stops_when_its_time_has_come, EACH_MODE)
{
	struct sks_options options = { .lame_duck_ms = 1 };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	acc_stop(&acc);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

/* Nobody is served yet, whom it could be announced to. */
TEST(a_shutdown_before_the_run_has_no_lame_duck, EACH_MODE)
{
	struct sks_options options = { .lame_duck_ms = 3600 * 1000 };
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, &options);
	sks_server_shutdown(acc.server);
	acc_start(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* -- sks_server_drain() -- */

struct drain {
	struct acc acc;
	pthread_t thread;
	int deadline_ms;
	int rc, error;
	struct sks_drain_report report;
};

static void *
drain(void *arg)
{
	struct drain *d = arg;

	d->rc = sks_server_drain(d->acc.server, d->deadline_ms, &d->report);
	d->error = errno;
	return NULL;
}

/* By another thread, which waits for the end. */
static void
begin_drain(struct drain *d)
{
	ck_assert_int_eq(pthread_create(&d->thread, NULL, drain, d), 0);
	ck_eventually(is_draining(&d->acc));
}

static void
end_drain(struct drain *d)
{
	pthread_join(d->thread, NULL);
	acc_join(&d->acc);
	ck_assert_int_eq(d->rc, d->acc.rc);
}

static int
client(const struct acc *acc, const char *text, const char *answer)
{
	int fd = acc_client(acc);

	peer_puts(fd, text);
	peer_expect(fd, answer);
	return fd;
}

TEST(tells_what_became_of_each_request, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .linger_ms = SKS_OFF };
	struct drain d = { .deadline_ms = SKS_OFF };
	int lingers, parked, waits, ends;

	acc_tcp(&d.acc, _i, &acc_script, &options);
	if (d.acc.mode->one_at_a_time) { /* there is only one request to tell of */
		acc_free(&d.acc);
		return;
	}
	acc_start(&d.acc);
	lingers = client(&d.acc, "echo\nd\n", "echo\n");
	ck_eventually(atomic_load(&seen->finishes) == 1);
	parked = client(&d.acc, "echo\nk\n", "echo\n");
	ck_eventually(acc_has_parked(&d.acc, 1));
	waits = client(&d.acc, "w\n", "waiting\n");
	ends = client(&d.acc, "echo\n", "echo\n");
	begin_drain(&d);
	peer_expect_eof(parked);
	peer_puts(ends, "d\n");
	peer_expect_eof(ends);
	kill(getpid(), SIGTERM); /* the first one was the drain */
	peer_expect_eof(waits);
	end_drain(&d);
	close(lingers);
	ck_assert_int_eq(d.rc, 0);
	ck_assert_uint_eq(d.report.ended, 1);
	ck_assert_uint_eq(d.report.parked, 1);
	ck_assert_uint_eq(d.report.cancelled, 1);
	ck_assert_uint_eq(d.report.reset, 1);
	ck_assert_uint_eq(d.report.killed + d.report.running, 0);
	ck_assert_int_eq(log_count("1 ended, 1 closed while parked, 1 cancelled, 1 reset, 0 killed"), 1);
	acc_free(&d.acc);
}

/* It lets every other thread go first: so the run is over before it waits for that. */
static void *
drain_late(void *arg)
{
	static const struct sched_param none;
	struct drain *d = arg;

	ck_assert_int_eq(pthread_setschedparam(pthread_self(), SCHED_IDLE, &none), 0);
	while (!sks_server_is_ready(d->acc.server))
		breathe();
	return drain(d);
}

TEST(who_frees_the_server_waits_for_a_drain, EACH_MODE)
{
	struct drain d = { .deadline_ms = SKS_OFF };
	cpu_set_t all, one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	acc_tcp(&d.acc, _i, &acc_script, NULL);
	ck_assert_int_eq(pthread_create(&d.thread, NULL, drain_late, &d), 0);
	ck_assert_int_eq(sks_serve_forever(d.acc.server), 0);
	sks_server_free(d.acc.server);
	pthread_join(d.thread, NULL);
	ck_assert_int_eq(d.rc, 0);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* Of two threads that drain, one often comes just as the run ends. */
TEST(a_drain_at_the_end_of_a_run_leaves_nothing_to_the_next_one, EACH_MODE)
{
	struct drain d = { .deadline_ms = 5 };
	int i;

	acc_tcp(&d.acc, _i, &acc_script, NULL);
	for (i = 0; i < 200; i++) {
		acc_start(&d.acc);
		while (!sks_server_is_ready(d.acc.server))
			breathe();
		ck_assert_int_eq(pthread_create(&d.thread, NULL, drain, &d), 0);
		ck_assert_int_eq(sks_server_drain(d.acc.server, 5, NULL), 0);
		end_drain(&d);
		ck_assert_int_eq(atomic_load(&d.acc.server->service.shared->stop), 0);
		ck_assert_int_eq(atomic_load(&d.acc.server->drain_ms), SKS_DEFAULT);
	}
	acc_free(&d.acc);
}

TEST(tells_of_those_that_do_not_end, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = acc_be_stubborn };
	struct sks_options options = { .linger_ms = 1 };
	struct drain d = { .deadline_ms = 1 };
	int fd;

	acc_tcp(&d.acc, _i, &handler, &options);
	acc_start(&d.acc);
	fd = acc_client(&d.acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	drain(&d);
	acc_join(&d.acc);
	ck_assert_int_eq(d.rc, -1);
	ck_assert_int_eq(d.error, ETIMEDOUT);
	ck_assert_uint_eq(d.report.killed, d.acc.mode->one_memory ? 0 : 1);
	ck_assert_uint_eq(d.report.running, d.acc.mode->one_memory ? 1 : 0);
	ck_assert_uint_eq(d.report.ended + d.report.parked + d.report.cancelled + d.report.reset, 0);
	atomic_store(&seen->note, 1);
	acc_free(&d.acc);
	peer_expect_gone(fd);
}

static int
drain_myself(struct sks_request *req)
{
	int rc = sks_server_drain(req->server, 1, NULL);

	return sks_printf(req->wfile, "%d %d\n", rc, errno == EDEADLK) == -1 ? -1 : SKS_DONE;
}

/* A handler that has a thread of its own keeps no loop: it would be waited for, and given up. */
TEST(a_handler_is_told_that_it_would_wait_for_itself, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = drain_myself };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	if (acc.mode->mode != SKS_THREADS) {
		acc_start(&acc);
		acc_ask(&acc, "", "-1 1\n");
	}
	acc_free(&acc);
}

TEST(a_server_that_does_not_run_has_nothing_to_drain)
{
	struct sks_drain_report report = { .ended = 1 };
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	ck_assert_int_eq(sks_server_drain(acc.server, SKS_DEFAULT, &report), 0);
	ck_assert_uint_eq(report.ended, 0);
	ck_assert_int_eq(sks_server_drain(acc.server, -5, &report), -1);
	ck_assert_int_eq(errno, EINVAL);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	acc_free(&acc);
}

struct host {
	struct sks_server *server;
	int rc, error;
};

static void
drain_in_callback(evutil_socket_t fd, short what, void *arg)
{
	struct host *host = arg;

	(void)fd;
	(void)what;
	host->rc = sks_server_drain(host->server, SKS_DEFAULT, NULL);
	host->error = errno;
}

TEST(the_base_of_a_host_is_dispatched_meanwhile, EACH_MODE)
{
	static const struct timeval now = { 0, 0 };
	struct event_base *base = event_base_new();
	struct sks_options options = acc_options(&acc_modes[_i], &(struct sks_options){ .base = base, .linger_ms = 1 });
	struct sks_drain_report report;
	struct host host = { 0 };
	char address[160];
	int fd;

	host.server = sks_tcp_server_new("127.0.0.1:0", &acc_script, &options);
	sks_server_address(host.server, 0, address, sizeof(address));
	ck_assert_int_eq(sks_server_start(host.server), 0);
	fd = peer_connect(address);
	peer_puts(fd, "echo\nk\n");
	while (atomic_load(&seen->resting) == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	peer_expect(fd, "echo\n");
	event_base_once(base, -1, EV_TIMEOUT, drain_in_callback, &host, &now);
	while (host.rc == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(host.error, EDEADLK);
	ck_assert_int_eq(sks_server_drain(host.server, 30000, &report), 0);
	ck_assert_uint_eq(report.parked, 1);
	ck_assert_int_eq(sks_server_is_running(host.server), 0);
	peer_expect_eof(fd);
	sks_server_free(host.server);
	event_base_free(base);
}

/* -- deadline_ms -- */

TEST(an_exchange_has_a_deadline, EACH_MODE)
{
	struct sks_options options = { .deadline_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd, i;

	handler.client_first = 1; /* so it finds all its input there */
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	for (i = 0; i < 2; i++) { /* parked it may be for longer */
		peer_puts(fd, "echo\nk\n");
		peer_expect(fd, "echo\n");
		ck_eventually(acc_has_parked(&acc, 1));
	}
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	peer_expect_eof(fd);
	acc_stop(&acc);
	ck_assert_int_eq(seen->waited, ETIMEDOUT);
	acc_free(&acc);
}
