/* SPDX-License-Identifier: MIT */
/*
 * check_blast.c - what a bad handler does to the others: the table of that name in docs/modes.md, a
 * test for each row and mode. Its clients are a good one, that was served before, and a bad one,
 * whose words make the handler misbehave.
 */
#include "bad_host.h"

#include "base/clock.h"
#include "tools.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

/*
 * Of all modes, but one is left out: which client is on which loop is not known where each loop
 * listens.
 */
static const int modes[] = { ACC_FIBERS, ACC_SERIAL, ACC_TWO_LOOPS, ACC_THREADS, ACC_PROCESSES };

static const char *
name_of_mode(int i)
{
	return acc_modes[modes[i]].name;
}

#define EACH_OF_FIVE .times = 5, .variant = name_of_mode

/* Those where a request has its loop's thread; those of one process. */
#define EACH_WITH_LOOPS .times = 3, .variant = name_of_mode
#define EACH_BUT_PROCESSES .times = 4, .variant = name_of_mode

static void
hears_error(struct host *host, const char *before, int error, const char *after)
{
	char line[200];

	snprintf(line, sizeof(line), "%s%s%s", before, strerror(error), after);
	hears(host, line);
}

/* -- an error, a reset, a time-out: this connection -- */

static void
spoils_its_connection_alone(int mode, const char *word, int reset, int error, const char *why)
{
	struct host host;
	int good, bad;

	start_host(&host, mode, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, word);
	if (reset) {
		hears(&host, "waits\n");
		peer_reset(bad);
	} else {
		peer_expect_gone(bad);
	}
	hears(&host, "bad: 127.0.0.1:");
	hears_error(&host, ": ", error, why);
	others_go_on(&host, good);
	close(good);
	stop_host(&host);
	hears(&host, "served 0");
	hears(&host, "failed 1 ");
	ck_ended_with(&host, 0);
}

TEST(an_error_ends_its_connection_alone, EACH_OF_FIVE)
{
	spoils_its_connection_alone(modes[_i], "error\n", 0, EPROTO, "\n");
}

TEST(a_reset_ends_its_connection_alone, EACH_OF_FIVE)
{
	spoils_its_connection_alone(modes[_i], "wait\n", 1, ECONNRESET, "\n");
}

TEST(a_timeout_ends_its_connection_alone, EACH_OF_FIVE)
{
	spoils_its_connection_alone(modes[_i], "time-out\n", 0, ETIMEDOUT, " (deadline)\n");
}

/* -- blocking -- */

/* Two good clients on two loops, and a bad one: which of them has its loop? */
static int
thread_of(int fd)
{
	char line[32] = "";
	size_t n = 0;

	peer_puts(fd, "thread\n");
	while (n < sizeof(line) - 1 && (n == 0 || line[n - 1] != '\n'))
		ck_assert_int_eq(peer_recv(fd, line + n++, 1), 1);
	return atoi(line);
}

struct guests {
	int bad;
	int waits; /* shares its loop */
	int goes_on; /* on another; -1: there is none */
};

static void
invite(struct host *host, struct guests *guests)
{
	int good[2] = { new_client(host), new_client(host) };
	int shared = 0;

	guests->bad = new_client(host);
	if (host->mode == ACC_TWO_LOOPS) {
		ck_assert_int_ne(thread_of(good[0]), thread_of(good[1]));
		shared = thread_of(guests->bad) == thread_of(good[1]);
	}
	guests->waits = good[shared];
	guests->goes_on = good[!shared];
	if (host->mode == ACC_FIBERS || host->mode == ACC_SERIAL) {
		close(guests->goes_on);
		guests->goes_on = -1;
	}
}

/* While the handler keeps its loop. */
static void
its_loop_waits(struct host *host, const struct guests *guests)
{
	peer_puts(guests->waits, "good\n");
	hears(host, "bad: 127.0.0.1:");
	hears(host, ": the handler has kept its loop for ");
	hears(host, " ms and still does\n");
	if (guests->goes_on != -1)
		is_served(guests->goes_on);
	ck_assert(peer_is_silent(guests->waits));
}

TEST(who_blocks_keeps_its_loop_and_is_named, EACH_WITH_LOOPS)
{
	struct guests guests;
	struct host host;

	start_host(&host, modes[_i], NULL);
	invite(&host, &guests);
	peer_puts(guests.bad, "block\n");
	hears(&host, "blocks\n");
	its_loop_waits(&host, &guests);
	ck_assert_int_eq(write(host.gate, "x", 1), 1);
	peer_expect(guests.waits, "good\n");
	peer_expect(guests.bad, "block\n");
	is_served(guests.waits);
	is_served(guests.bad);
	close(guests.bad);
	close(guests.waits);
	if (guests.goes_on != -1)
		close(guests.goes_on);
	stop_host(&host);
	ck_ended_with(&host, 0);
	hears(&host, "blocked 1\n"); /* once: not again when it returned */
	ck_assert_int_eq(times_said(&host, "still does"), 1);
}

TEST(who_blocks_keeps_nobody, TIMES(2))
{
	struct host host;
	int good, bad;

	start_host(&host, _i == 0 ? ACC_THREADS : ACC_PROCESSES, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "block\n");
	hears(&host, "blocks\n");
	others_go_on(&host, good);
	ck_assert(peer_is_silent(bad));
	ck_assert_int_eq(write(host.gate, "x", 1), 1);
	peer_expect(bad, "block\n");
	close(bad);
	close(good);
	stop_host(&host);
	ck_ended_with(&host, 0);
	hears(&host, "blocked 0\n");
}

/* The host is stopped in the middle of a handler. Returns for how many ms it ran meanwhile. */
static int64_t
stop_for_a_while(struct host *host, int bad, int ms)
{
	int64_t begun = sks_clock_ms(), stopped;

	peer_puts(bad, "block\n");
	hears(host, "blocks\n");
	kill(host->pid, SIGSTOP);
	ck_assert_int_eq(waitpid(host->pid, &host->status, WUNTRACED), host->pid);
	stopped = sks_clock_ms();
	poll(NULL, 0, ms); /* the passing of time is what is tested */
	begun += sks_clock_ms() - stopped;
	kill(host->pid, SIGCONT);
	ck_assert_int_eq(write(host->gate, "x", 1), 1);
	peer_expect(bad, "block\n");
	is_served(bad);
	return sks_clock_ms() - begun;
}

TEST(who_was_stopped_with_all_others_is_not_named, EACH_WITH_LOOPS)
{
	int limit = warn_ms() != 0 ? warn_ms() : 100, most = is_slow() ? 5 : 20, tries = 0, bad;
	struct host host;
	int64_t ran;

	do { /* a busy machine can take too long of its own */
		start_host(&host, modes[_i], NULL);
		bad = new_client(&host);
		ran = stop_for_a_while(&host, bad, 2 * limit);
		close(bad);
		stop_host(&host);
		ck_ended_with(&host, 0);
	} while (ran > limit / 2 && ++tries < most);
	if (ran <= limit / 2)
		hears(&host, "blocked 0\n");
}

/* -- an endless loop -- */

TEST(an_endless_loop_keeps_its_loop_and_is_named, EACH_WITH_LOOPS)
{
	struct guests guests;
	struct host host;

	start_host(&host, modes[_i], NULL);
	invite(&host, &guests);
	peer_puts(guests.bad, "spin\n");
	hears(&host, "spins\n");
	its_loop_waits(&host, &guests);
	kill_host(&host); /* there is no other way */
	ck_assert_int_eq(times_said(&host, "still does"), 1);
	peer_expect_gone(guests.bad);
	peer_expect_gone(guests.waits);
	if (guests.goes_on != -1)
		peer_expect_gone(guests.goes_on);
}

/* A thread cannot be ended: sks_serve_forever() says so, and the program must go. */
TEST(an_endless_loop_keeps_its_thread)
{
	struct host host;
	int good, bad;

	start_host(&host, ACC_THREADS, be_impatient);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "spin\n");
	hears(&host, "spins\n");
	others_go_on(&host, good);
	close(good);
	stop_host(&host);
	hears_error(&host, "served -1 ", ETIMEDOUT, "\n");
	ck_ended_with(&host, 2);
	peer_expect_gone(bad);
}

TEST(a_child_in_an_endless_loop_is_killed_by_the_shutdown)
{
	struct host host;
	int good, bad;

	start_host(&host, ACC_PROCESSES, be_impatient);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "spin\n");
	hears(&host, "spins\n");
	others_go_on(&host, good);
	close(good);
	stop_host(&host); /* and hears the end of all who could write to us, the child too */
	hears(&host, "bad: 127.0.0.1:");
	hears(&host, "killed by signal 9 (Killed)\n");
	hears_error(&host, "served -1 ", ETIMEDOUT, "\n");
	peer_expect_gone(bad);
}

/* -- crashes -- */

static void
crash(int mode, const char *word, int signo, const char *how)
{
	struct host host;
	int good, bad;

	start_host(&host, mode, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, word);
	if (mode == ACC_PROCESSES)
		one_dies_of(&host, good, bad, how);
	else
		all_die_of(&host, good, bad, signo);
}

TEST(a_crash, EACH_OF_FIVE)
{
	crash(modes[_i], "crash\n", SIGSEGV, "11 (Segmentation fault)");
}

TEST(an_abort, EACH_OF_FIVE)
{
	crash(modes[_i], "abort\n", SIGABRT, "6 (Aborted)");
}

TEST(a_stack_overflow, EACH_OF_FIVE)
{
	struct host host;
	int good, bad;

	start_host(&host, modes[_i], NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "overflow\n");
	if (modes[_i] == ACC_PROCESSES) {
		one_dies_of(&host, good, bad, "11 (Segmentation fault)");
		return;
	}
	if (modes[_i] != ACC_THREADS) {
		hears(&host, "stack overflow in handler bad serving 127.0.0.1:");
		hears(&host, "(stack_size 131072)\n");
	}
	all_die_of(&host, good, bad, SIGSEGV);
}

/* The handler leaves by this word, and goodbye is what the program does at such an end. */
static void
leave(int mode, const char *word, const char *goodbye)
{
	struct host host;
	int good, bad;

	start_host(&host, mode, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, word);
	if (mode == ACC_PROCESSES) {
		peer_expect_gone(bad);
		others_go_on(&host, good);
		close(good);
		stop_host(&host);
		hears(&host, "failed 1 "); /* its code was not 0 */
		ck_ended_with(&host, 0);
		ck_assert_int_eq(times_said(&host, "at_quick_exit"), 0);
		ck_assert_int_eq(times_said(&host, "atexit"), 1); /* the host's own end */
	} else { /* in order: what the program has registered is run */
		join_host(&host);
		ck_ended_with(&host, EXIT_OF_HANDLER);
		peer_expect_gone(good);
		peer_expect_gone(bad);
		ck_assert_int_eq(times_said(&host, goodbye), 1);
	}
}

TEST(an_exit, EACH_OF_FIVE)
{
	leave(modes[_i], "exit\n", "atexit");
}

TEST(a_quick_exit, EACH_OF_FIVE)
{
	leave(modes[_i], "quick-exit\n", "at_quick_exit");
}

/* -- leaked descriptors -- */

/*
 * From outside: in the host valgrind would keep the limit itself, by closing
 * what was accepted beyond it.
 */
static void
have_few_descriptors(const struct host *host)
{
	ck_assert_int_eq(prlimit(host->pid, RLIMIT_NOFILE, &(struct rlimit){ 64, 64 }, NULL), 0);
}

/* 1: it has, 0: there are no more. */
static int
leaks(int fd)
{
	char c;
	int first = 1, leaked = 0;

	peer_puts(fd, "leak\n");
	do {
		ck_assert_int_eq(peer_recv(fd, &c, 1), 1);
		if (first)
			leaked = c == 'l';
		first = 0;
	} while (c != '\n');
	return leaked;
}

TEST(leaked_descriptors_end_in_a_pause, EACH_BUT_PROCESSES)
{
	struct host host;
	int good, bad, late, n = 0;

	start_host(&host, modes[_i], NULL);
	have_few_descriptors(&host);
	good = new_client(&host);
	bad = new_client(&host);
	while (leaks(bad))
		n++;
	ck_assert_int_gt(n, 10);
	late = peer_connect(host.address);
	peer_puts(late, "late\n");
	hears_error(&host, "accept: ", EMFILE, "; trying again soon\n");
	is_served(good);
	ck_assert(peer_is_silent(late));
	/* One is free again. */
	close(bad);
	peer_expect(late, "late\n");
	is_served(good);
	close(late);
	close(good);
	stop_host(&host);
	hears(&host, "served 0");
	ck_ended_with(&host, 0);
}

static int
descriptors_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return count_entries(path);
}

TEST(a_childs_leak_is_its_own)
{
	struct host host;
	int good, bad, before, i, n = 0;

	start_host(&host, ACC_PROCESSES, NULL);
	have_few_descriptors(&host);
	good = new_client(&host);
	before = descriptors_of(host.pid); /* its child may answer before the host closes its own */
	for (i = 0; i < 3; i++) {
		bad = new_client(&host);
		while (leaks(bad))
			n++;
		close(bad);
	}
	ck_assert_int_gt(n, 3 * 10);
	others_go_on(&host, good);
	ck_eventually(descriptors_of(host.pid) <= before);
	close(good);
	stop_host(&host);
	ck_ended_with(&host, 0);
	ck_assert_int_eq(times_said(&host, strerror(EMFILE)), 0);
}
