/* SPDX-License-Identifier: MIT */
/*
 * check_refusals.c - clients that are refused: each cause is counted and has one line of the log in
 * a second, and a client for which there is no descriptor is told so.
 */
#include "acceptance.h"
#include "faults.h"
#include "rig.h"

#include "base/sys.h"
#include "base/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static const struct sks_options told = { .reject_text = "full\n" };

/* A client that is told that no descriptor is free. */
static void
expect_told(int fd)
{
	peer_expect(fd, "full\n");
	peer_expect_eof(fd);
}

/* A connection is counted behind its close(2), which its client may see before. */
static void
expect_counts(const struct acc *acc, unsigned int rejected)
{
	struct sks_stats stats;

	ck_eventually(acc_stats(acc).refused == rejected);
	stats = acc_stats(acc);
	ck_assert_uint_eq(stats.rejected_files, rejected);
	ck_assert_uint_eq(stats.accepted, stats.finished + stats.refused);
}

/* -- no descriptor is free -- */

TEST(a_client_without_a_descriptor_is_told, EACH_STREAM)
{
	struct acc acc;

	acc_streams(&acc, _i, &acc_script, &told);
	acc_start_serving(&acc);
	ck_assert_int_eq(sks_fault("accept4:EMFILE:1"), 0);
	expect_told(acc_client(&acc));
	ck_assert_int_eq(log_count("rejected: "), 1);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	expect_counts(&acc, 1);
	acc_free(&acc);
}

#define FILES 256

/* Uses up all descriptors of the process. Returns how many it holds. */
static int
fill_table(int *held, const struct rlimit *files)
{
	struct rlimit few = { .rlim_cur = FILES, .rlim_max = files->rlim_max };
	int n;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (n = 0; (held[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) != -1; n++)
		ck_assert_int_lt(n, FILES);
	return n;
}

/*
 * The server is in this process, so that the table is its own, too. With two loops that accept, one
 * may take the descriptor that the other is about to put back: then there is one client only.
 */
TEST(all_descriptors_are_used_up, EACH_MODE,
    .left_out = RUNNING_ON_VALGRIND ? "valgrind keeps descriptors for itself" : NULL)
{
	int held[FILES + 1], fd[3], i, n, clients;
	struct rlimit files;
	union peer_name name;
	struct acc acc;
	socklen_t len;

	acc_tcp(&acc, _i, &acc_script, &told);
	acc_start_serving(&acc);
	len = peer_name(acc.address, &name);
	clients = acc.mode->reuse_port ? 1 : 3;
	for (i = 0; i < clients; i++)
		fd[i] = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	n = fill_table(held, &files);
	for (i = 0; i < clients; i++) {
		char byte;

		ck_assert_int_eq(connect(fd[i], &name.any, len), 0);
		peer_expect(fd[i], "full\n");
		ck_assert_int_eq(peer_recv(fd[i], &byte, 1), 0);
	}
	while (n > 0)
		close(held[--n]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (i = 0; i < clients; i++)
		close(fd[i]);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	expect_counts(&acc, (unsigned int)clients);
	acc_free(&acc);
}

/* When a request has ended, no accept4(2) from before it is under way, which would take a fault. */
static void
ask_and_settle(const struct acc *acc, unsigned int finished)
{
	acc_ask(acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(acc).finished == finished);
}

/*
 * Another thread has taken the reserve: the next client waits, as it does without a text, and is
 * served.
 */
TEST(a_reserve_that_is_lost_is_made_anew)
{
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &told);
	acc_start_serving(&acc);
	ck_assert_int_eq(sks_fault("accept4:EMFILE:1,eventfd:EMFILE:1"), 0);
	expect_told(acc_client(&acc));
	ask_and_settle(&acc, 1);
	ck_assert_int_eq(sks_fault("accept4:EMFILE:1"), 0);
	ask_and_settle(&acc, 2);
	ck_assert_int_eq(log_count("trying again soon"), 1);
	ck_assert_int_eq(sks_fault("accept4:EMFILE:1"), 0);
	expect_told(acc_client(&acc));
	expect_counts(&acc, 2);
	acc_free(&acc);
}

TEST(one_that_leaves_meanwhile_is_none)
{
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &told);
	acc_start_serving(&acc);
	ck_assert_int_eq(sks_fault("accept4:EMFILE:1,accept4:EAGAIN:2"), 0);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	expect_counts(&acc, 0);
	ck_assert_int_eq(log_lines(), 0);
	acc_free(&acc);
}

/* -- the other causes -- */

#define CLIENTS 20

/* One line a second for all of them. */
static void
expect_lines(const char *text, int64_t began)
{
	int lines = log_count(text);

	ck_assert_int_ge(lines, 1);
	ck_assert_int_le(lines, (int)((rig_now() - began) / 1000000000) + 2);
}

TEST(for_lack_of_memory, EACH_MODE)
{
	struct acc acc;
	int64_t began = rig_now();
	int i;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start_serving(&acc);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	for (i = 0; i < CLIENTS; i++)
		peer_expect_gone(acc_client(&acc));
	sks_fault_clear();
	ck_eventually(acc_stats(&acc).rejected_memory == CLIENTS);
	ck_assert_uint_eq(acc_stats(&acc).refused, CLIENTS);
	expect_lines("no memory for a connection", began);
	acc_free(&acc);
}

TEST(by_verify, EACH_TRANSPORT)
{
	struct sks_options options = { .verify = acc_refuse };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	if (!acc_is_stream(&acc))
		peer_puts(fd, "echo\n");
	ck_eventually(acc_stats(&acc).rejected_verify == 1);
	ck_eventually(acc_stats(&acc).refused == 1);
	ck_assert_int_eq(log_lines(), 0);
	close(fd);
	acc_free(&acc);
}
