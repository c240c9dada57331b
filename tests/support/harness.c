/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include "base/sys.h"
#include "tools.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <socketserver/log.h>

#define MOST_FDS 1024
#define MOST_SIGNALS 65
#define MOST_LINES 256

int
is_slow(void)
{
	return SKS_ASAN || SKS_TSAN || RUNNING_ON_VALGRIND;
}

void
fault(const char *format, ...)
{
	char rules[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(rules, sizeof(rules), format, ap);
	va_end(ap);
	ck_assert_msg(sks_fault(rules) == 0, "%s", rules);
}

void
limit_child(unsigned int seconds)
{
	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
}

int
is_asleep(pid_t thread)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(file);
	return state == 'S';
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

/* -- libevent's memory, which no fault of ours is meant for -- */

static atomic_long held_by_libevent;
static long held;

static void *
get_for_libevent(size_t n)
{
	void *block = malloc(n);

	if (block != NULL)
		atomic_fetch_add(&held_by_libevent, 1);
	return block;
}

static void *
resize_for_libevent(void *old, size_t n)
{
	if (old == NULL)
		return get_for_libevent(n);
	return realloc(old, n);
}

static void
free_of_libevent(void *block)
{
	if (block != NULL)
		atomic_fetch_sub(&held_by_libevent, 1);
	free(block);
}

static void
on_nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* With SKS_TEST_LIBEVENT_DEBUG in the environment libevent looks for misuse. Its table stays. */
static void
watch_libevent(void)
{
	struct event ev;

	if (getenv("SKS_TEST_LIBEVENT_DEBUG") == NULL)
		return;
	event_enable_debug_mode();
	event_assign(&ev, NULL, -1, 0, on_nothing, NULL);
	event_debug_unassign(&ev);
}

void
no_leaks_setup(void)
{
	int i;

	event_set_mem_functions(get_for_libevent, resize_for_libevent, free_of_libevent);
	watch_libevent();
	held = sks_sys_held() + atomic_load(&held_by_libevent);
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

long
memory_kept(void)
{
	return sks_sys_held() + atomic_load(&held_by_libevent) - held;
}

static void
check_memory(void)
{
	long more = memory_kept();

	ck_assert_msg(more == 0, "%ld blocks of memory, %s", more,
	    more > 0 ? "not given back" : "given back once too often");
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

void
expect_signals_of_faults_only(const sigset_t *of_thread)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	size_t n = sizeof(faults) / sizeof(faults[0]), k;
	int i;

	for (i = 1; i < 32; i++) {
		if (i == SIGKILL || i == SIGSTOP)
			continue;
		for (k = 0; k < n && faults[k] != i; k++)
			;
		ck_assert_msg(sigismember(of_thread, i) == (k == n), "signal %d is %s", i,
		    k == n ? "let through" : "blocked");
	}
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
	/*
	 * One that nobody waits for any more has memory until it ends; and one that
	 * was joined is in /proc for a moment longer.
	 */
	ck_eventually(count_entries("/proc/self/task") == threads);
	check_descriptors();
	check_memory();
	check_children();
	check_signals();
}

/* -- the log -- */

/*
 * In memory that children share, since what they log is read as well. A lock
 * would stay locked in a child forked meanwhile, so each line takes a place of
 * its own, and is there when its length is.
 */
struct kept_line {
	atomic_int length;
	char text[252];
};

static struct kept_log {
	atomic_int taken;
	struct kept_line lines[MOST_LINES];
} *kept;

static void
keep_line(const struct sks_log_record *record, void *arg)
{
	struct kept_log *log = arg;
	int i = atomic_fetch_add(&log->taken, 1), n;

	if (i >= MOST_LINES)
		return;
	n = snprintf(log->lines[i].text, sizeof(log->lines[i].text), "%s", record->line);
	atomic_store(&log->lines[i].length, n);
}

void
log_keep(void)
{
	log_forget();
	if (kept == NULL)
		kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	ck_assert_ptr_ne(kept, MAP_FAILED);
	sks_set_log(keep_line, kept);
}

void
log_forget(void)
{
	if (kept != NULL)
		memset(kept, 0, sizeof(*kept));
}

int
log_count(const char *text)
{
	int i, n = 0;

	for (i = 0; i < MOST_LINES; i++)
		n += atomic_load(&kept->lines[i].length) > 0 &&
		    strstr(kept->lines[i].text, text) != NULL;
	return n;
}

int
log_count_error(const char *text, int error)
{
	char line[200];

	snprintf(line, sizeof(line), "%s%s", text, strerror(error));
	return log_count(line);
}

int
log_lines(void)
{
	return log_count("");
}
