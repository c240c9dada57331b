/* SPDX-License-Identifier: MIT */
/*
 * check_stop.c - who may ask for a shutdown: handlers, hooks, threads, signal handlers.
 * (check_shutdown.c does so again and again; the option stop_signals: check_stop_signals.c.)
 */
#include "acceptance.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

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
