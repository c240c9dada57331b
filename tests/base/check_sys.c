/* SPDX-License-Identifier: MIT */
/*
 * check_sys.c - the system calls, and in the test build the faults that can be
 * put into them.
 */
#include "harness.h"
#include "suite.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

TEST(calls_without_faults_are_the_calls)
{
	struct timespec ts;
	char *text = sks_sys_malloc(4);
	int fd;

	ck_assert_ptr_nonnull(text);
	memcpy(text, "abc", 4);
	text = sks_sys_realloc(text, 400);
	ck_assert_str_eq(text, "abc");
	sks_sys_free(text);
	ck_assert_int_eq(sks_sys_clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	fd = sks_sys_open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sks_sys_fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(sks_sys_fcntl(fd, F_SETFD, 0), 0);
	ck_assert_int_eq(sks_sys_close(fd), 0);
	ck_assert_int_eq(sks_sys_fault_point("event_add"), 0);
}

TEST(child_is_known_by_its_pidfd)
{
	pid_t pid = sks_sys_fork();
	siginfo_t info;
	int fd;

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(7);
	fd = sks_sys_pidfd_open(pid, 0);
	memset(&info, 0, sizeof(info));
	if (fd == -1) /* valgrind does not know the call */
		ck_assert_int_eq(errno, ENOSYS);
	else {
		struct pollfd ended = { .fd = fd, .events = POLLIN };

		ck_assert_int_eq(sks_sys_poll(&ended, 1, -1), 1);
		sks_sys_close(fd);
	}
	ck_assert_int_eq(sks_sys_waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	ck_assert_int_eq(info.si_status, 7);
}

/*
 * Of two: bit k of SKS_TEST_FAILING is set when call k is to fail. environment_has_rules runs it.
 */
TEST(calls_fail_as_the_environment_says)
{
	const char *which = getenv("SKS_TEST_FAILING");
	int first = sks_sys_shutdown(-1, SHUT_RD) == -1 && errno == EIO;
	int second = sks_sys_shutdown(-1, SHUT_RD) == -1 && errno == EIO;

	ck_assert_int_eq(second * 2 + first, which != NULL ? atoi(which) : 0);
}

FIXTURE(sks_fault_clear, sks_fault_clear);

/* One use of "shutdown", which has nothing to do here: 0 or its error. */
static int
use(void)
{
	errno = 0;
	ck_assert_int_eq(sks_sys_shutdown(-1, SHUT_RD), -1);
	return errno == EBADF ? 0 : errno;
}

TEST(allocations_are_one_family)
{
	void *ptr;

	fault("malloc:ENOMEM:3");
	ptr = sks_sys_malloc(1);
	ck_assert_ptr_nonnull(ptr);
	sks_sys_free(ptr);
	ptr = sks_sys_calloc(1, 1);
	ck_assert_ptr_nonnull(ptr);
	errno = 0;
	ck_assert_ptr_null(sks_sys_realloc(ptr, 100));
	ck_assert_int_eq(errno, ENOMEM);
	sks_sys_free(ptr);
	ck_assert_uint_eq(sks_fault_calls("malloc"), 3);
}

TEST(memory_is_counted_until_it_is_given_back)
{
	long before = sks_sys_held();
	char *one = sks_sys_malloc(1), *two = sks_sys_realloc(NULL, 1);
	void *page = sks_sys_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	one = sks_sys_realloc(one, 1000);
	ck_assert_int_eq(sks_sys_held(), before + 3);
	fault("malloc:ENOMEM:1+,mmap:ENOMEM:1");
	ck_assert_ptr_null(sks_sys_calloc(1, 1));
	ck_assert_ptr_null(sks_sys_realloc(one, 2000));
	ck_assert_ptr_eq(
	    sks_sys_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
	ck_assert_int_eq(sks_sys_held(), before + 3);
	sks_sys_free(one);
	sks_sys_free(NULL);
	sks_sys_give_away(two);
	ck_assert_int_eq(sks_sys_munmap(page, 4096), 0);
	ck_assert_int_eq(sks_sys_held(), before);
	free(two);
}

/* A refused call must leave the world alone, and a harmless one have no say in errno. */
TEST(failed_calls_return_what_libc_returns)
{
	struct addrinfo *list = NULL;
	struct sockaddr_storage addr = { .ss_family = AF_INET };
	char host[10];
	pthread_t thread;
	int fd, i;

	fault("mmap:ENOMEM,socket:EMFILE,fork:EAGAIN,pidfd_open:ENOSYS,open:ENFILE,fcntl:EPERM:1");
	ck_assert_ptr_eq(
	    sks_sys_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_sys_socket(AF_UNIX, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(sks_sys_fork(), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_sys_pidfd_open(getpid(), 0), -1);
	ck_assert_int_eq(errno, ENOSYS);
	ck_assert_int_eq(sks_sys_open("/dev/null", O_RDONLY), -1);
	ck_assert_int_eq(errno, ENFILE);
	ck_assert_int_eq(sks_sys_fcntl(0, F_GETFD), -1);
	ck_assert_int_eq(errno, EPERM);
	fd = sks_sys_open("/dev/null", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	close(fd);

	fault("pthread_create:EAGAIN");
	errno = 0;
	ck_assert_int_eq(sks_sys_pthread_create(&thread, NULL, NULL, NULL), EAGAIN);
	ck_assert_int_eq(errno, 0);

	fault("getaddrinfo:EAI_AGAIN,getaddrinfo:EMFILE:2,getnameinfo:EAI_FAIL");
	ck_assert_int_eq(sks_sys_getaddrinfo("127.0.0.1", "1", NULL, &list), EAI_AGAIN);
	ck_assert_int_eq(errno, 0);
	ck_assert_int_eq(sks_sys_getaddrinfo("127.0.0.1", "1", NULL, &list), EAI_SYSTEM);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(sks_sys_getaddrinfo("127.0.0.1", "1", NULL, &list), 0);
	freeaddrinfo(list);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(sks_sys_getnameinfo((struct sockaddr *)&addr, sizeof(addr), host,
		    sizeof(host), NULL, 0, NI_NUMERICHOST), i == 0 ? EAI_FAIL : 0);
	ck_assert_uint_eq(sks_fault_hits(), 10);
}

/* In any suite. Another thread may have got the number meanwhile. */
TEST(a_second_close_is_found, .signal = SIGABRT)
{
	int fd = open("/dev/null", O_RDONLY);

	fault("close:EINTR");
	ck_assert_int_eq(sks_sys_close(fd), -1);
	(void)sks_sys_close(fd);
}

TEST(failed_close_has_closed)
{
	int fd = open("/dev/null", O_RDONLY);

	fault("close:EINTR");
	ck_assert_int_eq(sks_sys_close(fd), -1);
	ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}

TEST(interrupted_connect_has_begun_and_refused_has_not)
{
	struct sockaddr_storage addr = { .ss_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	fault("connect:ECONNREFUSED:1,connect:EINTR:2");
	ck_assert_int_eq(sks_sys_connect(fd, (struct sockaddr *)&addr, len), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&addr, &len), -1);
	ck_assert_int_eq(sks_sys_connect(fd, (struct sockaddr *)&addr, len), -1);
	ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	close(listener);
}

TEST(short_rules_bound_what_each_call_moves)
{
	char in[16], out[16] = "abcdefghijklmno";
	struct iovec o[3] = { { out, 2 }, { out, 0 }, { out + 2, 8 } };
	struct iovec i[2] = { { in, 1 }, { in + 1, 9 } };
	struct msghdr omsg = { .msg_iov = o, .msg_iovlen = 3 };
	struct msghdr imsg = { .msg_iov = i, .msg_iovlen = 2 };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fault("send:short=3,write:short=2,sendmsg:short=5:1");
	ck_assert_int_eq(sks_sys_send(fds[0], out, 10, 0), 3);
	ck_assert_int_eq(sks_sys_send(fds[0], out, 3, 0), 3);
	ck_assert_int_eq(sks_sys_write(fds[0], out, 10), 2);
	ck_assert_int_eq(sks_sys_sendmsg(fds[0], &omsg, 0), 5);
	ck_assert_int_eq(sks_sys_sendmsg(fds[0], &omsg, 0), 10);
	/* abc abc ab abcde abcdefghij, and hits only where it was cut. */
	ck_assert_uint_eq(sks_fault_hits(), 3);

	fault("recv:short=1,read:short=1,recvmsg:short=2");
	ck_assert_int_eq(sks_sys_recv(fds[1], in, sizeof(in), MSG_PEEK), 1);
	ck_assert_int_eq(sks_sys_recv(fds[1], in, sizeof(in), 0), 1);
	ck_assert_int_eq(sks_sys_read(fds[1], in, sizeof(in)), 1);
	ck_assert_int_eq(sks_sys_recvmsg(fds[1], &imsg, 0), 2);
	ck_assert_mem_eq(in, "ca", 2);
	ck_assert_ptr_eq(imsg.msg_iov, i);
	ck_assert_uint_eq((size_t)imsg.msg_iovlen, 2);
	ck_assert_uint_eq(i[1].iov_len, 9);
	ck_assert_uint_eq(sks_fault_hits(), 7);
	ck_assert_int_eq(recv(fds[1], in, sizeof(in), 0), 16);
	ck_assert_mem_eq(in, "bc" "ab" "abcde" "abcdefg", 16);
	close(fds[0]);
	close(fds[1]);
}

TEST(short_rules_go_past_many_empty_pieces)
{
	struct iovec parts[40];
	char byte = 'x', got[4];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 40 };
	int fds[2], i;

	for (i = 0; i < 40; i++)
		parts[i] = (struct iovec){ &byte, i < 30 ? 0 : 1 };
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fault("sendmsg:short=2");
	ck_assert_int_eq(sks_sys_sendmsg(fds[1], &msg, 0), 2);
	msg.msg_iovlen = 30;
	ck_assert_int_eq(sks_sys_sendmsg(fds[1], &msg, 0), 0);
	msg.msg_iovlen = 0;
	ck_assert_int_eq(sks_sys_sendmsg(fds[1], &msg, 0), 0);
	ck_assert_int_eq(read(fds[0], got, 4), 2);
	close(fds[0]);
	close(fds[1]);
}

TEST(short_rules_spare_datagrams_and_eventfds)
{
	uint64_t count = 5;
	char in[16];
	struct iovec i = { in, sizeof(in) };
	struct msghdr msg = { .msg_iov = &i, .msg_iovlen = 1 };
	int fds[2], event = eventfd(0, EFD_NONBLOCK);

	fault("read:short=1,write:short=1,send:short=1,recv:short=1,recvmsg:short=1");
	ck_assert_int_eq(sks_sys_write(event, &count, sizeof(count)), 8);
	ck_assert_int_eq(sks_sys_read(event, &count, sizeof(count)), 8);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(sks_sys_send(fds[0], "abcd", 4, 0), 4);
	ck_assert_int_eq(sks_sys_recv(fds[1], in, sizeof(in), 0), 4);
	ck_assert_int_eq(sks_sys_send(fds[0], "abcd", 4, 0), 4);
	ck_assert_int_eq(sks_sys_recvmsg(fds[1], &msg, 0), 4);
	ck_assert_uint_eq(sks_fault_hits(), 0);
	close(event);
	close(fds[0]);
	close(fds[1]);
}

TEST(an_error_goes_before_a_short)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	fault("write:short=1,write:EAGAIN:%%2");
	ck_assert_int_eq(sks_sys_write(fds[1], "abc", 3), 1);
	ck_assert_int_eq(sks_sys_write(fds[1], "abc", 3), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_sys_write(fds[1], "abc", 3), 1);
	close(fds[0]);
	close(fds[1]);
}

TEST(fault_points_fail_by_name)
{
	fault("event_add:ENOSPC:2");
	ck_assert_int_eq(sks_sys_fault_point("event_add"), 0);
	ck_assert_int_eq(sks_sys_fault_point("event_add"), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_uint_eq(sks_fault_calls("event_add"), 2);
}

TEST(unknown_fault_point_aborts, .signal = SIGABRT)
{
	sks_sys_fault_point("event_ad");
}

TEST(forked_child_goes_on_with_a_copy)
{
	int status;
	pid_t pid;

	fault("shutdown:EIO:2");
	ck_assert_int_eq(use(), 0);
	pid = sks_sys_fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		int fails = sks_sys_shutdown(-1, SHUT_RD) == -1 && errno == EIO;

		sks_fault_clear();
		_exit(fails && sks_fault_calls("shutdown") == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(use(), EIO);
}

#define THREADS 4
#define USES 5000

static void *
use_often(void *arg)
{
	uintptr_t failed = 0;
	int i;

	(void)arg;
	for (i = 0; i < USES; i++)
		failed += sks_sys_shutdown(-1, SHUT_RD) == -1 && errno == EIO;
	return (void *)failed;
}

TEST(threads_share_one_count)
{
	pthread_t threads[THREADS];
	uintptr_t failed = 0;
	void *result;
	int i;

	fault("shutdown:EIO:7000,shutdown:EIO:%%10000");
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_often, NULL), 0);
	for (i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &result), 0);
		failed += (uintptr_t)result;
	}
	ck_assert_uint_eq(failed, 3);
	ck_assert_uint_eq(sks_fault_hits(), 3);
	ck_assert_uint_eq(sks_fault_calls("shutdown"), THREADS * USES);
}

TEST(rules_may_change_while_threads_use_them)
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_often, NULL), 0);
	for (i = 0; i < 200; i++) {
		fault("shutdown:EIO:3,listen:EPERM:1+");
		sks_fault_clear();
	}
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(use(), 0);
}

/* Runs the test of the environment above in this program, anew. Its exit status. */
static int
run_with(const char *fault, const char *which)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		setenv("SKS_FAULT", fault, 1);
		setenv("SKS_TEST_FAILING", which, 1);
		execl(program_invocation_name, program_invocation_name,
		    "calls_fail_as_the_environment_says", (char *)NULL);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(environment_has_rules)
{
	ck_assert_int_eq(run_with("shutdown:EIO:2", "2"), EXIT_SUCCESS);
	ck_assert_int_eq(run_with("shutdown:EIO:2", "1"), EXIT_FAILURE);
	ck_assert_int_eq(run_with("shutdown:EIO:1+", "3"), EXIT_SUCCESS);
	ck_assert_int_eq(run_with("", "0"), EXIT_SUCCESS);
	ck_assert_int_eq(run_with("shutdown:EWHAT", "0"), EXIT_FAILURE);
}
