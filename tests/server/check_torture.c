/* SPDX-License-Identifier: MIT */
/*
 * check_torture.c - count, then fail. Each scenario is played again and again,
 * in a child of its own, and each time another use of a call fails: once, or
 * from then on. Allocations are the library's and libevent's. Nothing may
 * crash, hang or leak, and when the trouble is over the next client is served.
 *
 * Leaks are found by LeakSanitizer where there is one, otherwise by counting
 * malloc and free of this program, below. By default every third or
 * seventh use is tried; SKS_TORTURE=full tries all, =verbose tells how many.
 */
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "torture.h"
#include "tools.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#if SKS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

FIXTURE(no_leaks_setup, no_leaks_teardown, .timeout_s = 3600);

#define HANG_SECONDS (is_slow() ? 150 : 60)
#define BEYOND 77 /* a child's exit: there is no k-th use */

/* -- the balance of memory, except of threads that say they are quiet -- */

static _Thread_local int quiet;
static atomic_long balance;

#if !SKS_ASAN && !SKS_TSAN
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

/* Valgrind puts its own over some of these, and the balance means nothing then. */
void *
malloc(size_t size)
{
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	if (!quiet && old == NULL)
		atomic_fetch_add(&balance, 1);
	return __libc_realloc(old, size);
}

int
posix_memalign(void **ptr, size_t align, size_t size)
{
	*ptr = __libc_memalign(align, size);
	if (*ptr == NULL)
		return ENOMEM;
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return 0;
}

void
free(void *ptr)
{
	if (!quiet && ptr != NULL)
		atomic_fetch_sub(&balance, 1);
	__libc_free(ptr);
}
#endif

static const struct {
	const char *rule; /* %s is the k-th use: "3", or "3+" */
	int most;         /* beyond it nothing new can come */
} faults[] = {
	{ "malloc:ENOMEM:%s", 10000 },
	{ "mmap:ENOMEM:%s", 100 },
	{ "madvise:EINVAL:%s", 100 },
	{ "madvise:EINVAL:1+,mprotect:ENOMEM:%s", 100 },
	{ "eventfd:EMFILE:%s", 100 },
	{ "event_add:ENOMEM:%s", 200 },
	{ "event_add:ENOSPC:%s", 200 },
	{ "pthread_create:EAGAIN:%s", 50 },
	{ "fork:EAGAIN:%s", 50 },
	{ "pidfd_open:EMFILE:%s", 50 },
	{ "socketpair:EMFILE:%s", 50 },
	{ "socket:EMFILE:%s", 50 },
	{ "accept4:EMFILE:%s", 5 },
};

/* -- a play with a server -- */

static const struct scenario *now_playing;

struct play {
	struct sks_server *server;
	struct event_base *base;
	char address[128];
	atomic_int over; /* the client has had its share of failures */
};

static void *
run_client(void *arg)
{
	struct play *play = arg;

	quiet = 1;
	now_playing->client(play->address);
	disarm();
	must((now_playing->served != NULL ? now_playing->served : echoes)(play->address));
	play->over = 1;
	sks_server_shutdown(play->server);
	return NULL;
}

static void
find_address(struct play *play)
{
	char text[100];

	if (strncmp(now_playing->listen, "unix", 4) == 0) {
		snprintf(play->address, sizeof(play->address), "%s", now_playing->listen);
		return;
	}
	must(sks_server_address(play->server, 0, text, sizeof(text)) != NULL);
	snprintf(play->address, sizeof(play->address), "%s%s",
	    strncmp(now_playing->listen, "udp:", 4) == 0 ? "udp:" : "", text);
}

static void
stop_host(struct sks_server *server, void *data)
{
	(void)server;
	event_base_loopbreak(data);
}

static int
run_server(struct play *play)
{
	if (play->base == NULL)
		return sks_serve_forever(play->server);
	if (sks_server_start(play->server) == -1)
		return -1;
	while (sks_server_is_running(play->server))
		must(event_base_loop(play->base, 0) != -1);
	return 0;
}

static void
play_with_a_server(void)
{
	struct sks_options options = now_playing->options;
	struct play play = { .base = NULL };
	pthread_t client;

	set_up = finished = 0;
	room_lock = sks_mutex_new();
	must(room_lock != NULL);
	if (now_playing->hosted) {
		play.base = event_base_new();
		must(play.base != NULL);
		options.base = play.base;
		options.data = play.base;
		options.on_stop = stop_host;
	}
	play.server = sks_server_new(&now_playing->handler, &options);
	must(play.server != NULL);
	must(sks_server_listen(play.server, now_playing->listen) == 0);
	find_address(&play);
	arm();
	quiet = 1;
	must(pthread_create(&client, NULL, run_client, &play) == 0);
	quiet = 0;
	/* It may not be able to begin at first. */
	while (run_server(&play) == -1) {
		must(is_of_a_fault(errno));
		must(!play.over);
		disarm();
	}
	pthread_join(client, NULL);
	sks_server_free(play.server);
	if (play.base != NULL)
		event_base_free(play.base);
	sks_mutex_free(room_lock);
	must(set_up == finished);
}

static void
play(void)
{
	if (now_playing->alone != NULL)
		now_playing->alone();
	else
		play_with_a_server();
}

/* -- the tools -- */

static void
drop_line(const struct sks_log_record *record, void *arg)
{
	(void)record;
	(void)arg;
}

static void
drop_event_line(int severity, const char *line)
{
	(void)severity;
	(void)line;
}

static void
free_event_memory(void *ptr)
{
	free(ptr);
}

static int
count_descriptors(void)
{
	int n;

	quiet = 1;
	n = open_descriptors();
	quiet = 0;
	return n;
}

/* The child: once as it should be, so that all is there that stays; then with the fault. */
static void
play_in_child(const char *rule)
{
	long before;
	int descriptors;

	limit_child(HANG_SECONDS);
	sks_set_log(drop_line, NULL);
	event_set_log_callback(drop_event_line);
	event_set_mem_functions(sks_sys_malloc, sks_sys_realloc, free_event_memory);
	rule_now = NULL;
	play();
	descriptors = count_descriptors();
	rule_now = rule;
	is_lasting = rule[strlen(rule) - 1] == '+';
	struck = 0;
	before = balance;
	play();
	must(now_playing->threads || RUNNING_ON_VALGRIND || balance == before);
	must(count_descriptors() == descriptors);
#if SKS_ASAN
	must(__lsan_do_recoverable_leak_check() == 0);
#endif
	_exit(struck > 0 ? 0 : BEYOND);
}

/* 1: it struck and all was well. 0: there is no such use. */
static int
try_point(const struct scenario *scenario, const char *rule)
{
	int status;
	pid_t pid;

	now_playing = scenario;
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		play_in_child(rule);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == BEYOND))
		return WEXITSTATUS(status) == 0;
	fprintf(stderr, "%s, %s: status %#x\n", scenario->name, rule, status);
	ck_abort_msg("%s, %s: %s %d", scenario->name, rule,
	    WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hangs, signal" : "dies of signal" :
				  "exits with",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

/* Two uses beyond the last one, since threads may not come in the same order each time. */
static int
torture_with(const struct scenario *scenario, const char *format, int most, const char *from)
{
	const char *how = getenv("SKS_TORTURE");
	int full = how != NULL && strcmp(how, "full") == 0;
	int step = full ? 1 : is_slow() ? 17 : from[0] == '+' ? 7 : 3;
	int beyond = 0, points = 0, k;

	for (k = 1; k <= most && beyond < 2; k += step) {
		char use[20], rule[100];

		snprintf(use, sizeof(use), "%d%s", k, from);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(rule, sizeof(rule), format, use);
#pragma GCC diagnostic pop
		if (try_point(scenario, rule))
			points++;
		else
			beyond++;
	}
	return points;
}

/* A table that is in another file has no size here. */
#define EACH_SCENARIO .times = nscenarios, .table = scenarios, .row = sizeof(scenarios[0])

TEST(whatever_fails_the_next_client_is_served, EACH_SCENARIO)
{
	const struct scenario *scenario = &scenarios[_i];
	const char *how = getenv("SKS_TORTURE");
	int points = 0;
	size_t f;

	name_addresses();
	for (f = 0; f < SKS_ARRAY_LEN(faults); f++) {
		points += torture_with(scenario, faults[f].rule, faults[f].most, "");
		points += torture_with(scenario, faults[f].rule, faults[f].most, "+");
	}
	if (how != NULL) {
		printf("%s: %d points\n", scenario->name, points);
		fflush(stdout);
	}
	ck_assert_int_ge(points, is_slow() ? 0 : 1);
}
