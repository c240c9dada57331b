/* SPDX-License-Identifier: MIT */
/*
 * check_overflow.c - stacks that are too small: the overflow hits a guard, and is told.
 */
#include "faults.h"
#include "fibers.h"

#include "base/sys.h"
#include "fiber/overflow.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

SIGNALS_KILL;

static volatile int always = 1; /* the compiler does not know */

static NOINLINE int
recurse(int n)
{
	volatile char frame[500];

	frame[0] = 1;
	use(frame);
	return always ? recurse(n + 1) + frame[0] : 0;
}

static void
overflow_by_recursion(void *arg)
{
	*(int *)arg = recurse(0);
}

/* Larger than the guard: it is hit only as -fstack-clash-protection touches each page. */
static void
overflow_by_a_large_frame(void *arg)
{
	volatile char frame[512 * 1024];

	frame[0] = 1;
	use(frame);
	*(int *)arg = frame[0];
}

struct overflow {
	void (*run)(void *);
	const char *name;
	const void *peer;
	unsigned int peer_len;
	size_t stack_size;
	int lock_memory;
	int unwatched;
};

static void
overflow(void *arg)
{
	struct overflow *how = arg;
	struct sks_fiber_pool *pool;
	struct sks_fiber *fibers[3];
	int i, result;

	if (how->lock_memory && mlockall(MCL_FUTURE) == -1)
		_exit(99);
	pool = sks_fiber_pool_new(how->stack_size);
	if (!how->unwatched && sks_overflow_watch() == -1)
		_exit(1);
	/* The one in the middle, so that there are stacks on both sides. */
	for (i = 0; i < 3; i++) {
		fibers[i] = sks_fiber_start(pool, i == 1 ? how->run : suspend_once, &result);
		if (fibers[i] == NULL)
			_exit(2);
	}
	fibers[1]->task.origin.handler = how->name;
	fibers[1]->task.origin.peer = how->peer;
	fibers[1]->task.origin.peer_len = how->peer_len;
	for (i = 2; i >= 0; i--)
		sks_fiber_resume(fibers[i]);
}

static void
check_overflow(struct overflow how, const char *want)
{
	struct child child = { .act = overflow, .arg = &how };

	child_run(&child);
	if (how.lock_memory && child_exited_with(&child, 99))
		return; /* the system lets us lock too little memory to try */
	ck_assert_msg(child_died_of(&child, SIGSEGV), "status %#x, said: %s", (unsigned int)child.status,
	    child_said(&child));
	ck_assert_str_eq(child_said(&child), want);
}

static void (*const ways[])(void *) = { overflow_by_recursion, overflow_by_a_large_frame };

TEST(an_overflow_hits_the_guard, TIMES(2))
{
	check_overflow((struct overflow){ .run = ways[_i], .unwatched = 1 }, "");
}

TEST(an_overflow_is_told, TIMES(2))
{
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy" },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
}

/* Sanitizers and valgrind lock nothing, or all of their own memory as well. */
TEST(an_overflow_of_locked_memory_is_told, TIMES(2), PLAIN_BUILD)
{
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy", .lock_memory = 1 },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
}

TEST(an_overflow_is_told_without_advice_for_guards, TIMES(2))
{
	ck_assert_int_eq(sks_fault("madvise:EINVAL:1+"), 0);
	check_overflow((struct overflow){ .run = ways[_i], .name = "greedy" },
	    "socketserver: stack overflow in handler greedy serving - (stack_size 131072)\n");
	sks_fault_clear();
}

#define REPORT(peer, size) \
	"socketserver: stack overflow in handler h serving " peer " (stack_size " size ")\n"

TEST(an_overflow_names_the_peer)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(2525) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct overflow how = { .run = overflow_by_recursion, .name = "h", .peer = &in,
		.peer_len = sizeof(in), .stack_size = 65536 };
	unsigned int un_head = offsetof(struct sockaddr_un, sun_path);

	in.sin_addr.s_addr = htonl(0xc0000201);
	check_overflow(how, REPORT("192.0.2.1:2525", "65536"));

	how.stack_size = 1;
	how.peer = &in6;
	how.peer_len = sizeof(in6);
	memcpy(in6.sin6_addr.s6_addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x10\xab\xcd", 16);
	check_overflow(how, REPORT("[2001:db8:0:0:0:0:10:abcd]:65535", "16384"));
	memcpy(in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\xff", 16);
	check_overflow(how, REPORT("127.0.0.255:65535", "16384"));
	how.peer_len = sizeof(in);
	check_overflow(how, REPORT("-", "16384"));

	how.peer = &un;
	memset(un.sun_path, 'x', sizeof(un.sun_path));
	memcpy(un.sun_path, "/tmp/a\nb", 9);
	how.peer_len = sizeof(un);
	check_overflow(how, REPORT("unix:/tmp/a\\x0ab", "16384"));
	memcpy(un.sun_path, "\0name", 5);
	how.peer_len = un_head + 5;
	check_overflow(how, REPORT("unix:@name", "16384"));
	how.peer_len = un_head;
	check_overflow(how, REPORT("unix:", "16384"));
	how.peer_len = 1;
	check_overflow(how, REPORT("-", "16384"));
}

static void
overflow_while_nobody_reads(void *arg)
{
	static const char block[4096];
	struct overflow how = { .run = overflow_by_recursion, .name = "greedy" };
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };
	int fds[2];

	(void)signal(SIGPIPE, SIG_DFL);
	if (pipe2(fds, O_CLOEXEC) == -1 || dup2(fds[1], STDERR_FILENO) == -1)
		_exit(3);
	if (*(int *)arg)
		close(fds[0]);
	while (poll(&to, 1, 0) == 1 && to.revents == POLLOUT)
		(void)!write(STDERR_FILENO, block, sizeof(block));
	overflow(&how);
}

/* Of a pipe that is full, or broken. */
TEST(a_report_that_nobody_reads_changes_no_death, TIMES(2))
{
	struct child child = { .act = overflow_while_nobody_reads, .arg = &_i };

	child_run(&child);
	ck_assert_msg(child_died_of(&child, SIGSEGV), "status %#x", (unsigned int)child.status);
}

TEST(an_overflow_of_a_fiber_without_a_handler_is_told)
{
	check_overflow((struct overflow){ .run = overflow_by_recursion },
	    "socketserver: stack overflow in handler - serving - (stack_size 131072)\n");
}

static void
exit_42(int sig)
{
	(void)sig;
	_exit(42);
}

static void
exit_43(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	_exit(info->si_addr == NULL ? 1 : 43);
}

/* A page that nobody may touch. */
static char *
forbidden(void)
{
	return mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
}

static void
fault_elsewhere(void *arg)
{
	const struct sigaction *before = arg;

	if (before != NULL)
		(void)sigaction(SIGSEGV, before, NULL);
	if (sks_overflow_watch() == -1)
		_exit(1);
	*(volatile char *)forbidden() = 1;
}

TEST(other_faults_go_where_they_went_before)
{
	struct sigaction plain = { .sa_handler = exit_42 };
	struct sigaction informed = { .sa_sigaction = exit_43, .sa_flags = SA_SIGINFO };
	struct child child = { .act = fault_elsewhere };

	child_run(&child);
	ck_assert(child_died_of(&child, SIGSEGV));
	ck_assert_str_eq(child_said(&child), "");

	child.arg = &plain;
	child_run(&child);
	ck_assert(child_exited_with(&child, 42));
	child.arg = &informed;
	child_run(&child);
	ck_assert(child_exited_with(&child, 43));
	ck_assert_str_eq(child_said(&child), "");
}

/* The kernel lets nobody ignore a fault of his own. */
TEST(a_fault_that_is_ignored_still_kills)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };
	struct child child = { .act = fault_elsewhere, .arg = &ignored };

	child_run(&child);
	ck_assert(child_died_of(&child, SIGSEGV));
	ck_assert_str_eq(child_said(&child), "");
}

static void
ignore_and_be_sent_sigsegv(void *arg)
{
	(void)arg;
	(void)signal(SIGSEGV, SIG_IGN);
	if (sks_overflow_watch() == 0 && kill(getpid(), SIGSEGV) == 0)
		_exit(42);
}

TEST(a_sent_signal_that_is_ignored_kills_nobody)
{
	struct child child = { .act = ignore_and_be_sent_sigsegv };

	child_run(&child);
	ck_assert(child_exited_with(&child, 42));
}

static void
be_sent_sigsegv(void *arg)
{
	(void)sks_overflow_watch();
	(void)kill(getpid(), *(int *)arg);
}

TEST(a_sent_signal_still_kills, TIMES(2))
{
	int sigs[] = { SIGSEGV, SIGBUS };
	struct child child = { .act = be_sent_sigsegv, .arg = &sigs[_i] };

	child_run(&child);
	ck_assert(child_died_of(&child, sigs[_i]));
	ck_assert_str_eq(child_said(&child), "");
}

static void *
watch_in_a_thread(void *arg)
{
	stack_t *seen = arg;

	(void)sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	if (sks_overflow_watch() == -1)
		return NULL;
	(void)sigaltstack(NULL, &seen[0]);
	if (sks_overflow_watch() == -1)
		return NULL;
	(void)sigaltstack(NULL, &seen[1]);
	return NULL;
}

TEST(a_thread_has_its_alternate_stack_until_it_ends)
{
	unsigned char in_core;
	pthread_t thread;
	stack_t seen[2];

	memset(seen, 0, sizeof(seen));
	ck_assert_int_eq(pthread_create(&thread, NULL, watch_in_a_thread, seen), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(seen[0].ss_flags, 0);
	ck_assert_uint_ge(seen[0].ss_size, 65536);
	ck_assert_ptr_eq(seen[1].ss_sp, seen[0].ss_sp);
	errno = 0;
	ck_assert_int_eq(mincore(seen[0].ss_sp, 1, &in_core), -1);
	ck_assert_int_eq(errno, ENOMEM);
}

static void *
watch_without_memory(void *arg)
{
	(void)sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	fault("mmap:ENOMEM:1");
	ck_fails(sks_overflow_watch(), ENOMEM);
	ck_assert_int_eq(sks_overflow_watch(), 0); /* it may be tried again */
	return arg;
}

TEST(a_thread_without_memory_for_an_alternate_stack_is_told_so)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, watch_without_memory, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(sks_fault_hits(), 1);
	sks_fault_clear();
}

TEST(an_alternate_stack_that_is_there_is_kept)
{
	char *own = malloc(65536);
	stack_t seen;

	ck_assert_int_eq(sigaltstack(&(stack_t){ .ss_sp = own, .ss_size = 65536 }, NULL), 0);
	ck_assert_int_eq(sks_overflow_watch(), 0);
	ck_assert_int_eq(sigaltstack(NULL, &seen), 0);
	ck_assert_ptr_eq(seen.ss_sp, own);
	ck_assert_int_eq(sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL), 0);
	free(own);
}
