/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <socketserver/server.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define MOST_FDS 1024
#define MOST_SIGNALS 65
#define MOST_LINES 256

int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
is_slow(void)
{
	return SANITIZED || RUNNING_ON_VALGRIND;
}

void
breathe(void)
{
	poll(NULL, 0, 1);
}

/* -- what there was before -- */

static char was_open[MOST_FDS];
static int threads;
static struct sigaction actions[MOST_SIGNALS];
static sigset_t mask;

int
count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int
open_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void *
tell_id(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

/* ThreadSanitizer starts a thread of its own with the first one of ours. */
static void
have_first_thread(void)
{
	char path[64];
	pthread_t thread;
	pid_t id;

	ck_assert_int_eq(pthread_create(&thread, NULL, tell_id, &id), 0);
	pthread_join(thread, NULL);
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)id);
	ck_eventually(access(path, F_OK) == -1); /* it is in /proc for a moment longer */
}

void
no_leaks_setup(void)
{
	int i;

	have_first_thread();
	sks_fault_clear();
	for (i = 0; i < MOST_FDS; i++)
		was_open[i] = (char)is_open(i);
	for (i = 1; i < MOST_SIGNALS; i++)
		sigaction(i, NULL, &actions[i]);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	threads = count_entries("/proc/self/task");
}

/* Check itself may open a file meanwhile, valgrind keeps its own out of sight. */
static int
is_of_check(const char *target)
{
	return strncmp(target, "/tmp/check_", 11) == 0 || strncmp(target, "/tmp/#", 6) == 0;
}

static void
check_descriptors(void)
{
	char path[64], target[128];
	ssize_t n;
	int i;

	for (i = 0; i < MOST_FDS; i++) {
		if (is_open(i) == was_open[i])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (n > 0 && is_of_check(target))
			continue;
		ck_abort_msg("descriptor %d was %s: %s", i, was_open[i] ? "closed" : "left open",
		    target);
	}
}

static void
check_signals(void)
{
	struct sigaction now;
	sigset_t now_mask;
	int i;

	for (i = 1; i < MOST_SIGNALS; i++) {
		memset(&now, 0, sizeof(now));
		if (sigaction(i, NULL, &now) == -1)
			continue;
		ck_assert_msg(now.sa_handler == actions[i].sa_handler,
		    "the disposition of signal %d was changed", i);
	}
	pthread_sigmask(SIG_BLOCK, NULL, &now_mask);
	for (i = 1; i < MOST_SIGNALS; i++)
		ck_assert_msg(sigismember(&now_mask, i) == sigismember(&mask, i),
		    "signal %d was %s", i, sigismember(&mask, i) ? "let through" : "blocked");
}

static void
check_children(void)
{
	siginfo_t info;
	int rc;

	memset(&info, 0, sizeof(info));
	do {
		rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
	} while (rc == -1 && errno == EINTR);
	ck_assert_msg(rc == -1 && errno == ECHILD, info.si_pid != 0 ?
		"a child was not waited for: %d" : "a child still runs (%d)", (int)info.si_pid);
}

void
no_leaks_teardown(void)
{
	sks_fault_clear();
	sks_set_log(NULL, NULL);
	check_descriptors();
	/* A thread that was joined is in /proc for a moment longer. */
	ck_eventually(count_entries("/proc/self/task") == threads);
	check_children();
	check_signals();
}

/* -- the log -- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char *lines[MOST_LINES];
static int nlines;

static void
keep_line(const char *line, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&log_lock);
	if (nlines < MOST_LINES)
		lines[nlines++] = strdup(line);
	pthread_mutex_unlock(&log_lock);
}

void
log_keep(void)
{
	log_forget();
	sks_set_log(keep_line, NULL);
}

void
log_forget(void)
{
	pthread_mutex_lock(&log_lock);
	while (nlines > 0)
		free(lines[--nlines]);
	pthread_mutex_unlock(&log_lock);
}

int
log_count(const char *text)
{
	int i, n = 0;

	pthread_mutex_lock(&log_lock);
	for (i = 0; i < nlines; i++)
		n += strstr(lines[i], text) != NULL;
	pthread_mutex_unlock(&log_lock);
	return n;
}

int
log_lines(void)
{
	return log_count("");
}
