/* SPDX-License-Identifier: MIT */
/*
 * check_prefork.c - a server whose process forks: made once, it serves in each child, and what a
 * child does with its copy is not seen by the parent.
 */
#include "acceptance.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Check has a handler for SIGTERM, which kills the children as well. */
static void
setup(void)
{
	signal(SIGTERM, SIG_DFL);
	acc_setup();
}

FIXTURE(setup, acc_teardown);

#define CHILDREN 3

/* -- children -- */

static const struct sks_options stoppable = { .stop_signals = 1 };
/* Runs again. */
static const struct sks_options again = { .stop_signals = 1, .close_listeners = SKS_OFF };

/* SIGTERM is blocked in the child: one that comes before it serves waits for that. */
static pid_t
fork_blocked(void)
{
	sigset_t set, old;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static _Noreturn void
serve_and_leave(const struct acc *acc)
{
	_exit(sks_serve_forever(acc->server) == 0 ? 0 : 1);
}

static pid_t
fork_serving(const struct acc *acc)
{
	pid_t pid = fork_blocked();

	if (pid == 0)
		serve_and_leave(acc);
	return pid;
}

static void
expect_exit(pid_t pid, int code)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), code);
}

static void
stop_child(pid_t pid)
{
	kill(pid, SIGTERM);
	expect_exit(pid, 0);
}

static void
talk(const struct acc *acc)
{
	acc_ask(acc, "e one\ne two\nd\n", "e one\ne two\n");
}

/* -- who serves -- */

/* With each child that ends it is the turn of the others. */
TEST(each_child_serves, EACH_MODE)
{
	pid_t pids[CHILDREN];
	struct acc acc;
	int i;

	acc_tcp(&acc, _i, &acc_script, &stoppable);
	for (i = 0; i < CHILDREN; i++)
		pids[i] = fork_serving(&acc);
	for (i = 0; i < CHILDREN; i++) {
		talk(&acc);
		talk(&acc);
		stop_child(pids[i]);
	}
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), log_count("drained in"));
}

TEST(each_child_takes_datagrams, EACH_DATAGRAM)
{
	pid_t pids[CHILDREN];
	struct acc acc;
	int i;

	acc_datagrams(&acc, _i, &acc_script, &stoppable);
	for (i = 0; i < CHILDREN; i++)
		pids[i] = fork_serving(&acc);
	for (i = 0; i < CHILDREN; i++) {
		talk(&acc);
		stop_child(pids[i]);
	}
	acc_free(&acc);
}

/* Also behind a run of its own, which has started threads. */
TEST(the_parent_serves_as_well, EACH_MODE)
{
	struct acc acc;
	pid_t pid;
	int run;

	acc_tcp(&acc, _i, &acc_script, &again);
	for (run = 0; run < 2; run++) {
		pid = fork_serving(&acc);
		acc_start(&acc);
		talk(&acc);
		stop_child(pid);
		talk(&acc);
		acc_stop(&acc);
	}
	pid = fork_serving(&acc);
	talk(&acc);
	stop_child(pid);
	acc_free(&acc);
}

/* The child's own run is another one than that of its parent, which has a client. */
TEST(a_child_of_a_server_that_runs_serves, EACH_MODE)
{
	struct acc acc;
	pid_t pid;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &stoppable);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "e one\nk\n");
	peer_expect(fd, "e one\n");
	ck_eventually(acc_has_parked(&acc, 1));
	pid = fork_blocked();
	if (pid == 0) {
		close(fd);
		serve_and_leave(&acc);
	}
	talk(&acc);
	peer_puts(fd, "e two\nd\n");
	peer_expect(fd, "e two\n");
	peer_expect_eof(fd);
	acc_stop(&acc);
	talk(&acc);
	stop_child(pid);
	acc_free(&acc);
}

TEST(children_fork_again, EACH_MODE)
{
	struct acc acc;
	pid_t pid, deeper;

	acc_tcp(&acc, _i, &acc_script, &again);
	pid = fork_blocked();
	if (pid == 0) {
		/* It serves, is told to stop by a client, and has a child go on. */
		if (sks_serve_forever(acc.server) == -1)
			_exit(1);
		deeper = fork();
		if (deeper == 0) {
			atomic_store(&seen->note, 1);
			serve_and_leave(&acc);
		}
		sks_server_free(acc.server);
		_exit(waitpid(deeper, NULL, 0) == deeper ? 0 : 1);
	}
	acc_ask(&acc, "e one\ns\nd\n", "e one\n");
	ck_eventually(atomic_load(&seen->note) == 1);
	acc_ask(&acc, "e two\ns\nd\n", "e two\n");
	expect_exit(pid, 0);
	acc_free(&acc);
}

/* -- daemon(3) between any two calls -- */

enum { BEFORE_NEW, BEFORE_LISTEN, BEFORE_SERVE, PLACES };

/* As daemon(3) does it, but what was open stays open. */
static void
become_daemon(int now)
{
	if (!now)
		return;
	if (fork() != 0)
		_exit(0);
	setsid();
}

static _Noreturn void
run_daemon(const struct acc_mode *mode, int place, const char *address, int tell)
{
	struct sks_options options = acc_options(mode, &stoppable);
	struct sks_server *server;
	char own[160];

	become_daemon(place == BEFORE_NEW);
	server = sks_server_new(&acc_script, &options);
	become_daemon(place == BEFORE_LISTEN);
	if (server == NULL || sks_server_listen(server, address) == -1)
		_exit(1);
	become_daemon(place == BEFORE_SERVE);
	sks_server_address(server, 0, own, sizeof(own));
	if (write(tell, own, sizeof(own)) != (ssize_t)sizeof(own))
		_exit(1);
	if (sks_serve_forever(server) == -1)
		_exit(1);
	sks_server_free(server);
	_exit(0);
}

TEST(a_server_becomes_a_daemon, TIMES(ACC_MODES * PLACES))
{
	struct acc acc = { .mode = &acc_modes[_i / PLACES], .transport = ACC_UNIX };
	int tell[2], status;
	pid_t pid;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(pipe(tell), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		run_daemon(acc.mode, _i % PLACES, acc_listen_address(ACC_UNIX), tell[1]);
	expect_exit(pid, 0);
	close(tell[1]);
	ck_assert_int_eq(read(tell[0], acc.address, sizeof(acc.address)), sizeof(acc.address));
	close(tell[0]);
	talk(&acc);
	acc_ask(&acc, "e last\ns\nd\n", "e last\n");
	ck_assert_int_gt(waitpid(-1, &status, 0), 0);
	ck_assert_int_eq(status, 0);
}

/* -- what a child does with its copy is its own -- */

/* Clients of the parent: one is parked, and one, where several are served at once, waits. */
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

/* Whatever ran before: memory is given back as well. */
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

/* Nor counts their connections. In processes there are no groups. */
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

/* In processes the server is that of the parent, which runs. */
TEST(a_handlers_child_can_not_serve, EACH_MODE)
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

/* It comes back to its parent's run, which is none of its own, and then serves. */
TEST(a_child_of_a_hook_is_told_that_the_run_is_not_its_own, EACH_MODE)
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

/* -- on the base of a host -- */

enum { STARTS_ITSELF, STARTS_AGAIN, GOES_ON, STARTS };

static _Noreturn void
dispatch_and_leave(struct acc *acc, struct event_base *base, int starts)
{
	if (event_reinit(base) == -1 || (starts && sks_server_start(acc->server) == -1))
		_exit(1);
	event_base_dispatch(base); /* to the shutdown that a client asks for */
	sks_server_free(acc->server);
	event_base_free(base);
	_exit(0);
}

TEST(on_the_base_of_a_host, TIMES(ACC_MODES * STARTS))
{
	int start = _i % STARTS;
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	pid_t pid;

	acc_tcp(&acc, _i / STARTS, &acc_script, &options);
	if (acc.mode->reuse_port && start != STARTS_ITSELF) { /* the parent's other loop serves, too */
		acc_free(&acc);
		event_base_free(options.base);
		return;
	}
	if (start != STARTS_ITSELF)
		ck_assert_int_eq(sks_server_start(acc.server), 0);
	pid = fork();
	if (pid == 0)
		dispatch_and_leave(&acc, options.base, start != GOES_ON);
	acc_ask(&acc, "e one\nd\n", "e one\n");
	acc_ask(&acc, "e two\ns\nd\n", "e two\n");
	expect_exit(pid, 0);
	/* The base of the parent is as it was. */
	if (start == STARTS_ITSELF)
		ck_assert_int_eq(sks_server_start(acc.server), 0);
	sks_server_shutdown(acc.server);
	event_base_dispatch(options.base);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	acc_free(&acc);
	event_base_free(options.base);
}

/* -- without means -- */

TEST(a_child_without_descriptors_says_so, EACH_MODE)
{
	struct acc acc;
	pid_t pid;

	acc_tcp(&acc, _i, &acc_script, &stoppable);
	pid = fork_blocked();
	if (pid == 0) {
		fault("epoll_create1:EMFILE:1");
		if (sks_serve_forever(acc.server) != -1 || errno != EMFILE)
			_exit(1);
		sks_fault_clear();
		fault("mmap:ENOMEM:1");
		if (sks_serve_forever(acc.server) != -1 || errno != ENOMEM)
			_exit(2);
		sks_fault_clear();
		serve_and_leave(&acc);
	}
	talk(&acc);
	stop_child(pid);
	acc_free(&acc);
}
