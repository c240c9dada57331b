/* SPDX-License-Identifier: MIT */
/*
 * check_stop_signals.c - SIGINT and SIGTERM stop servers that asked for it, and no others: the
 * option stop_signals, and sks_serve().
 */
#include "acceptance.h"
#include "child.h"
#include "faults.h"

#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

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

/* A connection whose handler is through waits for its peer, which does nothing. */
TEST(second_stop_signal_ends_the_lingering, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .linger_ms = SKS_OFF };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	ck_eventually(atomic_load(&seen->finishes) == 1);
	kill(getpid(), SIGTERM);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	kill(getpid(), SIGTERM);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	close(fd);
	acc_free(&acc);
}

static void
finish_when_told(struct sks_request *req)
{
	char *line;

	atomic_fetch_add(&seen->note, 1);
	if (sks_readline(req->rfile, &line) > 0)
		atomic_fetch_add(&seen->note, 1);
}

/* finish has linger_ms for its waits, which here have no end. */
TEST(second_stop_signal_ends_what_finish_may_wait, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .drain_ms = 1, .linger_ms = SKS_OFF };
	struct sks_handler handler = acc_script;
	struct acc acc;
	int fd;

	handler.finish = finish_when_told;
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	kill(getpid(), SIGTERM);
	ck_eventually(atomic_load(&seen->note) == 1); /* handle was cancelled, so the drain is over */
	kill(getpid(), SIGTERM);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	close(fd);
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

#define MOST 32 /* servers that one signal stops */

TEST(one_more_server_with_stop_signals_than_fit_is_refused)
{
	struct sks_options options = { .stop_signals = 1 };
	struct acc acc[MOST], one_more;
	int i;

	for (i = 0; i < MOST; i++) {
		acc_serve(&acc[i], ACC_FIBERS, &acc_script, &options);
		acc_ask(&acc[i], "echo\nd\n", "echo\n");
	}
	acc_serve(&one_more, ACC_FIBERS, &acc_script, &options);
	acc_join(&one_more);
	ck_assert_int_eq(one_more.rc, -1);
	ck_assert_int_eq(one_more.error, ENOBUFS);
	ck_assert_int_eq(log_count("stop_signals: more than 32 servers"), 1);
	acc_stop(&acc[0]);
	acc_start(&one_more); /* in its place */
	acc_ask(&one_more, "echo\nd\n", "echo\n");
	kill(getpid(), SIGTERM);
	acc_join(&one_more);
	ck_assert_int_eq(one_more.rc, 0);
	for (i = 1; i < MOST; i++)
		acc_join(&acc[i]);
	for (i = 0; i < MOST; i++)
		acc_free(&acc[i]);
	acc_free(&one_more);
}

/* A shell has SIGINT ignored for what runs in the background, and so it stays. */
TEST(an_ignored_signal_stays_ignored, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old, now;
	struct acc acc;

	sigaction(SIGINT, &ignore, &old);
	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	kill(getpid(), SIGINT);
	acc_ask(&acc, "q\nd\n", "draining 0\n");
	sigaction(SIGINT, NULL, &now);
	ck_assert_ptr_eq(now.sa_handler, SIG_IGN);
	kill(getpid(), SIGTERM);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	sigaction(SIGINT, &old, NULL);
	acc_free(&acc);
}

/* As a parent may have left it. One that came before is not lost. */
TEST(a_blocked_stop_signal_is_let_through, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1 };
	sigset_t set, old, now;
	struct acc acc;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	acc_tcp(&acc, _i, &acc_script, &options);
	kill(getpid(), SIGTERM);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	ck_assert(sigismember(&now, SIGTERM));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	acc_free(&acc);
}

/* As in a child of a prefork server, which is stopped before it serves. */
TEST(a_stop_signal_that_was_blocked_loses_nobody_in_the_backlog, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .linger_ms = 1 };
	sigset_t set, old;
	struct acc acc;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	acc_tcp(&acc, _i, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	kill(getpid(), SIGTERM);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	acc_free(&acc);
}

/* What becomes of each signal of this process. */
static void
look_at_dispositions(void (*is[NSIG])(int))
{
	struct sigaction action;
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		is[signo] = sigaction(signo, NULL, &action) == 0 ? action.sa_handler : SIG_ERR;
}

/* Those of a broken pipe, and of the limits of file size and processor time. */
static int
tell_defaults(struct sks_request *req)
{
	void (*is[NSIG])(int);

	look_at_dispositions(is);
	return sks_puts(req->wfile, is[SIGPIPE] == SIG_DFL && is[SIGXFSZ] == SIG_DFL &&
		is[SIGXCPU] == SIG_DFL ? "default\n" : "changed\n");
}

TEST(signals_are_left_alone_unless_asked, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_defaults };
	void (*before[NSIG])(int), (*during[NSIG])(int);
	struct acc acc;
	int signo;

	look_at_dispositions(before);
	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "default\n");
	look_at_dispositions(during);
	for (signo = 1; signo < NSIG; signo++)
		ck_assert_ptr_eq(during[signo], before[signo]);
	acc_free(&acc);
}

/* -- as in a program that leaves signals at their defaults; Check has handlers for them -- */

static void
setup_defaults(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	acc_setup();
}

FIXTURE(setup_defaults, acc_teardown);

/* It comes while the program is on its way to its end. */
TEST(a_stop_signal_behind_a_run_kills_nobody, TIMES(ACC_MODES * 2))
{
	struct sks_options options = { .stop_signals = 1, .close_listeners = SKS_OFF };
	int signo = stop_signals[_i % 2];
	struct sigaction now;
	struct acc acc;

	acc_tcp(&acc, _i / 2, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	kill(getpid(), signo);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	kill(getpid(), signo);
	/* A signal is not lost either: the next run ends at once, and not the one after it. */
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
	sigaction(signo, NULL, &now);
	ck_assert_ptr_eq(now.sa_handler, SIG_DFL);
}

/*
 * A loop may answer a client, who sends a signal, while the next one starts. Here the second loop
 * has no thread, and what was caught before shows: it stays so until the server is freed.
 */
TEST(stop_signals_are_caught_before_a_loop_listens)
{
	struct sks_options options = { .stop_signals = 1 };
	struct sigaction now;
	struct acc acc;

	acc_tcp(&acc, ACC_TWO_LISTENERS, &acc_script, &options);
	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN"), 0);
	ck_assert_int_eq(sks_serve_forever(acc.server), -1);
	ck_assert_int_eq(errno, EAGAIN);
	sigaction(SIGTERM, NULL, &now);
	ck_assert_ptr_ne(now.sa_handler, SIG_DFL);
	sks_fault_clear();
	kill(getpid(), SIGTERM);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}

static void *
run_child(void *child)
{
	child_run(child);
	return NULL;
}

static void
serve_and_be_stopped(void *address)
{
	if (sks_serve(address, &acc_script, NULL) == 0)
		raise(SIGTERM);
}

/* sks_serve() is a whole program, which ends when it returns. */
TEST(a_stop_signal_behind_sks_serve_kills_nobody)
{
	struct child child = { .act = serve_and_be_stopped,
		.arg = (void *)(uintptr_t)acc_listen_address(ACC_UNIX) };
	struct acc acc = { .mode = &acc_modes[ACC_FIBERS], .transport = ACC_UNIX };
	pthread_t thread;
	int fd;

	snprintf(acc.address, sizeof(acc.address), "%s", acc_listen_address(ACC_UNIX));
	ck_assert_int_eq(pthread_create(&thread, NULL, run_child, &child), 0);
	ck_eventually((fd = peer_try(acc.address)) != -1);
	peer_puts(fd, "echo\ns\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	pthread_join(thread, NULL);
	ck_assert(child_exited_with(&child, 0));
}

static int
stop_and_be_stubborn(struct sks_request *req)
{
	sks_server_shutdown(req->server);
	while (pause() == -1)
		;
	return SKS_DONE;
}

static void
serve_stubbornly(void *address)
{
	static const struct sks_handler handler = { .name = "stubborn", .handle = stop_and_be_stubborn };
	struct sks_options options = { .mode = SKS_PROCESSES, .drain_ms = 1, .linger_ms = 1 };

	sks_set_log(NULL, NULL);
	_exit(sks_serve(address, &handler, &options));
}

TEST(sks_serve_says_that_requests_were_cut_off)
{
	const char *address = acc_listen_address(ACC_UNIX);
	struct child child = { .act = serve_stubbornly, .arg = (void *)(uintptr_t)address };
	pthread_t thread;
	int fd;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_child, &child), 0);
	ck_eventually((fd = peer_try(address)) != -1);
	pthread_join(thread, NULL);
	ck_assert(child_exited_with(&child, 1));
	ck_assert_msg(strstr(child_said(&child),
		"socketserver: stubborn: serve: some requests did not end in time and were cut off\n") != NULL,
	    "%s", child_said(&child));
	peer_expect_gone(fd);
}
