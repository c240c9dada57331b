/* SPDX-License-Identifier: MIT */
/*
 * check_drain_report.c - what a server says at the end of its drain: of requests that do not end,
 * and of waits that were cancelled.
 */
#include "acceptance.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

/* Starts the server, and stops it while a client is served. Returns the client's socket. */
static int
shut_down_amid_request(struct acc *acc)
{
	int fd;

	acc_start(acc);
	fd = acc_client(acc);
	ck_eventually(atomic_load(&seen->handles) == 1);
	sks_server_shutdown(acc->server);
	return fd;
}

TEST(says_so_when_requests_do_not_end, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = acc_be_stubborn, .finish = acc_finish };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, &options);
	fd = shut_down_amid_request(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(seen->finishes, 0);
	ck_assert_uint_eq(acc_stats(&acc).active, acc.mode->one_memory ? 1 : 0); /* a process was killed */
	if (acc.mode->one_memory)
		atomic_store(&seen->note, 1);
	acc_free(&acc); /* now it ends */
	ck_assert_int_eq(seen->finishes, acc.mode->one_memory);
	peer_expect_gone(fd);
}

/* The first call heeds nothing, the others wait, and can be cancelled. */
static int
be_stubborn_once(struct sks_request *req)
{
	if (atomic_load(&seen->handles) == 0)
		return acc_be_stubborn(req);
	return sks_sleep(1) == 0 ? acc_echo_lines(req) : -1;
}

/* A handler of an earlier run goes on, and is cancelled for good; those of each run are its own. */
TEST(the_next_run_is_not_cancelled, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = be_stubborn_once };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	int fd, next, i;
	struct acc acc;

	acc_tcp(&acc, _i, &handler, &options);
	if (acc.mode->one_at_a_time) { /* the next one would wait for it */
		acc_free(&acc);
		return;
	}
	fd = shut_down_amid_request(&acc);
	for (i = 0; i < 3; i++) {
		acc_join(&acc);
		ck_assert_int_eq(acc.error, ETIMEDOUT);
		acc_start(&acc);
		next = acc_client(&acc);
		peer_puts(next, "echo\n");
		peer_expect(next, "echo\n");
		sks_server_shutdown(acc.server);
		peer_expect_gone(next);
	}
	acc_join(&acc);
	atomic_store(&seen->note, 1);
	acc_free(&acc);
	peer_expect_gone(fd);
}

static void
block_until_told(void *arg)
{
	(void)arg;
	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		breathe();
}

static const char *
without_glibc(void)
{
#ifdef __GLIBC__
	return NULL;
#else
	return "a thread's memory is gone when it has ended";
#endif
}

static int
offload(struct sks_request *req)
{
	(void)req;
	return sks_offload(block_until_told, NULL);
}

static int
wait_and_fail(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	return sks_gets(req->rfile) == NULL ? -1 : SKS_DONE;
}

/*
 * Nobody has to guess which of many clients it was. The test frees the server on another thread
 * than its run's, whose errno is then in memory that musl has unmapped.
 */
TEST(names_what_does_not_end_and_where_it_is, EACH_MODE, .left_out = without_glibc())
{
	static const struct sks_handler handler = { .name = "slow", .handle = offload };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	fd = shut_down_amid_request(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_eventually(log_count("slow: 127.0.0.1:") >= 1);
	ck_eventually(log_count(acc.mode->one_memory ? "has not ended in time, it is in sks_offload" :
		"has not ended in time, its process is killed") == 1);
	atomic_store(&seen->note, 1);
	acc_free(&acc);
	peer_expect_gone(fd);
}

TEST(names_what_was_cancelled_and_its_wait, EACH_MODE)
{
	static const struct sks_handler handler = { .name = "slow", .handle = wait_and_fail };
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	fd = shut_down_amid_request(&acc);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	if (acc.mode->one_memory) /* else the child logs it, to its own copy of the test's log */
		ck_assert_int_eq(log_count("Operation canceled (it waited for input)"), 1);
	acc_free(&acc);
}

static int
write_without_end(struct sks_request *req)
{
	static const char block[65536];

	atomic_fetch_add(&seen->handles, 1);
	while (sks_write(req->wfile, block, sizeof(block)) == 0)
		;
	return -1;
}

static int
sleep_and_fail(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	return sks_sleep(3600 * 1000) == 0 ? SKS_DONE : -1;
}

/* After a wait for input. */
static int
select_and_fail(struct sks_request *req)
{
	struct sks_selectable set = { .rfile = req->rfile, .want = SKS_READ };

	if (sks_gets(req->rfile) == NULL)
		return SKS_DONE;
	atomic_fetch_add(&seen->handles, 1);
	return sks_select(&set, 1, SKS_OFF) == -1 ? -1 : SKS_DONE;
}

static const struct {
	const char *words;
	int (*handle)(struct sks_request *req);
	int mode;
} other_waits[] = {
	{ "Operation canceled (it waited to write)", write_without_end, ACC_FIBERS },
	{ "Operation canceled (it waited for a time or another task)", sleep_and_fail, ACC_FIBERS },
	{ "Operation canceled (it waited for one of its descriptors)", select_and_fail, ACC_FIBERS },
	{ "Operation canceled (it waited for one of its descriptors)", select_and_fail, ACC_THREADS },
};

TEST(names_each_kind_of_wait_that_was_cancelled, EACH_OF(other_waits))
{
	struct sks_handler handler = { .name = "slow", .handle = other_waits[_i].handle };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, other_waits[_i].mode, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	if (handler.handle == select_and_fail)
		peer_puts(fd, "go\n");
	ck_eventually(atomic_load(&seen->handles) == 1);
	ck_eventually(acc_stats(&acc).bytes_out > 0 || handler.handle != write_without_end);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(log_count(other_waits[_i].words), 1);
	peer_reset(fd);
	acc_free(&acc);
}

#define NAMED 20 /* of those that do not end */

static int
offload_each(struct sks_request *req)
{
	(void)req;
	block_until_told(NULL);
	return SKS_DONE;
}

/* The log is not filled by them. */
TEST(names_some_of_many_that_do_not_end_and_counts_the_others)
{
	static const struct sks_handler handler = { .name = "slow", .handle = offload_each };
	struct sks_options options = { .drain_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int i, fds[NAMED + 3];

	acc_tcp(&acc, ACC_THREADS, &handler, &options);
	acc_start(&acc);
	for (i = 0; i < NAMED + 3; i++)
		fds[i] = acc_client(&acc);
	ck_eventually(atomic_load(&seen->handles) == NAMED + 3);
	sks_server_shutdown(acc.server);
	acc_join(&acc);
	ck_assert_int_eq(acc.error, ETIMEDOUT);
	ck_assert_int_eq(log_count("has not ended in time"), NAMED);
	ck_assert_int_eq(log_count("and 3 more"), 1);
	atomic_store(&seen->note, 1);
	acc_free(&acc);
	for (i = 0; i < NAMED + 3; i++)
		close(fds[i]);
}

TEST(a_server_that_is_freed_while_it_runs_blames_nobody, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .name = "slow", .handle = wait_and_fail };
	struct event_base *base = event_base_new();
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	struct sks_server *server;
	char address[160];
	int fd;

	options.base = base;
	options.on_error = acc_on_error;
	server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	sks_server_address(server, 0, address, sizeof(address));
	ck_assert_int_eq(sks_server_start(server), 0);
	fd = peer_connect(address);
	while (atomic_load(&seen->handles) == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	sks_server_free(server);
	ck_assert_int_eq(log_count("has not ended"), 0);
	event_base_free(base);
	peer_expect_gone(fd);
}
