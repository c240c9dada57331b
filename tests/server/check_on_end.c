/* SPDX-License-Identifier: MIT */
/*
 * check_on_end.c - the hook on_end is called once for each request, whatever becomes of it, in the
 * host and with what is known there. (check_end_reason.c has the reasons that finish knows, too.)
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a call saw. */
struct sight {
	int fd;
	struct sks_info info;
	char note[300], listener[160], peer[160];
	pid_t pid;
};

static atomic_int calls, reasons[SKS_ENDED_EVICTED + 1];
static atomic_int bad; /* calls that saw what they should not */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* two loops may call at once */
static struct sight last;
static struct sight seen_last; /* a copy, for the test's thread */

static void
on_end(struct sks_request *req, const struct sks_info *info)
{
	pthread_mutex_lock(&lock);
	last.info = *info;
	last.fd = req->fd;
	snprintf(last.note, sizeof(last.note), "%s", info->note != NULL ? info->note : "");
	snprintf(last.listener, sizeof(last.listener), "%s",
	    info->listener != NULL ? info->listener : "");
	sks_peer(req, last.peer, sizeof(last.peer));
	last.pid = getpid();
	pthread_mutex_unlock(&lock);
	if (req->rfile != NULL || req->wfile != NULL || sks_end_reason(req) != info->reason)
		atomic_fetch_add(&bad, 1);
	atomic_fetch_add(&reasons[info->reason], 1);
	atomic_fetch_add(&calls, 1);
}

static void
look(void)
{
	pthread_mutex_lock(&lock);
	seen_last = last;
	pthread_mutex_unlock(&lock);
}

static void
set_up(void)
{
	acc_setup();
	memset(&last, 0, sizeof(last));
}

static void
tear_down(void)
{
	look();
	ck_assert_int_eq(bad, 0);
	if (calls > 0)
		ck_assert_int_eq(seen_last.pid, getpid());
	acc_teardown();
}

FIXTURE(set_up, tear_down);

/* So many calls, all with this reason. */
static void
expect(int reason, int n)
{
	ck_eventually(atomic_load(&calls) == n);
	ck_assert_msg(reasons[reason] == n, "%d of %s", reasons[reason],
	    sks_end_reason_name(reason));
	look();
}

static void
look_at_state(struct sks_request *req, const struct sks_info *info)
{
	if (req->state == NULL || *(char *)req->state != 0)
		atomic_fetch_add(&bad, 1);
	on_end(req, info);
}

static const char *
reject_and_look(struct sks_request *req, int why)
{
	(void)why;
	if (req->state == NULL || *(char *)req->state != 0)
		atomic_fetch_add(&bad, 1);
	return "no\n";
}

TEST(one_that_is_rejected_has_a_state_too, EACH_MODE)
{
	struct sks_handler handler = { .handle = acc_echo_keep, .state_size = 100 };
	struct sks_options options = { .max_per_peer = 1, .on_end = look_at_state,
		.on_reject = reject_and_look };
	struct acc acc;
	int one, two;

	acc_serve(&acc, _i, &handler, &options);
	one = acc_client(&acc);
	peer_puts(one, "echo\n");
	peer_expect(one, "echo\n");
	two = acc_client(&acc);
	peer_expect(two, "no\n");
	peer_expect_eof(two);
	expect(SKS_ENDED_REFUSED, 1);
	close(one);
	acc_free(&acc);
}

/* Without memory for a state there is no call, and it is rejected all the same. */
TEST(without_memory_for_a_state_it_is_rejected_silently)
{
	struct sks_handler handler = { .handle = acc_echo_keep, .state_size = 100 };
	struct sks_options options = { .max_per_peer = 1, .on_end = look_at_state,
		.on_reject = reject_and_look };
	struct acc acc;
	int one, two;

	acc_serve(&acc, ACC_FIBERS, &handler, &options);
	one = acc_client(&acc);
	peer_puts(one, "echo\n");
	peer_expect(one, "echo\n");
	fault("malloc:ENOMEM:1");
	two = acc_client(&acc);
	peer_expect_gone(two);
	ck_eventually(acc_stats(&acc).rejected_peer == 1);
	ck_assert_int_eq(calls, 0);
	close(one);
	acc_free(&acc);
}

static int
count_and_echo(struct sks_request *req)
{
	sks_set_note(req, "from the handler");
	return acc_echo_line(req);
}

TEST(comes_once_for_each_request, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .name = "echo", .handle = count_and_echo };
	struct sks_options options = { .on_end = on_end };
	struct acc acc;
	char address[160];
	int i;

	acc_all(&acc, _i, &handler, &options);
	ck_assert_ptr_nonnull(
	    sks_server_listen_address(acc.server, 0, address, sizeof(address)));
	acc_start(&acc);
	for (i = 0; i < 20; i++)
		acc_ask(&acc, "line\n", "line\n");
	expect(SKS_ENDED_DONE, 20);
	ck_assert_uint_eq(seen_last.info.bytes_in, 5);
	ck_assert_uint_eq(seen_last.info.bytes_out, 5);
	ck_assert_uint_eq(seen_last.info.exchanges, 1);
	ck_assert_str_eq(seen_last.note, "from the handler");
	ck_assert_str_eq(seen_last.listener, address);
	ck_assert_str_ne(seen_last.peer, "");
	ck_assert_int_eq(seen_last.fd != -1, acc_is_stream(&acc) && acc.mode->one_memory);
	ck_eventually(acc_stats(&acc).finished == 20);
	acc_free(&acc);
	ck_assert_int_eq(calls, 20);
}

TEST(comes_before_the_request_is_counted, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = acc_echo_line };
	struct sks_options options = { .on_end = on_end };
	struct acc acc;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_int_eq(calls, 1);
	acc_free(&acc);
}

TEST(who_is_refused_by_verify, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = acc_echo_line };
	struct sks_options options = { .on_end = on_end, .verify = acc_refuse };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	if (!acc_is_stream(&acc)) /* a connection is gone, perhaps, before a byte of it is sent */
		peer_puts(fd, "line\n");
	expect(SKS_ENDED_REFUSED, 1);
	ck_assert_uint_eq(seen_last.info.exchanges, 0);
	close(fd);
	acc_free(&acc);
}

TEST(who_is_rejected, EACH_MODE)
{
	const struct sks_handler handler = { .handle = acc_echo_lines };
	struct sks_options options = { .on_end = on_end, .max_per_peer = 1, .reject_text = "no\n" };
	struct acc acc;
	int fd;

	if (acc_modes[_i].one_at_a_time)
		return; /* the second waits in the backlog */
	acc_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "line\n");
	peer_expect(fd, "line\n");
	acc_ask(&acc, "", "no\n");
	expect(SKS_ENDED_REFUSED, 1);
	ck_assert_uint_eq(seen_last.info.bytes_in, 0);
	close(fd);
	ck_eventually(reasons[SKS_ENDED_CLOSED] == 1);
	acc_free(&acc);
}

/* A health check, which no handler sees. */
TEST(who_leaves_before_the_first_byte, EACH_MODE)
{
	const struct sks_handler handler = { .handle = acc_echo_line, .client_first = 1 };
	struct sks_options options = { .on_end = on_end };
	struct acc acc;

	acc_serve(&acc, _i, &handler, &options);
	close(acc_client(&acc));
	expect(SKS_ENDED_CLOSED, 1);
	ck_assert_uint_eq(seen_last.info.first_ns, 0);
	acc_free(&acc);
}

TEST(who_is_silent_before_the_first_byte, EACH_MODE)
{
	const struct sks_handler handler = { .handle = acc_echo_line, .client_first = 1 };
	struct sks_options options = { .on_end = on_end, .idle_ms = 1 };
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	peer_expect_eof(fd);
	expect(SKS_ENDED_IDLE, 1);
	acc_free(&acc);
}

static int
fail_setup(struct sks_request *req)
{
	(void)req;
	errno = EACCES;
	return -1;
}

TEST(whose_setup_fails, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .setup = fail_setup, .handle = acc_echo_line };
	struct sks_options options = { .on_end = on_end, .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	if (!acc_is_stream(&acc))
		peer_puts(fd, "line\n");
	ck_eventually(seen->errors == 1);
	close(fd);
	expect(SKS_ENDED_ERROR, 1);
	ck_assert_uint_eq(seen_last.info.exchanges, 0);
	acc_free(&acc);
}

TEST(who_waits_for_its_turn_when_the_server_stops, EACH_MODE)
{
	struct sks_options options = { .on_end = on_end, .drain_ms = 1, .max_running = 1,
		.close_listeners = 1 };
	struct acc acc;
	int running, waiting;

	if (acc_modes[_i].workers > 1)
		return; /* they have a place each */
	acc_serve(&acc, _i, &acc_script, &options);
	running = acc_client(&acc);
	peer_puts(running, "w\n");
	peer_expect(running, "waiting\n");
	waiting = acc_client(&acc);
	sks_server_shutdown(acc.server);
	peer_expect_eof(running);
	peer_expect_gone(waiting);
	acc_join(&acc);
	expect(SKS_ENDED_CANCELLED, 2);
	acc_free(&acc);
}

TEST(who_is_parked_when_the_server_stops, EACH_MODE)
{
	struct sks_options options = { .on_end = on_end };
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &acc_script, &options);
	fd = acc_client(&acc);
	peer_puts(fd, "k\n");
	ck_eventually(acc_has_parked(&acc, 1));
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	expect(SKS_ENDED_DRAIN, 1);
	acc_free(&acc);
}

static int
write_much(struct sks_request *req)
{
	static char much[60000];
	int i;

	for (i = 0; i < 100; i++)
		if (sks_write(req->wfile, much, sizeof(much)) == -1)
			return SKS_DONE; /* as if all were well */
	return SKS_DONE;
}

TEST(who_does_not_take_the_output, EACH_MODE)
{
	const struct sks_handler handler = { .handle = write_much };
	struct sks_options options = { .on_end = on_end, .timeout_ms = 1, .linger_ms = 1 };
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	expect(SKS_ENDED_TIMEOUT, 1);
	ck_assert_uint_gt(seen_last.info.bytes_out, 0);
	close(fd);
	acc_free(&acc);
}

/* -- in child processes -- */

static int
crash(struct sks_request *req)
{
	(void)req;
	raise(SIGKILL);
	return SKS_DONE;
}

static int
leave(struct sks_request *req)
{
	(void)req;
	exit(0);
}

static int
leave_badly(struct sks_request *req)
{
	(void)req;
	exit(3);
}

static const struct {
	const char *name;
	int (*handle)(struct sks_request *req);
	int reason;
} ways[] = {
	{ "a crash", crash, SKS_ENDED_ERROR },
	{ "exit(0)", leave, SKS_ENDED_DONE },
	{ "exit(3)", leave_badly, SKS_ENDED_ERROR },
};

TEST(whose_child_leaves, EACH_OF(ways))
{
	const struct sks_handler handler = { .handle = ways[_i].handle };
	struct sks_options options = { .on_end = on_end };
	struct acc acc;
	int fd;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	fd = acc_client(&acc);
	expect(ways[_i].reason, 1);
	close(fd);
	acc_free(&acc);
}

/* More than fit into one piece of the memory that parent and children share. */
TEST(of_many_children_at_once)
{
	const struct sks_handler handler = { .handle = count_and_echo };
	struct sks_options options = { .on_end = on_end, .max_running = 70 };
	int fds[70], i;
	struct acc acc;

	acc_serve(&acc, ACC_PROCESSES, &handler, &options);
	for (i = 0; i < 70; i++)
		fds[i] = acc_client(&acc);
	ck_eventually(acc_stats(&acc).active == 70);
	for (i = 0; i < 70; i++)
		peer_puts(fds[i], "line\n");
	for (i = 0; i < 70; i++)
		peer_expect(fds[i], "line\n");
	for (i = 0; i < 70; i++)
		close(fds[i]);
	expect(SKS_ENDED_DONE, 70);
	ck_assert_str_eq(seen_last.note, "from the handler");
	acc_free(&acc);
}

/* -- without a server -- */

TEST(of_a_connection_without_a_server)
{
	const struct sks_handler handler = { .handle = acc_echo_line };
	struct sks_options options = { .on_end = on_end, .linger_ms = 1 };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_puts(fds[1], "line\n");
	ck_assert_int_eq(sks_serve_fd(fds[0], &handler, &options), 0);
	peer_expect(fds[1], "line\n");
	close(fds[1]);
	expect(SKS_ENDED_DONE, 1);
	ck_assert_uint_eq(seen_last.info.bytes_out, 5);
}
