/* SPDX-License-Identifier: MIT */
/*
 * check_prefork.c - a server whose process forks: made once, it serves in each child, and in the
 * parent as well.
 */
#include "forking.h"
#include "tools.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(forking_setup, acc_teardown,
    .left_out = SKS_TSAN ? "ThreadSanitizer knows no threads in a child of a process with threads" : NULL);

#define CHILDREN 3

/* -- each process serves -- */

/* When one child has ended, the others serve the next clients. */
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

/* The parent forks again after a run of its own, which has started threads. */
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

/*
 * The parent runs and has a parked client when it forks; both go on. In processes mode its loop may
 * be about to start a child at that moment, and a copy of half a step is good for nothing.
 */
TEST(a_child_of_a_server_that_runs_serves, EACH_MODE_IN_ONE_MEMORY,
    .left_out = SKS_ASAN ? FORKING_AND_ASAN : NULL)
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
		/*
		 * The child serves until a client says "s", which stops it, and forks one that
		 * goes on.
		 */
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

/* Does what daemon(3) does, but closes no descriptor. */
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
	/*
	 * The parent's other loop serves, too; or its thread has just begun, and AddressSanitizer,
	 * unlike malloc(3), takes its locks into the child as they are.
	 */
	if ((acc.mode->reuse_port || (SKS_ASAN && acc.mode->workers > 1)) && start != STARTS_ITSELF) {
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

/* -- what a parent has begun on the base of a host is not gone on with by its child -- */

static int goes_on; /* in this process */

static int
sleep_and_tell(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	if (sks_sleep(50) == -1)
		return -1;
	goes_on = 1;
	return sks_puts(req->wfile, "slept\n");
}

/* Dispatches the base for longer than a handler sleeps and a server drains here. */
static _Noreturn void
dispatch_a_while_and_leave(struct event_base *base)
{
	static const struct timeval longer = { .tv_usec = 100000 };

	goes_on = 0; /* where all is slow the parent's handler has woken before the fork */
	if (event_base_loopexit(base, &longer) == -1)
		_exit(2);
	event_base_dispatch(base);
	_exit(goes_on);
}

static int
turn_until(struct event_base *base, int is_true)
{
	return event_base_loop(base, EVLOOP_NONBLOCK) != -1 && is_true;
}

/* 0: the server has more loops, with threads, which go on whatever the parent does. */
static int
begin_on_base(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	acc_on(acc, i, acc_listen_address(ACC_UNIX), handler, options);
	if (acc->mode->workers > 1) {
		acc_free(acc);
		event_base_free(options->base);
		return 0;
	}
	ck_assert_int_eq(sks_server_start(acc->server), 0);
	return 1;
}

static void
end_on_base(struct acc *acc, struct event_base *base)
{
	sks_server_shutdown(acc->server);
	event_base_dispatch(base);
	acc_free(acc);
	event_base_free(base);
}

/* The child has the parent's loop still, or loops of its own already. */
TEST(a_handler_that_sleeps_wakes_in_the_parent_alone, TIMES(ACC_MODES * 2))
{
	static const struct sks_handler handler = { .handle = sleep_and_tell };
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	pid_t pid;
	int fd;

	if (!begin_on_base(&acc, _i / 2, &handler, &options))
		return;
	fd = acc_client(&acc);
	ck_eventually(turn_until(options.base, seen->handles == 1));
	pid = fork();
	if (pid == 0) {
		if (event_reinit(options.base) == -1 ||
		    (_i % 2 == 1 && sks_server_listen(acc.server, "127.0.0.1:0") == -1))
			_exit(3);
		dispatch_a_while_and_leave(options.base);
	}
	expect_exit(pid, 0);
	ck_eventually(turn_until(options.base, !peer_is_silent(fd)));
	peer_expect(fd, "slept\n");
	peer_expect_eof(fd);
	end_on_base(&acc, options.base);
}

TEST(the_end_of_a_drain_is_for_the_parent_to_see, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .drain_ms = 20, .linger_ms = 1 };
	struct acc acc;
	pid_t pid;
	int fd;

	if (!begin_on_base(&acc, _i, &acc_script, &options))
		return;
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	ck_eventually(turn_until(options.base, !peer_is_silent(fd)));
	peer_expect(fd, "waiting\n");
	sks_server_shutdown(acc.server);
	event_base_loop(options.base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(seen->waited, 0);
	pid = fork();
	if (pid == 0) {
		if (event_reinit(options.base) == -1)
			_exit(3);
		dispatch_a_while_and_leave(options.base);
	}
	expect_exit(pid, 0);
	ck_assert(peer_is_silent(fd));
	ck_assert_int_eq(seen->waited, 0);
	event_base_dispatch(options.base);
	ck_assert_int_eq(seen->waited, ECANCELED);
	close(fd);
	acc_free(&acc);
	event_base_free(options.base);
}

static struct sks_request *member;

static int
keep_member(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) <= 0)
		return SKS_DONE;
	member = req;
	atomic_fetch_add(&seen->handles, 1);
	return SKS_KEEP;
}

/* More than the kernel takes, so that the loop has some of it. */
static void
post_much(struct event_base *base)
{
	static const char block[10000];
	int i;

	for (i = 0; i < 100; i++)
		if (sks_post(member, block, sizeof(block)) == -1)
			event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Takes all that is there. Returns how much it was. */
static size_t
take_all(int fd)
{
	char block[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

/* Nobody can post to a connection of a process. */
TEST(what_is_posted_is_sent_by_the_parent_alone, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = keep_member };
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	pid_t pid;
	int fd, same, i;

	if (!begin_on_base(&acc, _i, &handler, &options))
		return;
	fd = acc_client(&acc);
	peer_puts(fd, "a line\n");
	ck_eventually(turn_until(options.base, seen->handles == 1 && acc_has_parked(&acc, 1)));
	post_much(options.base);
	same = dup(fd); /* a child has no clients of its own (support/peer.c) */
	pid = fork();
	if (pid == 0) {
		if (event_reinit(options.base) == -1 || take_all(same) == 0)
			_exit(3);
		for (i = 0; i < 3; i++)
			event_base_loop(options.base, EVLOOP_NONBLOCK);
		_exit(take_all(same) > 0);
	}
	expect_exit(pid, 0);
	close(same);
	close(fd);
	end_on_base(&acc, options.base);
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
