/* SPDX-License-Identifier: MIT */
/*
 * check_run_edges.c - where a run of a server ends and the next one begins: each has its own end,
 * its own limits and its own orders, whoever asks for them, and when.
 */
#include "acceptance.h"

#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 60);

/* -- a full server that makes room -- */

/* Nobody waits, so there is nobody to make room for. */
TEST(a_full_server_that_makes_room_ends_with_its_last_request, EACH_MODE)
{
	struct sks_options options = { .close_listeners = 1, .max_connections = 1,
		.make_room_ms = INT_MAX, .drain_ms = SKS_OFF };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	peer_puts(fd, "d\n");
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	acc_free(&acc);
}

#define OTHER "127.0.0.2:0"

/* Closes the other address at the first line, and ends at the second. */
static int
close_other(struct sks_request *req)
{
	if (sks_gets(req->rfile) == NULL)
		return -1;
	(void)sks_server_close_address(req->server, OTHER);
	if (sks_puts(req->wfile, "closed\n") == -1 || sks_gets(req->rfile) == NULL)
		return -1;
	return SKS_DONE;
}

TEST(a_full_server_that_makes_room_closes_an_address_and_goes_on)
{
	static const struct sks_handler handler = { .handle = close_other };
	struct sks_options options = { .max_connections = 1, .make_room_ms = INT_MAX };
	struct acc acc;
	int fd, i;

	acc_tcp(&acc, ACC_FIBERS, &handler, &options);
	ck_assert_int_eq(sks_server_listen(acc.server, OTHER), 0);
	acc_start(&acc);
	for (i = 0; i < 2; i++) {
		fd = acc_client(&acc);
		peer_puts(fd, "close\n");
		peer_expect(fd, "closed\n");
		peer_puts(fd, "end\n");
		peer_expect_eof(fd);
	}
	acc_free(&acc);
}

/* -- the end of a run comes when all workers have the order -- */

static void
note_stop(struct sks_server *server, void *data)
{
	(void)server;
	(void)data;
	atomic_fetch_add(&seen->stops, 1);
}

static void
start_again(struct sks_server *server, void *data)
{
	(void)data;
	if (atomic_fetch_add(&seen->stops, 1) == 0)
		acc_require(sks_server_start(server) == 0);
}

static void
turn(struct event_base *base)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* A client that has never spoken is the last one, and is closed when drain_ms is over. */
static void
stop_amid_silence(struct acc *acc, struct event_base *base)
{
	int fd;

	ck_assert_int_eq(sks_server_start(acc->server), 0);
	fd = acc_client(acc);
	while (acc_stats(acc).parked == 0)
		turn(base);
	sks_server_shutdown(acc->server);
	while (seen->stops == 0)
		turn(base);
	peer_expect_gone(fd);
}

TEST(has_no_event_on_the_base_when_on_stop_is_called, EACH_MODE)
{
	struct sks_options options = { .base = event_base_new(), .on_stop = note_stop,
		.grace_ms = INT_MAX, .drain_ms = 1, .linger_ms = 3600 * 1000 };
	struct sks_handler handler = acc_script;
	struct acc acc;

	handler.client_first = 1;
	acc_tcp(&acc, _i, &handler, &options);
	stop_amid_silence(&acc, options.base);
	ck_assert_int_eq(event_base_loop(options.base, EVLOOP_NONBLOCK), 1);
	acc_free(&acc);
	event_base_free(options.base);
}

/* A thread that was cancelled could not wait for its second line. */
TEST(a_run_that_on_stop_begins_is_not_cancelled)
{
	struct sks_options options = { .base = event_base_new(), .on_stop = start_again,
		.mode = SKS_THREADS, .workers = 2, .grace_ms = INT_MAX, .drain_ms = 1 };
	struct sks_handler handler = acc_script;
	struct acc acc = { .mode = &acc_modes[ACC_THREADS] };
	int fd[2], i;

	handler.client_first = 1;
	acc.server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	sks_server_address(acc.server, 0, acc.address, sizeof(acc.address));
	stop_amid_silence(&acc, options.base);
	for (i = 0; i < 4; i++) {
		if (i < 2) /* one for each loop */
			fd[i] = acc_client(&acc);
		peer_puts(fd[i % 2], "echo\n");
		while (acc_stats(&acc).bytes_out < strlen("echo\n") * ((uint64_t)i + 1))
			turn(options.base);
		peer_expect(fd[i % 2], "echo\n");
	}
	sks_server_free(acc.server);
	for (i = 0; i < 2; i++)
		peer_expect_gone(fd[i]);
	event_base_free(options.base);
}

static void *
stop_the_second(void *arg)
{
	struct sks_server *server = arg;

	ck_eventually(atomic_load(&seen->stops) == 1 && sks_server_is_ready(server));
	sks_server_shutdown(server);
	return NULL;
}

TEST(a_drain_ends_though_on_stop_begins_another_run)
{
	struct sks_options options = { .base = event_base_new(), .on_stop = start_again };
	struct acc acc;
	pthread_t thread;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_the_second, acc.server), 0);
	ck_assert_int_eq(sks_server_drain(acc.server, 1000, NULL), 0);
	ck_assert_int_eq(seen->stops, 1);
	pthread_join(thread, NULL);
	sks_server_free(acc.server);
	event_base_free(options.base);
}

/* The base turns once before the drain, and the run ends in that turn. */
TEST(a_drain_after_a_shutdown_ends_one_run)
{
	struct sks_options options = { .base = event_base_new(), .on_stop = start_again };
	struct acc acc;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	sks_server_shutdown(acc.server);
	ck_assert_int_eq(sks_server_drain(acc.server, 1000, NULL), 0);
	ck_assert_int_eq(seen->stops, 1);
	ck_assert(sks_server_is_ready(acc.server));
	sks_server_free(acc.server);
	event_base_free(options.base);
}

static void *
shut_down_amid_handler(void *arg)
{
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(arg);
	return NULL;
}

/* Its handler does not end, and on_stop begins another run. */
TEST(serve_forever_returns_the_result_of_its_own_run)
{
	static const struct sks_handler handler = { .handle = acc_be_stubborn };
	struct sks_options options = { .base = event_base_new(), .on_stop = start_again,
		.mode = SKS_THREADS, .drain_ms = 1, .linger_ms = 1 };
	struct acc acc = { .mode = &acc_modes[ACC_THREADS] };
	pthread_t thread;
	int fd, rc, error;

	acc.server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	sks_server_address(acc.server, 0, acc.address, sizeof(acc.address));
	fd = acc_client(&acc);
	ck_assert_int_eq(pthread_create(&thread, NULL, shut_down_amid_handler, acc.server), 0);
	rc = sks_serve_forever(acc.server);
	error = errno;
	atomic_store(&seen->note, 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(error, ETIMEDOUT);
	sks_server_free(acc.server);
	close(fd);
	event_base_free(options.base);
}

/* -- a run that does not begin -- */

struct drains {
	struct sks_server *server;
	atomic_int over;
};

static void *
drain_again_and_again(void *arg)
{
	struct drains *d = arg;

	while (!d->over)
		(void)sks_server_drain(d->server, 5, NULL);
	return NULL;
}

/* The third event of a run is the listener. A drain often comes before it fails. */
TEST(a_run_that_cannot_start_leaves_nothing_to_the_next_one)
{
	struct drains d = { 0 };
	pthread_t thread;
	struct acc acc;
	int i, left = 0;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	d.server = acc.server;
	ck_assert_int_eq(pthread_create(&thread, NULL, drain_again_and_again, &d), 0);
	for (i = 0; i < 5000 && !left; i++) {
		fault("event_add:ENOMEM:3");
		if (sks_serve_forever(acc.server) == -1)
			left = atomic_load(&acc.server->service.shared->stop) ||
			    atomic_load(&acc.server->drain_ms) != SKS_DEFAULT;
		sks_fault_clear();
	}
	d.over = 1;
	pthread_join(thread, NULL);
	ck_assert_int_eq(left, 0);
	acc_free(&acc);
}

/* -- a loop that is kept from the end of one run to that of the next -- */

/* Waits until it is cancelled. At a line "keep" it keeps its loop then until the note is set. */
static int
wait_and_keep_loop(struct sks_request *req)
{
	const char *line = sks_gets(req->rfile);
	int keeps = line != NULL && line[0] == 'k';

	atomic_fetch_add(&seen->handles, 1);
	if (sks_sleep(3600 * 1000) == -1)
		atomic_fetch_add(&seen->errors, 1);
	while (keeps && atomic_load(&seen->note) == 0)
		breathe();
	return SKS_DONE;
}

static int
come_and_say(const struct acc *acc, const char *text)
{
	int fd = acc_client(acc);

	peer_puts(fd, text);
	return fd;
}

/* It sees the end of the first run after that of the second has begun. */
TEST(a_loop_that_was_kept_from_a_whole_run_still_cancels_its_requests)
{
	static const struct sks_handler handler = { .handle = wait_and_keep_loop };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 3000 };
	struct sks_worker *second;
	int i, fd[5];
	struct acc acc;

	acc_tcp(&acc, ACC_TWO_LOOPS, &handler, &options);
	second = &acc.server->workers[1];
	acc_start(&acc);
	fd[0] = come_and_say(&acc, "wait\n");
	ck_eventually(atomic_load(&seen->handles) == 1);
	fd[1] = come_and_say(&acc, "keep\n");
	ck_eventually(atomic_load(&seen->handles) == 2);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(seen->errors, 2);
	acc_start(&acc);
	for (i = 2; i < 5; i++) /* one of them is for the second loop */
		fd[i] = come_and_say(&acc, "wait\n");
	ck_eventually(atomic_load(&seen->handles) == 4 && atomic_load(&second->open) == 2);
	sks_server_shutdown(acc.server);
	ck_eventually(acc.server->state >= SKS_CANCELLED);
	atomic_store(&seen->note, 1);
	for (i = 0; i < 5; i++)
		peer_expect_gone(fd[i]);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->errors, 5);
	acc_free(&acc);
}

/* -- the time of a drain -- */

TEST(a_drain_that_comes_later_has_its_deadline, EACH_MODE)
{
	struct sks_options options = { .drain_ms = SKS_OFF, .linger_ms = 20000 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	shutdown(fd, SHUT_WR); /* so that nothing lingers */
	sks_server_shutdown(acc.server);
	ck_eventually(atomic_load(&acc.server->service.shared->draining));
	ck_assert_int_eq(sks_server_drain(acc.server, 1, NULL), 0);
	acc_join(&acc);
	peer_expect_gone(fd);
	acc_free(&acc);
}
