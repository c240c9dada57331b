/* SPDX-License-Identifier: MIT */
/*
 * check_process_places.c - how many child processes there are: their number is limited, and so are
 * the descriptors that they take from their server.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

TEST(no_more_children_than_max_running)
{
	struct sks_options options = { .max_running = 1 };
	struct acc acc;
	int one, two;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, &options);
	one = acc_client(&acc);
	peer_puts(one, "e1\n");
	peer_expect(one, "e1\n");
	two = acc_client(&acc);
	peer_puts(two, "e2\nd\n");
	ck_assert(peer_is_silent(two));
	ck_assert_int_eq((int)acc_stats(&acc).accepted, 1);
	peer_puts(one, "d\n");
	peer_expect_eof(one);
	peer_expect(two, "e2\n");
	peer_expect_eof(two);
	acc_free(&acc);
}

/* Each child is begun by the end of the one before it, as the timer notices it. */
TEST(without_pidfds_one_child_follows_another)
{
	struct sks_options options = { .max_running = 1 };
	struct acc acc;
	int fd[3], i;

	acc_tcp(&acc, ACC_PROCESSES, &acc_script, &options);
	ck_assert_int_eq(sks_fault("pidfd_open:EMFILE:1+"), 0);
	acc_start(&acc);
	for (i = 0; i < 3; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "e\nd\n");
	}
	for (i = 0; i < 3; i++) {
		peer_expect(fd[i], "e\n");
		peer_expect_eof(fd[i]);
	}
	ck_eventually(acc_stats(&acc).finished == 3);
	acc_free(&acc);
}

/* _i: there is no pidfd, and a timer must do. */
TEST(the_end_of_a_child_is_noticed, TIMES(2))
{
	struct acc acc;
	int fd[2], i;

	acc_serve(&acc, ACC_PROCESSES, &acc_script, NULL);
	if (_i)
		ck_assert_int_eq(sks_fault("pidfd_open:EMFILE:1+"), 0);
	for (i = 0; i < 2; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "e\n");
		peer_expect(fd[i], "e\n");
	}
	peer_puts(fd[1], "d\n");
	peer_expect_eof(fd[1]);
	ck_eventually(acc_stats(&acc).finished == 1);
	peer_puts(fd[0], "d\n");
	peer_expect_eof(fd[0]);
	ck_eventually(acc_stats(&acc).finished == 2);
	acc_free(&acc);
}

/* _i: as above. */
TEST(the_place_of_a_child_that_ended_is_free, TIMES(2))
{
	struct sks_options options = { .max_running = 2 };
	struct acc acc;
	int i, fd[4];

	acc_serve(&acc, ACC_PROCESSES, &acc_script, &options);
	if (_i)
		ck_assert_int_eq(sks_fault("pidfd_open:EMFILE:1+"), 0);
	for (i = 0; i < 4; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "e\n");
	}
	peer_expect(fd[0], "e\n");
	peer_expect(fd[1], "e\n");
	ck_assert(peer_is_silent(fd[2]));
	for (i = 0; i < 4; i++)
		peer_puts(fd[i], "d\n");
	peer_expect_eof(fd[0]);
	peer_expect_eof(fd[1]);
	peer_expect(fd[2], "e\n");
	peer_expect(fd[3], "e\n");
	peer_expect_eof(fd[2]);
	peer_expect_eof(fd[3]);
	ck_eventually(acc_stats(&acc).finished == 4);
	acc_free(&acc);
}

static rlim_t
limit_files(rlim_t most)
{
	struct rlimit files;
	rlim_t before;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	before = files.rlim_cur;
	files.rlim_cur = most;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	return before;
}

static int
lowest_free_descriptor(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

#define MANY 60

static int
open_some(struct sks_request *req)
{
	int i;

	for (i = 0; i < 5; i++)
		if (dup(STDIN_FILENO) == -1)
			return -1;
	return sks_gets(req->rfile) == NULL && errno == 0 ? SKS_DONE : -1;
}

/* In a process of their own: the limit of descriptors is for the server. */
static pid_t
start_clients(const char *address, rlim_t files)
{
	pid_t pid = fork();
	int i;

	if (pid != 0)
		return pid;
	limit_files(files);
	for (i = 0; i < MANY; i++)
		peer_connect(address);
	while (1)
		pause();
}

/*
 * More children than the server may have descriptors: clients and handlers find some all the same.
 */
TEST(children_leave_descriptors_for_others)
{
	static const struct sks_handler handler = { .handle = open_some };
	struct sks_options options = { .max_running = 2 * MANY };
	struct acc acc;
	pid_t clients;
	rlim_t files;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	files = limit_files((rlim_t)lowest_free_descriptor() + MANY / 2);
	clients = start_clients(acc.address, files);
	ck_eventually(acc_stats(&acc).accepted == MANY);
	kill(clients, SIGKILL);
	ck_assert_int_eq(waitpid(clients, NULL, 0), clients);
	ck_eventually(acc_stats(&acc).finished == MANY);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_int_eq(log_lines(), 0);
	limit_files(files);
	acc_free(&acc);
}
