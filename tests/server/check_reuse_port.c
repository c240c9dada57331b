/* SPDX-License-Identifier: MIT */
/*
 * check_reuse_port.c - with options.reuse_port and several loops each loop
 * has a listening socket of its own for TCP and UDP, and serves what the kernel
 * gives it. (That all else stays as it is the other suites show: it is one of
 * their modes.)
 */
#include "acceptance.h"

#include "base/sys.h"
#include "server/eviction.h"
#include "server/server.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

#define CLIENTS 64

static _Atomic pthread_t first_loop;

/* Which loop was it? */
static int
tell_loop(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	(void)line;
	return sks_puts(req->wfile, pthread_equal(pthread_self(), first_loop) ? "1\n" : "2\n");
}

static const struct sks_handler telling = { .handle = tell_loop };

/* By what a loop that hands out goes; the statistics are counted a moment before. */
static int
is_empty(const struct sks_server *server)
{
	return atomic_load(&server->workers[0].open) == 0 &&
	    atomic_load(&server->workers[1].open) == 0;
}

/* Which of two loops said so, while nobody else was there. */
static int
ask_loop(const struct acc *acc)
{
	char answer[2];
	int fd = acc_client(acc);

	peer_puts(fd, "which\n");
	ck_assert_int_eq(peer_recv(fd, answer, 2), 2);
	close(fd);
	ck_eventually(is_empty(acc->server));
	return answer[0] - '1';
}

TEST(each_loop_takes_some, TIMES(4))
{
	int taken[2] = { 0 }, i;
	struct acc acc;

	acc_all(&acc, ACC_TWO_LISTENERS * 4 + _i, &telling, NULL);
	acc_start(&acc);
	first_loop = acc.thread;
	for (i = 0; i < CLIENTS; i++)
		taken[ask_loop(&acc)]++;
	ck_assert_int_eq(taken[0] + taken[1], CLIENTS);
	/* Nobody else is there: a loop that hands out keeps all for itself. */
	if (acc.transport == ACC_TCP || acc.transport == ACC_UDP)
		ck_assert(taken[0] > 0 && taken[1] > 0);
	else
		ck_assert_int_eq(taken[0], CLIENTS);
	acc_free(&acc);
}

TEST(a_port_of_its_own_choice_is_one_for_all)
{
	struct sks_options options = { .reuse_port = 1, .workers = 4 };
	int before = open_descriptors(), made, fd;
	struct sks_server *server;
	char address[64];

	server = sks_server_new(&telling, &options);
	made = open_descriptors();
	ck_assert_int_eq(sks_server_listen(server, "127.0.0.1:0"), 0);
	ck_assert_int_eq(open_descriptors(), made + 4);
	ck_assert_ptr_nonnull(sks_server_address(server, 0, address, sizeof(address)));
	ck_assert_int_ge(sks_server_fileno(server, 0), 0);
	ck_assert_int_eq(sks_server_fileno(server, 1), -1); /* it is one listener */
	ck_assert_int_eq(sks_server_listen(server, address), 0);
	ck_assert_int_eq(open_descriptors(), made + 8);
	sks_server_free(server);
	ck_assert_int_eq(open_descriptors(), before);
	fd = peer_try(address);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
}

/* Without the option a second server is refused, also by one that has it. */
TEST(both_must_want_it)
{
	struct sks_options options = { .reuse_port = 1 };
	struct sks_server *two;
	struct acc acc;

	acc_tcp(&acc, 0, &telling, NULL);
	two = sks_server_new(&telling, &options);
	ck_assert_int_eq(sks_server_listen(two, acc.address), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	sks_server_free(two);
	acc_free(&acc);
}

static const struct need {
	const char *call, *error_name;
	int error, least; /* so many uses are needed */
} needed[] = {
	{ "socket", "EMFILE", EMFILE, 2 }, { "bind", "EACCES", EACCES, 2 },
	{ "listen", "ENOBUFS", ENOBUFS, 2 }, { "getsockname", "ENOBUFS", ENOBUFS, 1 },
	{ "setsockopt", "ENOPROTOOPT", ENOPROTOOPT, 4 }, { "malloc", "ENOMEM", ENOMEM, 2 },
};

/* The k-th use of the call fails. 1: so listening fails, 0: it does not, -1: there is no k-th. */
static int
listen_without(const struct need *need, int k)
{
	struct sks_options options = { .reuse_port = 1, .workers = 2 };
	struct sks_server *server = sks_server_new(&telling, &options);
	int before = open_descriptors(), lines = log_lines(), rc;

	fault("%s:%s:%d", need->call, need->error_name, k);
	errno = 0;
	rc = sks_server_listen(server, "127.0.0.1:0");
	if (rc == -1) {
		ck_assert_int_eq(errno, need->error);
		ck_assert_int_eq(open_descriptors(), before);
		ck_assert_int_eq(log_lines(), lines + 1);
		ck_assert_int_eq(sks_server_fileno(server, 0), -1);
	}
	rc = sks_fault_hits() == 0 ? -1 : rc == -1;
	sks_fault_clear();
	ck_assert_int_eq(sks_server_listen(server, "127.0.0.1:0"), 0);
	sks_server_free(server);
	return rc;
}

/* All or none, whichever of the sockets cannot be had. */
TEST(a_socket_that_cannot_be_had_is_told, EACH_OF(needed))
{
	int failed = 0, k, rc;

	for (k = 1; (rc = listen_without(&needed[_i], k)) != -1; k++)
		failed += rc;
	ck_assert_int_ge(failed, needed[_i].least);
}

/* sks_handle_request() takes one, on whichever loop it comes. */
TEST(one_request_is_one_on_any_loop, TIMES(4))
{
	struct acc acc;
	int fd[8], i;

	acc_all(&acc, ACC_TWO_LISTENERS * 4 + _i, &acc_script, NULL);
	for (i = 0; i < 8; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "echo\nd\n");
		if (acc_is_stream(&acc))
			peer_half_close(fd[i]);
	}
	for (i = 1; i <= 8; i++) {
		ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
		ck_assert_int_eq(seen->finishes, i);
	}
	for (i = 0; i < 8; i++) {
		peer_expect(fd[i], "echo\n");
		close(fd[i]);
	}
	acc_free(&acc);
}

/* -- a test can have accept4(2) be slow, or fail by EMFILE on the second loop -- */

static atomic_int slow, now_in, most_in;
static atomic_int second_lacks, turned_away;

static void
note_most(int n)
{
	int most = atomic_load(&most_in);

	while (n > most && !atomic_compare_exchange_weak(&most_in, &most, n))
		;
}

int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int taken;

	if (atomic_load(&second_lacks) && !pthread_equal(pthread_self(), first_loop)) {
		atomic_fetch_add(&turned_away, 1);
		errno = EMFILE;
		return -1;
	}
	note_most(atomic_fetch_add(&now_in, 1) + 1);
	if (atomic_load(&slow))
		breathe();
	taken = (int)syscall(SYS_accept4, fd, addr, len, flags);
	if (taken == -1 || !atomic_load(&slow))
		atomic_fetch_sub(&now_in, 1);
	return taken;
}

/* Until then a client that was taken counts on. */
static void
finish_counted(struct sks_request *req)
{
	acc_finish(req);
	if (atomic_load(&slow))
		atomic_fetch_sub(&now_in, 1);
}

/* Each loop may find room for the last one at the same time, but one of them takes it. */
TEST(max_connections_is_for_all_loops, TIMES(2))
{
	struct sks_handler handler = acc_script;
	struct sks_options options = { .max_connections = 1 + _i };
	int fd[CLIENTS], i;
	struct acc acc;

	handler.finish = finish_counted;
	atomic_store(&slow, 1);
	acc_tcp(&acc, ACC_TWO_LISTENERS, &handler, &options);
	acc_start(&acc);
	for (i = 0; i < CLIENTS; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "echo\nd\n");
		peer_half_close(fd[i]);
	}
	for (i = 0; i < CLIENTS; i++) {
		peer_expect(fd[i], "echo\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
	ck_assert_int_eq(seen->finishes, CLIENTS);
	ck_assert_int_le(atomic_load(&most_in), options.max_connections);
}

/* -- event_add(3), which counts calls on the first loop's thread for the second's base -- */

static struct event_base *_Atomic second_base;
static atomic_int strange;

int
event_add(struct event *ev, const struct timeval *limit)
{
	int (*add)(struct event *, const struct timeval *);

	*(void **)&add = dlsym(RTLD_NEXT, "event_add");
	if (event_get_base(ev) == atomic_load(&second_base) && pthread_equal(pthread_self(), first_loop))
		atomic_fetch_add(&strange, 1);
	return add(ev, limit);
}

/*
 * A Unix socket has one listener, on the first loop. What comes there for the
 * second, and is refused before it gets there, gives a place back: the second's
 * own listener, which pauses just then, is not for the first to arm.
 */
TEST(who_is_refused_on_another_loop_touches_no_listener)
{
	int waits = -1, n, served, refused;
	char unix_address[128];
	struct acc acc;

	acc_tcp(&acc, ACC_TWO_LISTENERS, &acc_script, NULL);
	ck_assert_int_eq(sks_server_listen(acc.server, acc_listen_address(ACC_UNIX)), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, unix_address, sizeof(unix_address)));
	acc_start(&acc);
	first_loop = acc.thread;
	served = peer_connect(unix_address); /* the first has one now, so the next is for the second */
	peer_puts(served, "echo\n");
	peer_expect(served, "echo\n");
	atomic_store(&second_lacks, 1);
	for (n = 0; n < CLIENTS && atomic_load(&turned_away) == 0; n++) {
		if (waits != -1)
			close(waits);
		waits = acc_client(&acc);
		peer_puts(waits, "echo\n");
		ck_eventually(atomic_load(&turned_away) > 0 || !peer_is_silent(waits));
	}
	ck_assert_int_gt(atomic_load(&turned_away), 0);
	ck_eventually(atomic_load(&acc.server->workers[0].open) == 1);
	peer_puts(served, "echo\n"); /* then the first loop has nothing more to do */
	peer_expect(served, "echo\n");
	atomic_store(&second_base, acc.server->workers[1].loop->base);
	for (n = 1; n <= 16; n++) {
		ck_assert_int_eq(sks_fault("malloc:ENOMEM:1"), 0);
		refused = peer_connect(unix_address);
		peer_expect_eof(refused);
		ck_assert_uint_eq(acc_stats(&acc).refused, (unsigned int)n);
	}
	ck_assert_int_eq(strange, 0);
	atomic_store(&second_lacks, 0);
	peer_expect(waits, "echo\n");
	close(waits);
	close(served);
	acc_free(&acc);
}

/* Added while the server runs, from its own thread. */
static void
listen_once(struct sks_server *server, void *data)
{
	if (atomic_fetch_add(&seen->ticks, 1) == 0)
		atomic_store(&seen->note, sks_server_listen(server, data) == 0 ? 1 : -1);
}

TEST(listens_on_while_it_runs)
{
	char address[] = "127.0.0.1:0";
	struct sks_options options = { .on_tick = listen_once, .tick_ms = 1, .data = address };
	int taken[2] = { 0 }, i;
	struct acc acc;

	acc_tcp(&acc, ACC_TWO_LISTENERS, &telling, &options);
	acc_start(&acc);
	first_loop = acc.thread;
	ck_eventually(atomic_load(&seen->note) != 0);
	ck_assert_int_eq(seen->note, 1);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, acc.address, sizeof(acc.address)));
	for (i = 0; i < CLIENTS; i++)
		taken[ask_loop(&acc)]++;
	ck_assert(taken[0] > 0 && taken[1] > 0);
	acc_free(&acc);
}

/* A loop that looks for a client claims a place for it, and gives it back when there is none. */
TEST(nobody_goes_for_a_place_that_another_loop_claims)
{
	static const struct sks_handler handler = { .handle = acc_echo_keep };
	struct sks_options options = { .make_room_ms = 1, .max_connections = 2 };
	unsigned long before = sks_fault_calls("accept4");
	struct acc acc;
	int parked, next;

	sks_evict_look_ms = 1;
	acc_tcp(&acc, ACC_TWO_LISTENERS, &handler, &options);
	acc_start(&acc);
	parked = acc_client(&acc);
	peer_puts(parked, "first\n");
	peer_expect(parked, "first\n");
	/* Its own loop has looked for another one, and given that place back. */
	ck_eventually(sks_fault_calls("accept4") >= before + 2 &&
	    atomic_load(&acc.server->service.shared->places) == 1);
	atomic_fetch_add(&acc.server->service.shared->places, 1); /* as the other loop does */
	next = acc_client(&acc);
	peer_puts(next, "second\n");
	before = sks_fault_calls("poll"); /* by which a full server looks for a client */
	ck_eventually(sks_fault_calls("poll") >= before + 20);
	ck_assert_uint_eq(acc_stats(&acc).evicted, 0);
	atomic_fetch_sub(&acc.server->service.shared->places, 1);
	peer_expect(next, "second\n");
	peer_puts(parked, "again\n");
	peer_expect(parked, "again\n");
	close(parked);
	close(next);
	acc_free(&acc);
}

/* The place that it was asked for has come back before it looks. */
TEST(a_loop_that_is_asked_too_late_ends_nobody)
{
	static const struct sks_handler handler = { .handle = acc_echo_keep };
	struct sks_options options = { .make_room_ms = 1 };
	struct sks_worker *workers;
	struct acc acc;
	int fd, i;

	acc_tcp(&acc, ACC_TWO_LISTENERS, &handler, &options);
	acc_start(&acc);
	workers = acc.server->workers;
	fd = acc_client(&acc);
	for (i = 0; i < 10; i++) {
		peer_puts(fd, "still there\n");
		peer_expect(fd, "still there\n");
		atomic_store(&workers[i % 2].asked_for_place, 1);
		sks_loop_wake(workers[i % 2].loop);
		ck_eventually(atomic_load(&workers[i % 2].asked_for_place) == 0);
	}
	ck_assert_uint_eq(acc_stats(&acc).evicted, 0);
	close(fd);
	acc_free(&acc);
}
