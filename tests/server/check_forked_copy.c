/* SPDX-License-Identifier: MIT */
/*
 * check_forked_copy.c - a child's copy of its parent's server: whatever the child does with it, the
 * parent's requests, counts and members stay as they are.
 */
#include "forking.h"
#include "tools.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(forking_setup, acc_teardown,
    .left_out = SKS_ASAN ? FORKING_AND_ASAN :
		SKS_TSAN ? "ThreadSanitizer knows no threads in a child of a process with threads" :
			   NULL);

/*
 * Two clients of the parent: one is parked. One waits in its handler, where several may run at
 * once.
 */
struct clients {
	int parked, waiting;
};

static void
have_clients(struct acc *acc, struct clients *clients)
{
	clients->parked = acc_client(acc);
	peer_puts(clients->parked, "e one\nk\n");
	peer_expect(clients->parked, "e one\n");
	ck_eventually(acc_has_parked(acc, 1));
	clients->waiting = -1;
	if (acc->mode->one_at_a_time)
		return;
	clients->waiting = acc_client(acc);
	peer_puts(clients->waiting, "w\n");
	peer_expect(clients->waiting, "waiting\n");
}

static void
clients_go_on(const struct clients *clients)
{
	peer_puts(clients->parked, "e two\nd\n");
	peer_expect(clients->parked, "e two\n");
	peer_expect_eof(clients->parked);
	ck_assert(clients->waiting == -1 || peer_is_silent(clients->waiting));
}

static void
close_clients(const struct clients *clients)
{
	close(clients->parked);
	if (clients->waiting != -1)
		close(clients->waiting);
}

TEST(a_child_that_only_frees_leaves_nothing_and_ends_nothing, EACH_STREAM)
{
	struct sks_options options = { .stop_signals = 1, .drain_ms = 1 };
	int before = open_descriptors();
	struct clients clients;
	struct acc acc;
	pid_t pid;

	acc_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	have_clients(&acc, &clients);
	pid = fork();
	if (pid == 0) {
		close_clients(&clients);
		sks_server_free(acc.server);
		_exit(open_descriptors() == before ? 0 : 1);
	}
	expect_exit(pid, 0);
	ck_assert_int_eq(seen->finishes, 0);
	clients_go_on(&clients);
	talk(&acc);
	sks_server_shutdown(acc.server);
	if (clients.waiting != -1)
		peer_expect_eof(clients.waiting);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

/* The child frees all memory, also when the parent's server has run before. */
TEST(a_child_frees_all_memory_of_a_server_that_is_idle, EACH_MODE)
{
	struct acc acc;
	pid_t pid;
	int round;

	acc_tcp(&acc, _i, &acc_script, NULL);
	for (round = 0; round < 2; round++) {
		pid = fork();
		if (pid == 0) {
			acc_free(&acc);
			_exit(memory_kept() == 0 ? 0 : 1);
		}
		expect_exit(pid, 0);
		acc_start(&acc);
		talk(&acc);
		acc_stop(&acc);
	}
	acc_free(&acc);
}

TEST(a_child_has_nothing_to_drain, EACH_MODE)
{
	struct sks_drain_report report = { .ended = 1 };
	struct acc acc;
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	talk(&acc);
	pid = fork();
	if (pid == 0)
		_exit(sks_server_drain(acc.server, SKS_DEFAULT, &report) == 0 && report.ended == 0 ? 0 : 1);
	expect_exit(pid, 0);
	talk(&acc);
	acc_free(&acc);
}

TEST(a_shutdown_in_a_child_is_for_its_own_run, EACH_MODE)
{
	struct acc acc;
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	talk(&acc);
	pid = fork();
	if (pid == 0) {
		sks_server_shutdown(acc.server);
		_exit(!sks_server_is_running(acc.server) && acc_stats(&acc).accepted == 0 &&
				sks_serve_forever(acc.server) == 0 ? 0 : 1);
	}
	expect_exit(pid, 0);
	talk(&acc);
	ck_assert_int_eq(sks_server_is_running(acc.server), 1);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 2);
	acc_free(&acc);
}

/* The statistics and the limits of each process are its own. */
TEST(each_child_counts_for_itself, EACH_MODE)
{
	struct acc acc;
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, &again);
	acc_start(&acc);
	talk(&acc);
	acc_stop(&acc);
	pid = fork_blocked();
	if (pid == 0) {
		if (sks_serve_forever(acc.server) == -1)
			_exit(1);
		_exit(acc_stats(&acc).accepted == 1 && acc_stats(&acc).finished == 1 ? 0 : 1);
	}
	talk(&acc);
	stop_child(pid);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	acc_free(&acc);
}

/* While the parent serves, a child that does not serve has its signals as they were. */
TEST(a_stop_signal_kills_a_child_that_does_not_serve, EACH_MODE)
{
	struct acc acc;
	int status;
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, &stoppable);
	acc_start(&acc);
	talk(&acc);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	acc_ask(&acc, "q\nd\n", "draining 0\n");
	acc_free(&acc);
}

TEST(a_child_listens_for_itself, EACH_MODE)
{
	struct acc acc, other;
	char address[160];
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, &stoppable);
	snprintf(address, sizeof(address), "unix:%s/other", acc_dir);
	pid = fork_blocked();
	if (pid == 0) {
		if (sks_server_listen(acc.server, address) == -1)
			_exit(1);
		if (sks_serve_forever(acc.server) == -1)
			_exit(1);
		sks_server_free(acc.server);
		_exit(0);
	}
	talk(&acc);
	other = acc;
	other.transport = ACC_UNIX;
	snprintf(other.address, sizeof(other.address), "%s", address);
	talk(&other);
	stop_child(pid);
	acc_free(&acc);
}

/* The parent goes on to listen where the child has closed. */
TEST(a_child_closes_an_address_for_itself, EACH_MODE)
{
	char address[160];
	struct acc acc;
	pid_t pid;

	snprintf(address, sizeof(address), "unix:%s/stream", acc_dir);
	acc_on(&acc, _i, address, &acc_script, NULL);
	acc_start(&acc);
	talk(&acc);
	pid = fork();
	if (pid == 0)
		_exit(sks_server_close_address(acc.server, address) == 0 &&
				sks_serve_forever(acc.server) == -1 && errno == EINVAL ? 0 : 1);
	expect_exit(pid, 0);
	talk(&acc);
	talk(&acc);
	acc_free(&acc);
}

/* Joins a group, and answers each line with how many take a post to it. */
static int
join_and_count(struct sks_request *req)
{
	if (sks_group_join(req->data, req) == -1)
		return -1;
	while (sks_gets(req->rfile) != NULL) {
		int n = sks_group_post(req->data, "post\n", 5, req);

		sks_printf(req->wfile, "%d others\n", n);
	}
	return sks_end(req->rfile);
}

static void
expect_others(int fd, const char *answer)
{
	peer_puts(fd, "?\n");
	peer_expect(fd, answer);
}

/* Nor does max_per_peer count the parent's connections. In processes mode there are no groups. */
TEST(a_child_has_no_members_of_its_parent, EACH_MODE_IN_ONE_MEMORY)
{
	const struct sks_handler handler = { .handle = join_and_count };
	struct sks_options options = { .stop_signals = 1, .drain_ms = 1, .max_per_peer = 1 };
	struct acc acc;
	int fd[2];
	pid_t pid;

	options.data = sks_group_new();
	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd[0] = acc_client(&acc);
	expect_others(fd[0], "0 others\n");
	pid = fork_blocked();
	if (pid == 0)
		serve_and_leave(&acc);
	sks_server_shutdown(acc.server);
	peer_expect_gone(fd[0]);
	acc_join(&acc);
	fd[1] = acc_client(&acc);
	expect_others(fd[1], "0 others\n");
	peer_half_close(fd[1]);
	peer_expect_eof(fd[1]);
	stop_child(pid);
	acc_free(&acc);
	sks_group_free(options.data);
}

static int
visit_until_told(struct sks_request *member, void *arg)
{
	(void)member;
	(void)arg;
	atomic_store(&seen->note, 1);
	while (atomic_load(&seen->note) != 2)
		breathe();
	return 0;
}

static void *
visit_all(void *group)
{
	ck_assert_int_eq(sks_group_each(group, NULL, visit_until_told, NULL), 0);
	return NULL;
}

/* The child has a copy of the group's lock, but not the thread that has it. */
TEST(a_child_does_not_wait_for_a_visit_of_its_parent, EACH_MODE_IN_ONE_MEMORY)
{
	const struct sks_handler handler = { .handle = join_and_count };
	struct sks_options options = { .data = sks_group_new() };
	pthread_t visitor;
	struct acc acc;
	pid_t pid;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	expect_others(fd, "0 others\n");
	ck_assert_int_eq(pthread_create(&visitor, NULL, visit_all, options.data), 0);
	ck_eventually(atomic_load(&seen->note) == 1);
	pid = fork();
	if (pid == 0) {
		limit_child(50);
		sks_server_free(acc.server);
		_exit((int)sks_group_count(options.data));
	}
	expect_exit(pid, 0);
	atomic_store(&seen->note, 2);
	pthread_join(visitor, NULL);
	ck_assert_uint_eq(sks_group_count(options.data), 1);
	close(fd);
	acc_free(&acc);
	sks_group_free(options.data);
}

/* -- forked where the server runs -- */

static int
serve_in_child_of_handler(struct sks_request *req)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(sks_serve_forever(req->server) == -1 && errno == EALREADY ? 0 : 1);
	waitpid(pid, &status, 0);
	return sks_printf(req->wfile, "%d\n", status) == -1 ? -1 : SKS_DONE;
}

/* In processes mode the handler runs in a child, and the server belongs to the parent. */
TEST(a_handlers_child_cannot_serve, EACH_MODE)
{
	const struct sks_handler handler = { .handle = serve_in_child_of_handler };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "0\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

static void
fork_once(struct sks_server *server, void *data)
{
	pid_t pid;

	(void)server;
	(void)data;
	if (atomic_exchange(&seen->ticks, 1) != 0)
		return;
	pid = fork();
	if (pid != 0)
		atomic_store(&seen->note, pid);
}

static _Noreturn void
serve_as_child_too(const struct acc *acc)
{
	int rc = sks_serve_forever(acc->server);

	if (rc == -1 && errno == ECHILD)
		rc = sks_serve_forever(acc->server);
	_exit(rc == 0 ? 0 : 1);
}

/* When the hook returns in the child, its run fails with ECHILD, and the next run is its own. */
TEST(a_run_that_a_hook_forked_from_is_not_the_childs, EACH_MODE)
{
	struct sks_options options = { .stop_signals = 1, .on_tick = fork_once, .tick_ms = 1 };
	struct acc acc;
	pid_t pid;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	acc_tcp(&acc, _i, &acc_script, &options);
	pid = fork_blocked();
	if (pid == 0)
		serve_as_child_too(&acc);
	ck_eventually(atomic_load(&seen->note) > 0);
	talk(&acc);
	stop_child(pid);
	talk(&acc);
	stop_child(atomic_load(&seen->note));
	acc_free(&acc);
}
