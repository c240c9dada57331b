/* SPDX-License-Identifier: MIT */
/*
 * check_program.c - what a daemon does at its start and at its end.
 */
#include "harness.h"

#include "base/sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <socketserver/host.h>

static int saved[3];

static void
set_up(void)
{
	int fd;

	no_leaks_setup();
	log_keep();
	for (fd = 0; fd < 3; fd++)
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
}

/* Its own, in case the test closed them. */
static void
tear_down(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	log_forget();
	no_leaks_teardown();
}

FIXTURE(set_up, tear_down);

static int
is_null(int fd)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, "/dev/null") == 0;
}

/* Each combination of closed ones, as a bit mask. */
TEST(closed_standard_files_are_filled, TIMES(8))
{
	int fd, before = open_descriptors(), was_null[3], rc, filled[3];

	for (fd = 0; fd < 3; fd++) {
		was_null[fd] = is_null(fd);
		if (_i & (1 << fd))
			close(fd);
	}
	rc = sks_process_fill_standard_files();
	for (fd = 0; fd < 3; fd++)
		filled[fd] = is_null(fd);
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(open_descriptors(), before);
	for (fd = 0; fd < 3; fd++)
		ck_assert_int_eq(filled[fd], (_i & (1 << fd)) != 0 || was_null[fd]);
}

TEST(without_dev_null_that_is_an_error_only_when_it_is_needed)
{
	int rc, error;

	ck_assert_int_eq(sks_fault("open:ENOENT"), 0);
	ck_assert_int_eq(sks_process_fill_standard_files(), 0);
	close(STDIN_FILENO);
	rc = sks_process_fill_standard_files();
	error = errno;
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(error, ENOENT);
}

static void
limit_files(rlim_t soft, rlim_t hard)
{
	struct rlimit limit = { soft, hard };

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static rlim_t
soft_limit(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur;
}

TEST(the_limit_of_open_files_is_raised_as_far_as_may_be)
{
	limit_files(200, 500);
	ck_assert_int_eq(sks_process_raise_open_files(50), 50);
	ck_assert_uint_eq(soft_limit(), 200);
	ck_assert_int_eq(sks_process_raise_open_files(300), 300);
	ck_assert_uint_eq(soft_limit(), 316);
	ck_assert_int_eq(log_lines(), 0);
	ck_assert_int_eq(sks_fault("setrlimit:EPERM"), 0); /* as without privileges */
	ck_assert_int_eq(sks_process_raise_open_files(1000), 484);
	ck_assert_uint_eq(soft_limit(), 500);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count("1000 connections need 1016 open files, but only 500"), 1);
}

TEST(where_it_can_not_be_raised_that_is_said)
{
	limit_files(200, 500);
	ck_assert_int_eq(sks_fault("setrlimit:EPERM:1+"), 0);
	ck_assert_int_eq(sks_process_raise_open_files(300), 184);
	ck_assert_int_eq(log_count("300 connections need 316 open files, but only 200"), 1);
}

static int
hello(struct sks_request *req)
{
	return sks_puts(req->wfile, "hello");
}

TEST(addresses_and_statistics_are_lines)
{
	static const char *const listen[] = { "tcp:127.0.0.1:0", "udp:127.0.0.1:0",
		"unix:@sks-program", "unix-dgram:@sks-program" };
	static const char *const lines[] = { "me: listening on tcp:127.0.0.1:",
		"me: listening on udp:127.0.0.1:", "me: listening on unix:@sks-program-",
		"me: listening on unix-dgram:@sks-program-" };
	struct sks_server *server;
	char address[64];
	int i;

	server = sks_server_new(&(struct sks_handler){ .name = "me", .handle = hello }, NULL);
	ck_assert_ptr_nonnull(server);
	for (i = 0; i < 4; i++) {
		snprintf(address, sizeof(address), "%s%s%.0d", listen[i], i < 2 ? "" : "-",
		    i < 2 ? 0 : (int)getpid());
		ck_assert_int_eq(sks_server_listen(server, address), 0);
	}
	sks_server_log_addresses(server);
	ck_assert_int_eq(log_lines(), 4);
	for (i = 0; i < 4; i++)
		ck_assert_msg(log_count(lines[i]) == 1, "not said: %s", lines[i]);
	sks_server_log_statistics(server);
	ck_assert_int_eq(log_count("me: stopped: 0 connections, 0 datagrams, 0 failed, 0 bytes in, "
				   "0 bytes out"), 1);
	sks_server_free(server);
}

TEST(what_a_parent_left_of_signals_is_undone)
{
	struct sigaction child, interrupt, now;
	sigset_t all, mask;

	sigaction(SIGCHLD, NULL, &child);
	sigaction(SIGINT, NULL, &interrupt);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sks_process_reset_signals();
	pthread_sigmask(SIG_SETMASK, NULL, &all);
	ck_assert(!sigismember(&all, SIGTERM));
	ck_assert(!sigismember(&all, SIGINT));
	ck_assert(!sigismember(&all, SIGUSR1));
	sigaction(SIGCHLD, NULL, &now);
	ck_assert(now.sa_handler == SIG_DFL);
	sigaction(SIGINT, NULL, &now);
	ck_assert(now.sa_handler == SIG_IGN);
	/* As another way to say it. */
	now = (struct sigaction){ .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	sigaction(SIGCHLD, &now, NULL);
	sks_process_reset_signals();
	sigaction(SIGCHLD, NULL, &now);
	ck_assert_int_eq(now.sa_flags & SA_NOCLDWAIT, 0);
	sigaction(SIGCHLD, &child, NULL);
	sigaction(SIGINT, &interrupt, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void
note(int signo)
{
	(void)signo;
}

/* The program's own handler is its own. */
TEST(a_handler_for_children_is_kept)
{
	struct sigaction child, now;

	sigaction(SIGCHLD, NULL, &child);
	signal(SIGCHLD, note);
	sks_process_reset_signals();
	sigaction(SIGCHLD, NULL, &now);
	ck_assert(now.sa_handler == note);
	sigaction(SIGCHLD, &child, NULL);
}
