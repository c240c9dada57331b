/* SPDX-License-Identifier: MIT */
/*
 * What a bad handler does to the others: the table of that name in docs/modes.md,
 * a test for each row and mode.
 *
 * The server runs in a process of its own, the host, which may die of what
 * its handlers do. All it says, its log included, comes to the test by its
 * standard error. Its clients are the test's: a good one, that was served
 * before, and a bad one, whose words make the handler misbehave.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "harness.h"
#include "peer.h"
#include "tools.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <socketserver.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

SIGNALS_KILL;

static const struct mode {
	const char *name;
	int mode;
	int workers;
} modes[] = {
	{ "fibers", SKS_FIBERS, 0 },
	{ "serial", SKS_SERIAL, 0 },
	{ "fibers on 2 loops", SKS_FIBERS, 2 },
	{ "threads", SKS_THREADS, 0 },
	{ "processes", SKS_PROCESSES, 0 },
};

/* Loop tests: over all modes, those where a request has its loop's thread, those of one process. */
enum { FIBERS, SERIAL, TWO_LOOPS, THREADS, PROCESSES, ALL };

#define EXIT_OF_HANDLER 7

struct host {
	pid_t pid;
	int mode;
	int out;       /* what it says */
	int gate;      /* a byte lets a handler go that blocks */
	char address[128];
	char said[65536];
	size_t len;    /* of said */
	size_t heard;  /* of that, looked at by hears() */
	int status;    /* once it has ended */
};

/* -- in the host -- */

static int gate_in_host; /* what a blocked handler reads */
static volatile int always = 1;
static int *volatile nowhere = (int *)64; /* not NULL, which UBSan would see */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One write, so one line also among those of other processes. */
static void
say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	(void)!write(STDERR_FILENO, line, (size_t)n);
}

static __attribute__((noinline)) int
recurse(int n)
{
	volatile char frame[500];

	frame[0] = 1;
	__asm__ volatile("" : : "r"(frame) : "memory");
	return always ? recurse(n + 1) + frame[0] : 0;
}

static void
leak(struct sks_request *req)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sks_printf(req->wfile, "%s\n", fd != -1 ? "leaked" : strerror(errno));
}

/* Outside of the library: the test opens the gate. */
static void
block(void)
{
	char c;

	say("blocks\n");
	while (read(gate_in_host, &c, 1) == -1 && errno == EINTR)
		;
}

static int
wait_for_more(struct sks_request *req, int ms)
{
	char *line;

	sks_deadline(req, ms);
	say("waits\n");
	return sks_readline(req->rfile, &line) == -1 ? -1 : SKS_DONE;
}

/* A word for each misdeed; a line of another word comes back. */
static int
misbehave(struct sks_request *req)
{
	char *word = sks_gets(req->rfile);

	if (word == NULL)
		return sks_end(req->rfile);
	if (strcmp(word, "error") == 0) {
		errno = EPROTO;
		return -1;
	} else if (strcmp(word, "wait") == 0) {
		return wait_for_more(req, 0);
	} else if (strcmp(word, "time-out") == 0) {
		return wait_for_more(req, 1);
	} else if (strcmp(word, "block") == 0) {
		block();
	} else if (strcmp(word, "spin") == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a child, should the test fail */
		say("spins\n");
		while (always)
			;
	} else if (strcmp(word, "crash") == 0) {
		*nowhere = 1;
	} else if (strcmp(word, "abort") == 0) {
		abort();
	} else if (strcmp(word, "overflow") == 0) {
		return recurse(0);
	} else if (strcmp(word, "exit") == 0) {
		exit(EXIT_OF_HANDLER);
	} else if (strcmp(word, "leak") == 0) {
		leak(req);
		return SKS_KEEP;
	} else if (strcmp(word, "thread") == 0) {
		sks_printf(req->wfile, "%d\n", (int)gettid());
		return SKS_KEEP;
	}
	sks_printf(req->wfile, "%s\n", word);
	return SKS_KEEP;
}

static const struct sks_handler bad_handler = { .name = "bad", .handle = misbehave, .client_first = 1 };

static void
say_goodbye(void)
{
	say("atexit\n");
}

static int
warn_ms(void)
{
	return is_slow() ? 1000 : 0; /* then good handlers are slow, too */
}

static struct sks_server *server_in_host;

static void
stop_server(int signo)
{
	(void)signo;
	sks_server_shutdown(server_in_host);
}

/* For handlers that never end. */
static int is_impatient;

static void
be_impatient(void)
{
	is_impatient = 1;
}

/* A program with a server, as programs are: SIGTERM ends it. */
static int
run_host(const struct mode *mode)
{
	struct sks_options options = { .mode = mode->mode, .workers = mode->workers,
		.idle_ms = SKS_OFF };
	struct sks_stats stats;
	char address[128];
	int rc, error;

	options.block_warn_ms = warn_ms();
	if (is_impatient)
		options.drain_ms = options.linger_ms = 1;
	atexit(say_goodbye);
	(void)sks_fiber_report_overflow();
	server_in_host = sks_tcp_server_new("127.0.0.1:0", &bad_handler, &options);
	if (server_in_host == NULL)
		return 1;
	signal(SIGTERM, stop_server);
	say("address %s\n", sks_server_address(server_in_host, 0, address, sizeof(address)));
	rc = sks_serve_forever(server_in_host);
	error = errno;
	sks_server_stats(server_in_host, &stats);
	say("served %d %s\n", rc, rc == 0 ? "" : strerror(error));
	say("failed %d blocked %d\n", (int)stats.failed, (int)stats.blocked);
	if (rc == -1)
		_exit(2); /* freeing would wait for what does not end */
	sks_server_free(server_in_host);
	return 0;
}

/* -- hearing it -- */

/* What it says next; 0: it has ended, with all its children. */
static int
hear_more(struct host *host)
{
	struct pollfd p = { .fd = host->out, .events = POLLIN };
	ssize_t n;

	if (host->out == -1)
		return 0;
	ck_assert_uint_lt(host->len, sizeof(host->said) - 1);
	ck_assert_msg(poll(&p, 1, PEER_DEADLINE_MS) == 1, "it says no more than: %s", host->said);
	n = read(host->out, host->said + host->len, sizeof(host->said) - 1 - host->len);
	ck_assert_int_ge(n, 0);
	host->len += (size_t)n;
	host->said[host->len] = '\0';
	return n > 0;
}

/* Waits until it says this; what it says next comes after it. */
static void
hears(struct host *host, const char *text)
{
	char *at;

	while ((at = strstr(host->said + host->heard, text)) == NULL)
		ck_assert_msg(hear_more(host), "it never said \"%s\", but: %s", text, host->said);
	host->heard = (size_t)(at - host->said) + strlen(text);
}

static int
times_said(const struct host *host, const char *text)
{
	const char *at = host->said;
	int n = 0;

	while ((at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

/* -- its life -- */

static void
start_host(struct host *host, int mode, void (*prepare)(void))
{
	int out[2], gate[2];
	char *end;

	*host = (struct host){ .mode = mode };
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	host->pid = fork();
	ck_assert_int_ne(host->pid, -1);
	if (host->pid == 0) {
		VALGRIND_DISABLE_ERROR_REPORTING; /* what it does is wrong on purpose */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		close(gate[1]);
		gate_in_host = gate[0];
		if (prepare != NULL)
			prepare();
		exit(run_host(&modes[mode]));
	}
	close(out[1]);
	close(gate[0]);
	host->out = out[0];
	host->gate = gate[1];
	hears(host, "address ");
	while ((end = strchr(host->said + host->heard, '\n')) == NULL)
		hear_more(host);
	snprintf(host->address, sizeof(host->address), "%.*s",
	    (int)(end - host->said - (long)host->heard), host->said + host->heard);
}

/* It ends, or has ended. */
static void
join_host(struct host *host)
{
	ck_assert_int_eq(waitpid(host->pid, &host->status, 0), host->pid);
	while (hear_more(host))
		;
	close(host->out);
	close(host->gate);
	host->out = -1;
}

static void
stop_host(struct host *host)
{
	kill(host->pid, SIGTERM);
	join_host(host);
}

static void
kill_host(struct host *host)
{
	kill(host->pid, SIGKILL);
	join_host(host);
}

static int
died_of(const struct host *host, int signo)
{
	return WIFSIGNALED(host->status) && WTERMSIG(host->status) == signo;
}

static int
ended_with(const struct host *host, int code)
{
	return WIFEXITED(host->status) && WEXITSTATUS(host->status) == code;
}

#define ck_died_of(host, signo)                                                                \
	ck_assert_msg(died_of(host, signo), "%s: status %#x, said: %s", modes[(host)->mode].name, \
	    (unsigned int)(host)->status, (host)->said)
#define ck_ended_with(host, code)                                                              \
	ck_assert_msg(ended_with(host, code), "%s: status %#x, said: %s",                       \
	    modes[(host)->mode].name, (unsigned int)(host)->status, (host)->said)

/* -- its clients -- */

static void
is_served(int fd)
{
	peer_puts(fd, "good\n");
	peer_expect(fd, "good\n");
}

static int
new_client(struct host *host)
{
	int fd = peer_connect(host->address);

	is_served(fd);
	return fd;
}

/* The others do not notice: who is there is served, and who comes. */
static void
others_go_on(struct host *host, int good)
{
	is_served(good);
	close(new_client(host));
}

/* The whole process is gone, and how. */
static void
all_die_of(struct host *host, int good, int bad, int signo)
{
	join_host(host);
	ck_died_of(host, signo);
	ck_assert_int_eq(times_said(host, "atexit"), 0);
	peer_expect_gone(good);
	peer_expect_gone(bad);
}

/* The one child, as the parent's log has it; nobody else. */
static void
one_dies_of(struct host *host, int good, int bad, const char *how)
{
	char line[100];

	peer_expect_gone(bad);
	snprintf(line, sizeof(line), "killed by signal %s\n", how);
	hears(host, "bad: 127.0.0.1:");
	hears(host, line);
	others_go_on(host, good);
	close(good);
	stop_host(host);
	hears(host, "failed 1 ");
	ck_ended_with(host, 0);
}

/* -- an error, a reset, a time-out: this connection -- */

static void
spoils_its_connection_alone(int mode, const char *word, int reset, const char *error)
{
	struct host host;
	char line[100];
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
	snprintf(line, sizeof(line), ": %s\n", error);
	hears(&host, line);
	others_go_on(&host, good);
	close(good);
	stop_host(&host);
	hears(&host, "served 0");
	hears(&host, "failed 1 ");
	ck_ended_with(&host, 0);
}

TEST(an_error_ends_its_connection_alone, TIMES(ALL))
{
	spoils_its_connection_alone(_i, "error\n", 0, "Protocol error");
}

TEST(a_reset_ends_its_connection_alone, TIMES(ALL))
{
	spoils_its_connection_alone(_i, "wait\n", 1, "Connection reset by peer");
}

TEST(a_timeout_ends_its_connection_alone, TIMES(ALL))
{
	spoils_its_connection_alone(_i, "time-out\n", 0, "Connection timed out");
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
	if (host->mode == TWO_LOOPS) {
		ck_assert_int_ne(thread_of(good[0]), thread_of(good[1]));
		shared = thread_of(guests->bad) == thread_of(good[1]);
	}
	guests->waits = good[shared];
	guests->goes_on = good[!shared];
	if (host->mode == FIBERS || host->mode == SERIAL) {
		close(guests->goes_on);
		guests->goes_on = -1;
	}
}

/* While the handler keeps its loop. */
static void
its_loop_waits(struct host *host, const struct guests *guests)
{
	peer_puts(guests->waits, "good\n");
	hears(host, "handler bad serving 127.0.0.1:");
	hears(host, " ms and still does\n");
	if (guests->goes_on != -1)
		is_served(guests->goes_on);
	ck_assert(peer_is_silent(guests->waits));
}

TEST(who_blocks_keeps_its_loop_and_is_named, TIMES(THREADS))
{
	struct guests guests;
	struct host host;

	start_host(&host, _i, NULL);
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

TEST(who_blocks_keeps_nobody, TIMES(ALL - THREADS))
{
	struct host host;
	int good, bad;

	start_host(&host, THREADS + _i, NULL);
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

TEST(who_was_stopped_with_all_others_is_not_named, TIMES(THREADS))
{
	int limit = warn_ms() != 0 ? warn_ms() : 100, most = is_slow() ? 5 : 20, tries = 0, bad;
	struct host host;
	int64_t ran;

	do { /* a busy machine can take too long of its own */
		start_host(&host, _i, NULL);
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

TEST(an_endless_loop_keeps_its_loop_and_is_named, TIMES(THREADS))
{
	struct guests guests;
	struct host host;

	start_host(&host, _i, NULL);
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

	start_host(&host, THREADS, be_impatient);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "spin\n");
	hears(&host, "spins\n");
	others_go_on(&host, good);
	close(good);
	stop_host(&host);
	hears(&host, "served -1 Connection timed out\n");
	ck_ended_with(&host, 2);
	peer_expect_gone(bad);
}

TEST(a_child_in_an_endless_loop_is_killed_by_the_shutdown)
{
	struct host host;
	int good, bad;

	start_host(&host, PROCESSES, be_impatient);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "spin\n");
	hears(&host, "spins\n");
	others_go_on(&host, good);
	close(good);
	stop_host(&host); /* and hears the end of all who could write to us, the child too */
	hears(&host, "bad: 127.0.0.1:");
	hears(&host, "killed by signal 9 (Killed)\n");
	hears(&host, "served -1 Connection timed out\n");
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
	if (mode == PROCESSES)
		one_dies_of(&host, good, bad, how);
	else
		all_die_of(&host, good, bad, signo);
}

TEST(a_crash, TIMES(ALL))
{
	crash(_i, "crash\n", SIGSEGV, "11 (Segmentation fault)");
}

TEST(an_abort, TIMES(ALL))
{
	crash(_i, "abort\n", SIGABRT, "6 (Aborted)");
}

TEST(a_stack_overflow, TIMES(ALL))
{
	struct host host;
	int good, bad;

	start_host(&host, _i, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "overflow\n");
	if (_i == PROCESSES) {
		one_dies_of(&host, good, bad, "11 (Segmentation fault)");
		return;
	}
	if (_i != THREADS) {
		hears(&host, "stack overflow in handler bad serving 127.0.0.1:");
		hears(&host, "(stack_size 131072)\n");
	}
	all_die_of(&host, good, bad, SIGSEGV);
}

TEST(an_exit, TIMES(ALL))
{
	struct host host;
	int good, bad;

	start_host(&host, _i, NULL);
	good = new_client(&host);
	bad = new_client(&host);
	peer_puts(bad, "exit\n");
	if (_i == PROCESSES) {
		peer_expect_gone(bad);
		others_go_on(&host, good);
		ck_assert_int_eq(times_said(&host, "atexit"), 0);
		close(good);
		stop_host(&host);
		hears(&host, "failed 1 "); /* its code was not 0 */
		ck_ended_with(&host, 0);
	} else { /* in order: what the program has registered is run */
		join_host(&host);
		ck_ended_with(&host, EXIT_OF_HANDLER);
		peer_expect_gone(good);
		peer_expect_gone(bad);
	}
	ck_assert_int_eq(times_said(&host, "atexit"), 1);
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

TEST(leaked_descriptors_end_in_a_pause, TIMES(PROCESSES))
{
	struct host host;
	int good, bad, late, n = 0;

	start_host(&host, _i, NULL);
	have_few_descriptors(&host);
	good = new_client(&host);
	bad = new_client(&host);
	while (leaks(bad))
		n++;
	ck_assert_int_gt(n, 10);
	late = peer_connect(host.address);
	peer_puts(late, "late\n");
	hears(&host, "accept: Too many open files; trying again soon\n");
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

	start_host(&host, PROCESSES, NULL);
	have_few_descriptors(&host);
	good = new_client(&host);
	before = descriptors_of(host.pid);
	for (i = 0; i < 3; i++) {
		bad = new_client(&host);
		while (leaks(bad))
			n++;
		close(bad);
	}
	ck_assert_int_gt(n, 3 * 10);
	others_go_on(&host, good);
	ck_eventually(descriptors_of(host.pid) == before);
	close(good);
	stop_host(&host);
	ck_ended_with(&host, 0);
	ck_assert_int_eq(times_said(&host, "Too many open files"), 0);
}
