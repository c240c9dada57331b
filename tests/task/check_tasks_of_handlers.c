/* SPDX-License-Identifier: MIT */
/*
 * check_tasks_of_handlers.c - children of handlers: they are gone when their handler returns.
 */
#include "acceptance.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

#define FOR_EVER (3600 * 1000)

/* Notes what ended its sleep. */
static int
sleep_for_ever(void *arg)
{
	int error = sks_sleep(FOR_EVER) == -1 ? errno : 0;

	if (arg != NULL)
		atomic_store((atomic_int *)arg, error);
	return error;
}

static int
write_three(void *arg)
{
	struct sks_request *req = arg;
	int i;

	for (i = 0; i < 3; i++) {
		if (sks_printf(req->wfile, "tick %d\n", i) == -1 || sks_sleep(1) == -1)
			return -1;
	}
	return sks_puts(req->wfile, "last\n"); /* nobody flushes it */
}

/* It reads while the child writes. */
static int
read_beside_a_writer(struct sks_request *req)
{
	struct sks_child *child = sks_go(write_three, req);
	char *line;
	int result = -1;

	if (child == NULL)
		return -1;
	line = sks_gets(req->rfile);
	if (line == NULL || strcmp(line, "go on") != 0 || sks_child_join(child, &result) == -1)
		return -1;
	return sks_printf(req->wfile, "joined %d\n", result);
}

TEST(one_reads_while_the_other_writes, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = read_beside_a_writer };
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "tick 0\ntick 1\ntick 2\nlast\n"); /* at its end, while the parent still reads */
	peer_puts(fd, "go on\n");
	peer_expect(fd, "joined 0\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

static int
note_cancel(void *arg)
{
	struct sks_request *req = arg;

	(void)req;
	if (sks_sleep(FOR_EVER) == -1 && errno == ECANCELED)
		atomic_fetch_add(&seen->note, 1);
	return 0;
}

/* Its client says what it returns: d, k or f; "s": a setup that fails. */
static int
leave_children(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	atomic_fetch_add(&seen->handles, 1);
	if (line == NULL)
		return SKS_DONE;
	if (sks_go(note_cancel, req) == NULL || sks_go(note_cancel, req) == NULL)
		return -1;
	sks_sleep(1);
	sks_printf(req->wfile, "%s\n", line);
	errno = EPROTO;
	return line[0] == 'k' ? SKS_KEEP : line[0] == 'f' ? -1 : SKS_DONE;
}

static void
finish_after_children(struct sks_request *req)
{
	sks_printf(req->wfile, "%d ended before\n", (int)seen->note);
	if (sks_go(note_cancel, req) == NULL)
		sks_puts(req->wfile, "no child\n");
}

static const struct sks_handler leaving = {
	.name = "leaving", .handle = leave_children, .finish = finish_after_children,
};

TEST(what_is_not_joined_ends_with_handle, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &leaving, &options);
	acc_start(&acc);
	acc_ask(&acc, "d\n", "d\n2 ended before\n");
	ck_eventually(seen->note == 3); /* finish's own */
	fd = acc_client(&acc);
	peer_puts(fd, "k\n");
	peer_expect(fd, "k\n");
	ck_eventually(seen->note == 5); /* parked: no child is left */
	peer_puts(fd, "f\n");
	peer_expect(fd, "f\n7 ended before\n");
	peer_expect_eof(fd);
	ck_eventually(seen->note == 8);
	ck_assert_int_eq(seen->errors, 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	acc_free(&acc);
}

static int
fail_setup(struct sks_request *req)
{
	if (sks_go(note_cancel, req) == NULL)
		return -1;
	errno = EPROTO;
	return -1;
}

TEST(also_with_a_setup_that_fails, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = fail_setup, .handle = acc_echo_line };
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect_gone(fd);
	ck_eventually(seen->errors == 1);
	ck_assert_int_eq(seen->last_error, EPROTO);
	ck_assert_int_eq(seen->note, 1);
	acc_free(&acc);
}

static void
go_on_error(struct sks_request *req, int error)
{
	acc_on_error(req, error);
	acc_require(sks_go(note_cancel, req) != NULL);
}

TEST(also_what_on_error_has_started, EACH_MODE)
{
	static const struct sks_handler handler = { .setup = fail_setup, .handle = acc_echo_line };
	struct sks_options options = { .on_error = go_on_error };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	peer_expect_gone(acc_client(&acc));
	ck_eventually(seen->note == 2);
	acc_free(&acc);
}

/*
 * Two read at once, and one is refused. It says so to the client, which then sends for the other.
 */
static int
try_to_read(struct sks_request *req)
{
	char byte;

	if (sks_read(req->rfile, &byte, 1) == 1)
		return 0;
	sks_printf(req->wfile, "%s\n", strerror(errno));
	return 1;
}

static int
read_too(void *arg)
{
	return try_to_read(arg);
}

static int
read_twice_at_once(struct sks_request *req)
{
	struct sks_child *child = sks_go(read_too, req);
	int refused, result = 0;

	if (child == NULL)
		return -1;
	refused = try_to_read(req); /* on threads the child may be first */
	if (sks_child_join(child, &result) == -1)
		return -1;
	return sks_printf(req->wfile, "%d refused\n", refused + result);
}

TEST(a_second_reader_is_refused, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = read_twice_at_once };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, strerror(EBUSY));
	peer_puts(fd, "x");
	peer_expect(fd, "\n1 refused\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

#define LINES 200

/* Whole lines from two writers; who finds it busy tries again. */
static int
write_lines(struct sks_request *req, char who)
{
	char line[64];
	int i;

	memset(line, who, sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (i = 0; i < LINES; i++) {
		while (sks_write(req->wfile, line, sizeof(line)) == -1) {
			if (errno != EBUSY)
				return -1;
			sks_yield();
		}
	}
	return 0;
}

static int
write_b(void *arg)
{
	return write_lines(arg, 'b');
}

static int
write_at_once(struct sks_request *req)
{
	struct sks_child *child = sks_go(write_b, req);
	int result = -1;

	if (child == NULL || write_lines(req, 'a') == -1 || sks_child_join(child, &result) == -1)
		return -1;
	return result;
}

TEST(two_writers_never_mix_their_writes, EACH_STREAM)
{
	static const struct sks_handler handler = { .handle = write_at_once };
	struct acc acc;
	char *all, line[65];
	size_t n;
	int fd, i, count[2] = { 0 };

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	all = peer_read_all(fd, &n);
	close(fd);
	ck_assert_uint_eq(n, 2 * LINES * 64);
	for (i = 0; i < 2 * LINES; i++) {
		char who = all[i * 64];

		memset(line, who, 63);
		line[63] = '\n';
		ck_assert_mem_eq(all + i * 64, line, 64);
		count[who == 'b']++;
	}
	ck_assert_int_eq(count[0], LINES);
	ck_assert_int_eq(count[1], LINES);
	free(all);
	acc_free(&acc);
}

static int
wait_with_a_child(struct sks_request *req)
{
	struct sks_child *child = sks_go(note_cancel, req);

	if (child == NULL)
		return -1;
	sks_puts(req->wfile, "waits\n");
	if (sks_child_join(child, NULL) == -1)
		atomic_store(&seen->waited, errno);
	return SKS_DONE;
}

static const struct sks_handler waiting = { .name = "waiting", .handle = wait_with_a_child };

TEST(a_shutdown_cancels_children_too, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &waiting, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "waits\n");
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->note, 1);
	/* Either was first: the parent's wait ended, or the child which it waited for. */
	ck_assert(seen->waited == ECANCELED || seen->waited == 0);
	acc_free(&acc);
}

TEST(free_ends_children_too, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &waiting, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	while (peer_is_silent(fd))
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	acc_free(&acc);
	ck_assert_int_eq(seen->note, 1);
	close(fd);
	event_base_free(options.base);
}

static int
try_to_extend(void *arg)
{
	struct sks_request *req = arg;
	struct sks_timeout timeout;

	sks_deadline(req, FOR_EVER);
	sks_timeout_begin(&timeout, FOR_EVER);
	return sleep_for_ever(NULL);
}

static int
limit_the_exchange(struct sks_request *req)
{
	struct sks_child *child;
	int result = 0;

	sks_deadline(req, 20);
	child = sks_go(try_to_extend, req);
	if (child == NULL)
		return -1;
	sks_deadline(req, SKS_OFF);
	if (sks_child_join(child, &result) == -1)
		return -1;
	return sks_printf(req->wfile, "%s\n", strerror(result));
}

TEST(the_deadline_of_the_exchange_holds_for_children, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = limit_the_exchange };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, strerror(ETIMEDOUT));
	peer_expect(fd, "\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* A handler run by a handler has children of its own, and leaves the outer one's alone. */
static int
have_one_too(struct sks_request *req)
{
	return sks_go(note_cancel, req) != NULL ? sks_puts(req->wfile, "inner") : -1;
}

static int
handle_inside(struct sks_request *req)
{
	static const struct sks_handler inner = { .handle = have_one_too };
	struct sks_child *child = sks_go(note_cancel, req);
	char *out = NULL;
	int rc = sks_handle_bytes(&inner, "", 0, &out, NULL);

	if (child == NULL || rc == -1)
		return -1;
	sks_printf(req->wfile, "%s, %d ended\n", out, (int)seen->note);
	free(out);
	sks_child_cancel(child);
	if (sks_child_join(child, NULL) == -1)
		return -1;
	return sks_printf(req->wfile, "%d ended\n", (int)seen->note);
}

TEST(a_handler_inside_of_another_ends_its_own, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = handle_inside };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_expect(fd, "inner, 1 ended\n2 ended\n");
	peer_expect_eof(fd);
	acc_free(&acc);
}

/* Each child but the last starts another, which it joins. Returns how many there were. */
static int
descend(void *arg)
{
	int result = 0, level = *(int *)arg + 1;
	struct sks_child *child = level > 15 ? NULL : sks_go(descend, &level);

	if (child == NULL)
		return level - 1;
	return sks_child_join(child, &result) == 0 ? result : -1;
}

static int
tell_how_deep(struct sks_request *req)
{
	int level = 0;

	return sks_printf(req->wfile, "%d\n", descend(&level));
}

TEST(fifteen_children_may_be_inside_of_each_other, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = tell_how_deep };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "", "15\n");
	acc_free(&acc);
}

/* -- a task of main() -- */

static int
be_a_client_and_stop_it(void *arg)
{
	struct acc *acc = arg;
	struct sks_client *client = sks_connect(acc->address, 20000);
	char *line;

	ck_assert_ptr_nonnull(client);
	sks_puts(client->wfile, "echo\n");
	line = sks_gets(client->rfile);
	ck_assert_str_eq(line, "echo");
	sks_client_close(client);
	sks_server_shutdown(acc->server);
	return sleep_for_ever(NULL);
}

TEST(a_task_of_main_runs_beside_the_server)
{
	struct sks_child *child;
	struct acc acc;
	int result = 0;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	child = sks_go(be_a_client_and_stop_it, &acc);
	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	sks_child_cancel(child);
	ck_assert_int_eq(sks_child_join(child, &result), 0);
	ck_assert_int_eq(result, ECANCELED);
	acc_free(&acc);
}
