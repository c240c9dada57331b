/* SPDX-License-Identifier: MIT */
/*
 * check_failures.c - failures of the catalogue (tests/FAILURES.md) that belong to no other suite,
 * each with its number.
 */
#include "acceptance.h"
#include "bad_host.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* -- 12: more clients than the backlog has room for, before anybody accepts -- */

#define CROWD 8

/* Starts to connect, and does not wait for an answer. */
static int
begin_to_connect(const char *address)
{
	union peer_name name;
	socklen_t len = peer_name(address, &name);
	int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	if (connect(fd, &name.any, len) == -1)
		ck_assert_int_eq(errno, EINPROGRESS);
	return fd;
}

static void
begin_to_wait(const int fd[CROWD], struct pollfd waiting[CROWD])
{
	int i;

	for (i = 0; i < CROWD; i++)
		waiting[i] = (struct pollfd){ .fd = fd[i], .events = POLLOUT };
}

/* Each says a line as soon as it is connected, in whatever order the kernel tries them again. */
static void
speak_when_connected(const int fd[CROWD])
{
	struct pollfd waiting[CROWD];
	int i, spoken = 0;

	begin_to_wait(fd, waiting);
	while (spoken < CROWD) {
		ck_assert_int_gt(poll(waiting, CROWD, 30000), 0);
		for (i = 0; i < CROWD; i++) {
			if (waiting[i].fd == -1 || waiting[i].revents == 0)
				continue;
			peer_puts(fd[i], "late\n");
			waiting[i].fd = -1;
			spoken++;
		}
	}
}

/* The kernel lets those wait for whom there is no room. */
TEST(a_full_backlog_loses_nobody, EACH_MODE)
{
	static const struct sks_handler handler = { .name = "late", .handle = acc_echo_line };
	struct sks_options options = { .backlog = 1 };
	struct pollfd waiting[CROWD];
	struct acc acc;
	int fd[CROWD], i;

	acc_tcp(&acc, _i, &handler, &options);
	for (i = 0; i < CROWD; i++)
		fd[i] = begin_to_connect(acc.address);
	begin_to_wait(fd, waiting);
	ck_assert_int_lt(poll(waiting, CROWD, 0), CROWD);
	acc_start(&acc);
	speak_when_connected(fd);
	for (i = 0; i < CROWD; i++) {
		peer_expect(fd[i], "late\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
}

/* -- 18: a reset, wherever the handler is -- */

enum place { SETUP, READ, WRITE, FINISH, PLACES };

/* Tells the test that it is there, then waits for the reset. It is in seen->note where that is. */
static void
meet_the_reset(struct sks_request *req)
{
	char byte;

	acc_require(sks_puts(req->wfile, "here\n") == 0 && sks_flush(req->wfile) == 0);
	acc_require(sks_read(req->rfile, &byte, 1) == -1);
	acc_require(errno == ECONNRESET);
}

static int
reset_in_setup(struct sks_request *req)
{
	if (atomic_load(&seen->note) != SETUP)
		return 0;
	meet_the_reset(req);
	errno = ECONNRESET;
	return -1;
}

static int
reset_in_handle(struct sks_request *req)
{
	static const char much[65536];

	if (atomic_load(&seen->note) == READ)
		meet_the_reset(req);
	if (atomic_load(&seen->note) != WRITE)
		return SKS_DONE;
	acc_require(sks_puts(req->wfile, "here\n") == 0 && sks_flush(req->wfile) == 0);
	while (sks_write(req->wfile, much, sizeof(much)) == 0)
		;
	acc_require(errno == ECONNRESET || errno == EPIPE);
	return -1;
}

static void
reset_in_finish(struct sks_request *req)
{
	if (atomic_load(&seen->note) == FINISH)
		meet_the_reset(req);
	atomic_fetch_add(&seen->finishes, 1);
}

TEST(a_reset_is_an_error_wherever_it_comes, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = reset_in_setup, .handle = reset_in_handle,
		.finish = reset_in_finish };
	struct acc acc;
	int fd, place;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (place = SETUP; place < PLACES; place++) {
		atomic_store(&seen->note, place);
		atomic_store(&seen->finishes, 0);
		fd = acc_client(&acc);
		peer_expect(fd, "here\n");
		peer_reset(fd);
		ck_eventually(acc_stats(&acc).finished == (uint64_t)place + 1);
		ck_assert_int_eq(seen->finishes, place == SETUP ? 0 : 1);
	}
	atomic_store(&seen->note, PLACES);
	acc_ask(&acc, "", "");
	acc_free(&acc);
}

/* -- 22: the answer is larger than the buffers of both sockets, and its reader comes late -- */

#define PIECES 60

static int
answer_in_pieces(struct sks_request *req)
{
	static const char piece[1000];
	int small = 1, i;

	if (setsockopt(req->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == -1 ||
	    sks_gets(req->rfile) == NULL)
		return -1;
	for (i = 0; i < PIECES; i++)
		if (sks_write(req->wfile, piece, sizeof(piece)) == -1)
			return -1;
	return SKS_DONE;
}

TEST(an_answer_arrives_whole_after_its_handler_has_ended, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = answer_in_pieces, .finish = acc_finish };
	struct acc acc;
	int fd, small = 1;
	char *all;
	size_t n;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	peer_puts(fd, "go\n");
	ck_eventually(atomic_load(&seen->finishes) == 1);
	all = peer_read_all(fd, &n);
	ck_assert_uint_eq(n, PIECES * 1000);
	free(all);
	close(fd);
	acc_free(&acc);
}

/* -- 27: clients that come and go -- */

TEST(a_flood_of_connections_keeps_nobody_waiting, EACH_MODE)
{
	struct acc acc;
	int fd, i;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nk\n");
	peer_expect(fd, "echo\n");
	for (i = 0; i < 200; i++)
		close(acc_client(&acc));
	peer_puts(fd, "echo\nd\n");
	peer_expect(fd, "echo\n");
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).accepted == 201 && acc_stats(&acc).finished == 201);
	acc_free(&acc);
}

#define CROWD_AT_ONCE 100

/*
 * Keeps its loop until more clients have come and its own has said more. Tells how many were
 * accepted when the loop lets it go on.
 */
static int
keep_its_loop(struct sks_request *req)
{
	struct sks_stats stats;

	if (sks_gets(req->rfile) == NULL)
		return sks_end(req->rfile);
	atomic_store(&seen->note, 1);
	while (atomic_load(&seen->note) != 2)
		;
	do {
		sks_yield();
		sks_server_stats(req->server, &stats);
	} while (stats.accepted == 1);
	return sks_printf(req->wfile, "%d\n", (int)stats.accepted);
}

/* On fibers, where the loop that accepts runs handlers. */
TEST(a_flood_is_accepted_in_parts)
{
	static const struct sks_handler handler = { .handle = keep_its_loop };
	struct sks_options options = { .backlog = CROWD_AT_ONCE };
	int fd[CROWD_AT_ONCE], old, i;
	struct acc acc;
	char *answer;

	acc_tcp(&acc, ACC_FIBERS, &handler, &options);
	acc_start(&acc);
	old = acc_client(&acc);
	peer_puts(old, "go\n");
	ck_eventually(atomic_load(&seen->note) == 1);
	for (i = 0; i < CROWD_AT_ONCE; i++)
		fd[i] = acc_client(&acc);
	atomic_store(&seen->note, 2);
	answer = peer_read_all(old, NULL);
	ck_assert_int_gt(atoi(answer), 1);
	ck_assert_int_le(atoi(answer), 1 + 2 * 16); /* 16 in a turn */
	free(answer);
	close(old);
	for (i = 0; i < CROWD_AT_ONCE; i++)
		close(fd[i]);
	acc_free(&acc);
}

/* -- 35: options of the listener that its user sets -- */

static void
set_of_listener(const struct acc *acc, int option, int value)
{
	int fd = sks_server_fileno(acc->server, 0);

	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)), 0);
}

/* Who says nothing is not accepted; with a listener for each loop the option is for one of them. */
TEST(a_listener_may_have_TCP_DEFER_ACCEPT, EACH_MODE)
{
	struct acc acc;
	int silent;

	acc_tcp(&acc, _i, &acc_script, NULL);
	set_of_listener(&acc, TCP_DEFER_ACCEPT, 30);
	acc_start(&acc);
	silent = acc_client(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	if (!acc.mode->reuse_port)
		ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	peer_puts(silent, "echo late\nd\n");
	peer_expect(silent, "echo late\n");
	peer_expect_eof(silent);
	acc_free(&acc);
}

/* The bytes come with the connection, if the kernel is set to take them. */
TEST(a_listener_may_have_TCP_FASTOPEN, EACH_MODE)
{
	union peer_name name;
	struct acc acc;
	socklen_t len;
	int fd, i;

	acc_tcp(&acc, _i, &acc_script, NULL);
	set_of_listener(&acc, TCP_FASTOPEN, 16);
	acc_start(&acc);
	len = peer_name(acc.address, &name);
	for (i = 0; i < 2; i++) { /* the first gets a cookie */
		fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(sendto(fd, "echo\nd\n", 7, MSG_FASTOPEN, &name.any, len), 7);
		peer_expect(fd, "echo\n");
		peer_expect_eof(fd);
		close(fd);
	}
	acc_free(&acc);
}

/* -- 41: datagrams that come faster than they are taken -- */

static int
answer_nothing(struct sks_request *req)
{
	(void)req;
	return SKS_DONE;
}

TEST(a_flood_of_datagrams_keeps_no_connection_waiting, EACH_MODE)
{
	static const struct sks_handler datagrams = { .handle = answer_nothing };
	char udp[160], bytes[500] = "";
	struct acc acc;
	int fd, i;

	acc_tcp(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_server_listen_with(acc.server, "udp:127.0.0.1:0", &datagrams, NULL), 0);
	i = 0;
	while (strncmp(sks_server_listen_address(acc.server, (unsigned int)i, udp, sizeof(udp)), "udp:", 4) != 0)
		i++;
	fd = peer_datagram(udp + 4, NULL);
	acc_start(&acc);
	for (i = 0; i < 1000; i++) {
		(void)!send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (i % 100 == 0)
			acc_ask(&acc, "echo\nd\n", "echo\n");
	}
	close(fd);
	ck_eventually(acc_stats(&acc).datagrams > 0);
	acc_free(&acc);
}

/* -- 59: signals while clients are accepted -- */

static void
on_usr1(int signo)
{
	(void)signo;
	atomic_fetch_add(&seen->waited, 1);
}

static void *
storm(void *arg)
{
	struct acc *acc = arg;

	while (!atomic_load(&seen->note)) {
		pthread_kill(acc->thread, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

TEST(a_storm_of_signals_loses_no_client, EACH_MODE)
{
	struct sigaction action = { .sa_handler = on_usr1 }, old; /* no SA_RESTART */
	struct acc acc;
	pthread_t thread;
	int i;

	sigaction(SIGUSR1, &action, &old);
	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	ck_assert_int_eq(pthread_create(&thread, NULL, storm, &acc), 0);
	ck_eventually(atomic_load(&seen->waited) > 0);
	for (i = 0; i < 20; i++)
		acc_ask(&acc, "echo\nd\n", "echo\n");
	atomic_store(&seen->note, 1);
	pthread_join(thread, NULL);
	acc_free(&acc);
	sigaction(SIGUSR1, &old, NULL);
}

/* -- 64: handlers that do nothing of what handlers do -- */

static int
read_only(struct sks_request *req)
{
	return sks_gets(req->rfile) != NULL ? SKS_DONE : -1;
}

static int
write_only(struct sks_request *req)
{
	return sks_puts(req->wfile, "hello\n");
}

static const struct {
	int (*handle)(struct sks_request *req);
	const char *answer;
} idlers[] = { { answer_nothing, "" }, { read_only, "" }, { write_only, "hello\n" } };

TEST(a_handler_that_does_little_ends_cleanly, EACH_MODE)
{
	struct sks_handler handler = { .finish = acc_finish };
	struct acc acc;
	size_t i;

	for (i = 0; i < sizeof(idlers) / sizeof(idlers[0]); i++) {
		handler.handle = idlers[i].handle;
		atomic_store(&seen->finishes, 0);
		acc_tcp(&acc, _i, &handler, NULL);
		acc_start(&acc);
		acc_ask(&acc, "a line\n", idlers[i].answer);
		ck_eventually(atomic_load(&seen->finishes) == 1);
		ck_assert_uint_eq(acc_stats(&acc).failed, 0);
		acc_free(&acc);
	}
}

/* -- 77: the program is killed while its children serve -- */

TEST(children_serve_on_when_their_parent_is_killed_and_the_port_is_free)
{
	struct sks_server *server;
	struct host host;
	int fd;

	start_host(&host, ACC_PROCESSES, NULL);
	fd = new_client(&host);
	is_served(fd);
	kill(host.pid, SIGKILL);
	ck_assert_int_eq(waitpid(host.pid, &host.status, 0), host.pid);
	is_served(fd);
	server = sks_server_new(&acc_script, NULL);
	ck_eventually(sks_server_listen(server, host.address) == 0); /* what was killed frees it in time */
	is_served(fd);
	close(fd); /* and with its connection the child ends */
	hears_the_end(&host);
	close(host.out);
	close(host.gate);
	sks_server_free(server);
}
