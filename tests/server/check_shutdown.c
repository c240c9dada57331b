/* SPDX-License-Identifier: MIT */
/*
 * check_shutdown.c - a shutdown asked for by each of its origins, in each
 * mode, again and again: a new server, clients in every state, the shutdown,
 * the end. The server must end in time and with 0, finish must have run as
 * often as setup, and nothing may be left.
 *
 * How often is SKS_CYCLES, 10 when it is not set. The long form, for a build
 * with a sanitizer:
 *
 *     SKS_CYCLES=1000 TSAN_OPTIONS=die_after_fork=0 build-tsan/tests/check_shutdown
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 4

enum origin { HANDLER, OTHER_LOOP, OTHER_THREAD, SIGNAL_HANDLER, BEFORE, ORIGINS };

struct cycle {
	struct acc acc;
	enum origin origin;
	int fd[CLIENTS];
	int settled; /* the clients are where they should be; else the shutdown races with them */
};

static int
cycles(void)
{
	const char *text = getenv("SKS_CYCLES");

	return text != NULL ? atoi(text) : 10;
}

FIXTURE(acc_setup, acc_teardown, .timeout_s = 60 + cycles());

/* -- the handler: its client says what becomes of it -- */

static struct sks_server *to_stop;
static pthread_t first_loop;
static int other_loop;

/*
 * r  rests (SKS_KEEP)
 * w  waits until something ends that
 * s  shuts the server down, and goes on
 * Anything else: reads on.
 */
static int
obey(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		atomic_fetch_add(&seen->handles, 1);
		switch (line[0]) {
		case 'r':
			return SKS_KEEP;
		case 'w':
			sks_sleep(3600 * 1000);
			return SKS_DONE;
		case 's':
			atomic_store(&seen->note, other_loop && !pthread_equal(pthread_self(), first_loop));
			sks_server_shutdown(req->server);
			atomic_store(&seen->stops, 1);
			break;
		}
	}
	return sks_end(req->rfile);
}

static const struct sks_handler obedient = {
	.setup = acc_setup_counted, .handle = obey, .finish = acc_finish };

/* -- origins -- */

static void
on_signal(int signo)
{
	(void)signo;
	sks_server_shutdown(to_stop);
}

static void
shut_down(struct cycle *c, int i)
{
	switch (c->origin) {
	case HANDLER:
	case OTHER_LOOP: /* the second client's, as the loops take turns */
		peer_puts(c->fd[1], "s\n");
		break;
	case SIGNAL_HANDLER:
		if (i % 2 == 0)
			pthread_kill(c->acc.thread, SIGUSR1);
		else
			raise(SIGUSR1);
		break;
	default:
		sks_server_shutdown(c->acc.server);
		if (i % 4 < 2)
			sks_server_shutdown(c->acc.server);
		break;
	}
}

/* -- a cycle -- */

/* One rests, one reads, two wait. */
static void
send_clients(struct cycle *c)
{
	static const char *const say[CLIENTS] = { "r\n", "go\n", "w\n", "w\n" };
	int i;

	for (i = 0; i < CLIENTS; i++) {
		c->fd[i] = acc_client(&c->acc);
		peer_puts(c->fd[i], say[i]);
		if (c->settled)
			ck_eventually(atomic_load(&seen->handles) == i + 1);
	}
}

static void
close_clients(struct cycle *c)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		close(c->fd[i]);
}

static void
play(struct cycle *c, int mode, int i)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };

	atomic_store(&seen->handles, 0);
	atomic_store(&seen->stops, 0);
	atomic_store(&seen->note, 0);
	c->settled = c->origin == OTHER_LOOP ||
	    (i % 3 == 0 && c->origin != BEFORE && acc_modes[mode].mode != SKS_SERIAL);
	acc_streams(&c->acc, mode * 2 + i % 2, &obedient, &options);
	to_stop = c->acc.server;
	other_loop = c->origin == OTHER_LOOP;
	if (c->origin == BEFORE) {
		send_clients(c);
		shut_down(c, i);
		acc_start(&c->acc);
	} else {
		acc_start(&c->acc); /* and no client yet, so the handler finds first_loop set */
		first_loop = c->acc.thread;
		send_clients(c);
		shut_down(c, i);
	}
	if (c->origin == HANDLER || c->origin == OTHER_LOOP)
		ck_eventually(atomic_load(&seen->stops) == 1);
	if (c->origin != BEFORE)
		close_clients(c); /* or the server would wait for them, for linger_ms */
	acc_join(&c->acc);
	ck_assert_msg(c->acc.rc == 0, "cycle %d: %s", i, strerror(c->acc.error));
	if (c->origin == BEFORE) {
		ck_assert_int_eq(atomic_load(&seen->handles), 0);
		close_clients(c);
	}
	ck_assert_int_eq(atomic_load(&seen->note), c->origin == OTHER_LOOP);
	acc_free(&c->acc);
	ck_assert_int_eq(atomic_load(&seen->setups), atomic_load(&seen->finishes));
}

static void
play_all(enum origin origin, int mode)
{
	struct sigaction action = { .sa_handler = on_signal }, old;
	int i, n = cycles(), descriptors = open_descriptors();
	long held = sks_sys_held();
	struct cycle c = { .origin = origin };

	breathe(); /* for signals, as in acc_start() */
	sigaction(SIGUSR1, &action, &old);
	for (i = 0; i < n; i++) {
		play(&c, mode, i);
		ck_assert_int_eq(open_descriptors(), descriptors);
		ck_assert_int_eq(sks_sys_held(), held);
	}
	sigaction(SIGUSR1, &old, NULL);
}

TEST(asked_for_by_a_handler, EACH_MODE)
{
	play_all(HANDLER, _i);
}

/* Where there are two loops, and it is known which gets whom; elsewhere it returns at once. */
TEST(asked_for_by_a_handler_of_another_loop, EACH_MODE)
{
	if (acc_modes[_i].workers > 1 && !acc_modes[_i].reuse_port)
		play_all(OTHER_LOOP, _i);
}

TEST(asked_for_by_another_thread, EACH_MODE)
{
	play_all(OTHER_THREAD, _i);
}

TEST(asked_for_by_a_signal_handler, EACH_MODE)
{
	play_all(SIGNAL_HANDLER, _i);
}

TEST(asked_for_before_it_begins, EACH_MODE)
{
	play_all(BEFORE, _i);
}
