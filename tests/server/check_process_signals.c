/* SPDX-License-Identifier: MIT */
/*
 * check_process_signals.c - the signals of child processes: what they find of their host's, and how
 * their waits are cancelled.
 */
#include "acceptance.h"

#include "tools.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static void
note_signal(int signo)
{
	seen->note = signo;
}

/* Number and what becomes of it here: its default, ignored or caught. */
static int
tell_signals(struct sks_request *req)
{
	struct sigaction action;
	char *line = sks_gets(req->rfile);
	sigset_t mask;
	int signo = line != NULL ? atoi(line) : 0;

	sigaction(signo, NULL, &action);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sks_printf(req->wfile, "%s%s\n",
	    action.sa_handler == SIG_DFL ? "default" :
	    action.sa_handler == SIG_IGN ? "ignored" : "caught",
	    sigismember(&mask, signo) ? " blocked" : "");
}

TEST(what_the_host_catches_now_is_the_default_in_a_child)
{
	static const struct sks_handler handler = { .handle = tell_signals };
	const int signals[] = { SIGUSR1, SIGCHLD, SIGSEGV, SIGRTMIN + 3 };
	const int to_stop[] = { SIGINT, SIGHUP, SIGTERM };
	struct sigaction before;
	struct acc acc;
	char text[16];
	size_t i;

	acc_serve(&acc, ACC_PROCESSES, &handler, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(text, sizeof(text), "%d\n", signals[i]);
		sigaction(signals[i], NULL, &before); /* a sanitizer's, perhaps */
		signal(signals[i], SIG_DFL);
		acc_ask(&acc, text, "default\n");
		signal(signals[i], note_signal);
		acc_ask(&acc, text, "default\n");
		signal(signals[i], SIG_IGN);
		acc_ask(&acc, text, "ignored\n");
		sigaction(signals[i], &before, NULL);
	}
	/* Those end its waits; but what the host ignores the server alone may send. */
	for (i = 0; i < sizeof(to_stop) / sizeof(to_stop[0]); i++) {
		snprintf(text, sizeof(text), "%d\n", to_stop[i]);
		sigaction(to_stop[i], NULL, &before);
		signal(to_stop[i], SIG_DFL);
		acc_ask(&acc, text, "caught\n");
		signal(to_stop[i], SIG_IGN);
		acc_ask(&acc, text, to_stop[i] == SIGTERM ? "caught\n" : "ignored\n");
		sigaction(to_stop[i], &before, NULL);
	}
	acc_free(&acc);
}

#define BURST 4

static unsigned int burst_end; /* so many have been served then */

static void
shut_down_after_burst(struct sks_server *server, void *data)
{
	struct sks_stats stats;

	(void)data;
	sks_server_stats(server, &stats);
	if (stats.finished == burst_end)
		sks_server_shutdown(server);
}

/*
 * Serves clients that wait in the backlog, one after the other. Each asks what this signal does in
 * its child process.
 */
static void
serve_burst(struct acc *acc, int signo)
{
	char text[16];
	int i, fd[BURST];

	snprintf(text, sizeof(text), "%d\n", signo);
	for (i = 0; i < BURST; i++) {
		fd[i] = acc_client(acc);
		peer_puts(fd[i], text);
	}
	burst_end += BURST;
	ck_assert_int_eq(sks_serve_forever(acc->server), 0);
	for (i = 0; i < BURST; i++) {
		peer_expect(fd[i], "default\n");
		peer_expect_eof(fd[i]);
	}
}

static int
catch_and_verify(struct sks_request *req)
{
	(void)req;
	signal(SIGURG, seen->verified++ % BURST == 0 ? SIG_DFL : note_signal);
	return 1;
}

/* The hook changes what is caught between two children of one burst. */
TEST(what_a_hook_catches_is_the_default_in_a_child, TIMES(2))
{
	static const struct sks_handler handler = { .handle = tell_signals };
	struct sks_options options = {
		.linger_ms = 1, /* the clients close when all are served */
		.on_tick = shut_down_after_burst,
		.tick_ms = 1,
	};
	struct acc acc;

	if (_i)
		options.verify = catch_and_verify;
	acc_tcp(&acc, ACC_PROCESSES, &handler, &options);
	signal(SIGUSR1, note_signal);
	serve_burst(&acc, SIGUSR1);
	signal(SIGUSR2, note_signal);
	serve_burst(&acc, SIGUSR2);
	if (_i)
		serve_burst(&acc, SIGURG);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	signal(SIGURG, SIG_DFL);
	acc_free(&acc);
}

/* -- what cancels them -- */

/* A client of this server waits in its handler. */
static void
expect_cancelled(struct acc *acc, int fd)
{
	peer_expect(fd, "waiting\n");
	sks_server_shutdown(acc->server);
	peer_expect_eof(fd);
	acc_join(acc);
	ck_assert_int_eq(acc->rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(seen->finishes, 1);
}

TEST(cancels_waits_when_the_drain_time_is_over)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	expect_cancelled(&acc, fd);
	acc_free(&acc);
}

static int
never_end(struct sks_request *req)
{
	sks_puts(req->wfile, "here\n");
	sks_flush(req->wfile);
	while (1)
		pause();
	return SKS_DONE;
}

/* What it calls may have its own way with signals. */
static int
wait_deaf(struct sks_request *req)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGTERM, &ignore, NULL);
	sks_puts(req->wfile, "waiting\n");
	if (sks_sleep(3600 * 1000) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

TEST(cancels_waits_that_no_signal_ends)
{
	static const struct sks_handler handler = { .handle = wait_deaf, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	fd = acc_client(&acc);
	expect_cancelled(&acc, fd);
	acc_start(&acc); /* that was the end of one run, not of the next */
	fd = acc_client(&acc);
	peer_expect(fd, "waiting\n");
	close(fd);
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, 2);
}

static int
sleep_long(void *arg)
{
	(void)arg;
	if (sks_sleep(3600 * 1000) == -1)
		atomic_store(&seen->waited, errno);
	return 0;
}

static void *
take_signals(void *told)
{
	atomic_store((atomic_int *)told, (int)gettid());
	while (1)
		poll(NULL, 0, -1);
	return NULL;
}

/*
 * Waits in the way that the first letter says, and answers with the process that is to be stopped.
 */
static int
wait_in_a_way(struct sks_request *req)
{
	char *way = sks_gets(req->rfile);
	atomic_int to_tell = gettid();
	struct sks_child *child = NULL;
	pthread_t thread;

	if (way[0] == 'c') {
		child = sks_go(sleep_long, NULL);
	} else if (way[0] == 't') {
		atomic_store(&to_tell, 0);
		pthread_create(&thread, NULL, take_signals, &to_tell);
		while (atomic_load(&to_tell) == 0)
			sched_yield();
	}
	sks_printf(req->wfile, "%d %d\n", (int)getpid(), (int)atomic_load(&to_tell));
	sks_flush(req->wfile);
	if (child == NULL)
		sleep_long(NULL);
	else if (sks_child_join(child, NULL) == -1 && errno == ECANCELED)
		while (atomic_load(&seen->waited) == 0)
			sched_yield(); /* the child was told, too, by nobody else */
	return SKS_DONE;
}

/*
 * While it waits itself, or in a thread it has started; without a descriptor; beside a foreign
 * thread: but ThreadSanitizer keeps a signal from a thread that a forked child has started.
 */
TEST(a_signal_cancels_one_child, TIMES(SKS_TSAN ? 3 : 4))
{
	static const struct sks_handler handler = { .handle = wait_in_a_way, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1 };
	char text[] = { "wcft"[_i], '\n', '\0' }, line[64];
	int fd, other, pid, tid;
	struct acc acc;
	size_t n = 0;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	other = acc_client(&acc);
	peer_puts(other, "w\n");
	ck_eventually(acc_stats(&acc).active == 1);
	if (text[0] == 'f')
		ck_assert_int_eq(sks_fault("eventfd:EMFILE:1+"), 0);
	fd = acc_client(&acc);
	peer_puts(fd, text);
	do
		ck_assert_int_eq((int)peer_recv(fd, line + n, 1), 1);
	while (line[n++] != '\n');
	line[n] = '\0';
	ck_assert_int_eq(sscanf(line, "%d %d", &pid, &tid), 2);
	ck_assert_int_eq(syscall(SYS_tgkill, pid, tid, SIGTERM), 0);
	peer_expect_gone(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	if (text[0] == 'f')
		ck_eventually(log_count("killed by signal 15") == 1);
	else {
		ck_assert_int_eq(seen->waited, ECANCELED);
		ck_assert_int_eq(seen->finishes, 1);
	}
	ck_assert_uint_eq(acc_stats(&acc).active, 1);
	close(other);
	acc_free(&acc);
}

TEST(freeing_kills_what_does_not_end)
{
	static const struct sks_handler handler = { .handle = never_end };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	fd = acc_client(&acc);
	peer_expect(fd, "here\n");
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	acc_free(&acc);
	peer_expect_gone(fd);
}
