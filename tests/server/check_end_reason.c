/* SPDX-License-Identifier: MIT */
/*
 * check_end_reason.c - finish learns why its request ends, and what it was, and in each mode the
 * same.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* What finish has seen, also in a child process. */
struct end {
	int reason;
	struct sks_info info;
	char handler[64], listener[160], note[300];
	atomic_int has_note, is_in_memory, told;
};

static struct end *end;

/* What on_end has seen, in the host. */
static struct {
	atomic_int calls;
	int reason;
	struct sks_info info;
	char note[300];
} last;

static void
set_up(void)
{
	acc_setup();
	end = mmap(NULL, sizeof(*end), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(end, MAP_FAILED);
	memset(&last, 0, sizeof(last));
}

static void
tear_down(void)
{
	munmap(end, sizeof(*end));
	acc_teardown();
}

FIXTURE(set_up, tear_down);

static void
tell(struct sks_request *req)
{
	end->reason = sks_end_reason(req);
	acc_require(sks_request_info(req, &end->info) == 0);
	acc_require(end->info.reason == end->reason);
	snprintf(end->handler, sizeof(end->handler), "%s", end->info.handler);
	snprintf(end->listener, sizeof(end->listener), "%s",
	    end->info.listener != NULL ? end->info.listener : "");
	snprintf(end->note, sizeof(end->note), "%s", end->info.note != NULL ? end->info.note : "");
	end->has_note = end->info.note != NULL;
	acc_finish(req);
	atomic_store(&end->told, 1);
}

/* finish has told this reason. */
static void
expect_finish(int reason)
{
	ck_eventually(atomic_load(&end->told));
	ck_assert_str_eq(sks_end_reason_name(end->reason), sks_end_reason_name(reason));
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(sks_end_reason_name(reason)[0] != '-', 1);
}

static void
on_end(struct sks_request *req, const struct sks_info *info)
{
	last.reason = sks_end_reason(req);
	last.info = *info;
	snprintf(last.note, sizeof(last.note), "%s", info->note != NULL ? info->note : "");
	atomic_fetch_add(&last.calls, 1);
}

/* finish has told this reason, and on_end the same, once, and no less of the rest. */
static void
expect(int reason)
{
	expect_finish(reason);
	ck_eventually(atomic_load(&last.calls) == 1);
	ck_assert_str_eq(sks_end_reason_name(last.reason), sks_end_reason_name(reason));
	ck_assert_int_eq(last.info.reason, last.reason);
	ck_assert_uint_eq(last.info.began_ns, end->info.began_ns);
	ck_assert_uint_eq(last.info.first_ns, end->info.first_ns);
	ck_assert_uint_eq(last.info.exchanges, end->info.exchanges);
	ck_assert_uint_ge(last.info.duration_ns, end->info.duration_ns);
	ck_assert_uint_ge(last.info.bytes_in, end->info.bytes_in);
	ck_assert_uint_ge(last.info.bytes_out, end->info.bytes_out);
	ck_assert_str_eq(last.note, end->note);
}

static struct sks_options
hooked(const struct sks_options *options)
{
	struct sks_options o = options != NULL ? *options : (struct sks_options){ 0 };

	o.on_end = on_end;
	return o;
}

static struct sks_handler
script(void)
{
	struct sks_handler handler = acc_script;

	handler.finish = tell;
	return handler;
}

/* A server whose client has said `text` and has read what comes back, "" for nothing. */
static int
begin(struct acc *acc, int mode, const struct sks_options *options, const char *text,
    const char *answer)
{
	struct sks_handler handler = script();
	struct sks_options o = hooked(options);
	int fd;

	acc_serve(acc, mode, &handler, &o);
	fd = acc_client(acc);
	peer_puts(fd, text);
	peer_expect(fd, answer);
	return fd;
}

static void
await_parked(struct acc *acc)
{
	ck_eventually(acc_has_parked(acc, 1));
}

TEST(done, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nd\n", "echo\n");

	peer_expect_eof(fd);
	expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

/* Also where the client has closed its side, but the handler has not read so far. */
TEST(done_with_input_left, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nd\nmore\n", "echo\n");

	peer_half_close(fd);
	peer_expect_eof(fd);
	expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

TEST(closed_by_the_peer, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\n", "echo\n");

	peer_half_close(fd);
	peer_expect_eof(fd);
	expect(SKS_ENDED_CLOSED);
	acc_free(&acc);
}

TEST(closed_by_the_peer_while_parked, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	peer_half_close(fd);
	peer_expect_eof(fd);
	expect(SKS_ENDED_CLOSED);
	acc_free(&acc);
}

TEST(idle_in_a_read, EACH_MODE)
{
	struct sks_options options = { .idle_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "", "");

	peer_expect_eof(fd);
	expect(SKS_ENDED_IDLE);
	acc_free(&acc);
}

TEST(idle_while_parked, EACH_MODE)
{
	struct sks_options options = { .idle_ms = 200 };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "k\n", "");

	peer_expect_eof(fd);
	expect(SKS_ENDED_IDLE);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

TEST(a_slow_line, EACH_MODE)
{
	struct sks_options options = { .timeout_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "half a line", "");

	peer_expect_eof(fd);
	expect(SKS_ENDED_TIMEOUT);
	acc_free(&acc);
}

TEST(a_deadline, EACH_MODE)
{
	struct sks_options options = { .deadline_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "", "");

	peer_expect_eof(fd);
	expect(SKS_ENDED_DEADLINE);
	acc_free(&acc);
}

TEST(a_reset, EACH_MODE)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct acc acc;

	peer_reset(begin(&acc, _i, &options, "echo\n", "echo\n"));
	expect(SKS_ENDED_RESET);
	acc_free(&acc);
}

TEST(a_reset_while_parked, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	peer_reset(fd);
	expect(SKS_ENDED_RESET);
	acc_free(&acc);
}

static int
abort_it(struct sks_request *req)
{
	return sks_abort(req);
}

TEST(a_reset_by_the_handler, EACH_MODE)
{
	const struct sks_handler handler = { .handle = abort_it, .finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &o);
	fd = acc_client(&acc);
	expect(SKS_ENDED_RESET);
	close(fd);
	acc_free(&acc);
}

TEST(drained, EACH_MODE)
{
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "echo\nk\n", "echo\n");

	await_parked(&acc);
	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	expect(SKS_ENDED_DRAIN);
	acc_join(&acc);
	acc_free(&acc);
}

/* It ends by itself, though it has learned that the server stops. */
TEST(done_while_the_server_drains, EACH_MODE)
{
	char answer[sizeof("draining 1\n") - 1]; /* or 0 */
	struct acc acc;
	int fd = begin(&acc, _i, NULL, "sd\nq\n", "");

	ck_eventually(!sks_server_is_ready(acc.server));
	peer_puts(fd, "d\n");
	ck_assert_uint_eq(peer_receive(fd, answer, sizeof(answer)), sizeof(answer));
	peer_expect_eof(fd);
	acc_join(&acc);
	expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

TEST(cancelled, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "w\n", "waiting\n");

	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	expect(SKS_ENDED_CANCELLED);
	acc_join(&acc);
	acc_free(&acc);
}

TEST(cancelled_in_a_read, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1, .on_error = acc_on_error };
	struct acc acc;
	int fd = begin(&acc, _i, &options, "echo\n", "echo\n");

	sks_server_shutdown(acc.server);
	peer_expect_eof(fd);
	expect(SKS_ENDED_CANCELLED);
	acc_join(&acc);
	acc_free(&acc);
}

TEST(an_error, EACH_TRANSPORT)
{
	struct sks_options options = { .on_error = acc_on_error, .on_end = on_end };
	struct sks_handler handler = script();
	struct acc acc;

	acc_all(&acc, _i, &handler, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nf\n", "echo\n");
	expect(SKS_ENDED_ERROR);
	acc_free(&acc);
}

static int
fail_as_if_reset(struct sks_request *req)
{
	(void)req;
	errno = ECONNRESET;
	return -1;
}

/* The reset is that of another connection of the handler. */
TEST(a_reset_of_another_connection_is_an_error, EACH_MODE)
{
	const struct sks_handler handler = { .handle = fail_as_if_reset, .finish = tell };
	struct sks_options options = { .on_error = acc_on_error, .on_end = on_end };
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &handler, &options);
	fd = acc_client(&acc);
	peer_expect_eof(fd);
	expect(SKS_ENDED_ERROR);
	acc_free(&acc);
}

static int
look_and_echo(struct sks_request *req)
{
	acc_require(sks_end_reason(req) == SKS_ENDED_NOT);
	return acc_echo_line(req);
}

TEST(a_request_that_goes_on_has_no_reason, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = look_and_echo, .finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;

	acc_all(&acc, _i, &handler, &o);
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	expect(SKS_ENDED_DONE);
	ck_assert_str_eq(sks_end_reason_name(SKS_ENDED_NOT), "-");
	ck_assert_str_eq(sks_end_reason_name(-1), "-");
	ck_assert_str_eq(sks_end_reason_name(99), "-");
	acc_free(&acc);
}

/* -- what is told beside the reason -- */

TEST(tells_bytes_exchanges_and_times, EACH_MODE)
{
	const struct sks_handler handler = { .name = "keeper", .handle = acc_echo_keep,
		.finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;
	int fd, i;

	acc_serve(&acc, _i, &handler, &o);
	fd = acc_client(&acc);
	for (i = 0; i < 3; i++) {
		peer_puts(fd, "four\n");
		peer_expect(fd, "four\n");
	}
	peer_half_close(fd);
	peer_expect_eof(fd);
	expect(SKS_ENDED_CLOSED);
	ck_assert_uint_eq(end->info.bytes_in, 15);
	ck_assert_uint_eq(end->info.bytes_out, 15);
	/* A thread or child is there when the last exchange has ended, and may learn the end in it. */
	ck_assert_uint_ge(end->info.exchanges, 3);
	ck_assert_uint_le(end->info.exchanges, 4);
	ck_assert_uint_gt(end->info.began_ns, 0);
	ck_assert_uint_gt(end->info.first_ns, 0);
	ck_assert_uint_le(end->info.first_ns, end->info.duration_ns);
	ck_assert_ptr_null(end->info.tls_version);
	ck_assert_int_eq(end->has_note, 0);
	ck_assert_str_eq(end->handler, "keeper");
	acc_free(&acc);
}

TEST(tells_the_listener, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = acc_echo_line, .finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;
	char address[160];

	acc_all(&acc, _i, &handler, &o);
	ck_assert_ptr_nonnull(
	    sks_server_listen_address(acc.server, 0, address, sizeof(address)));
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	expect(SKS_ENDED_DONE);
	ck_assert_str_eq(end->listener, address);
	ck_assert_uint_eq(end->info.bytes_in, 5);
	ck_assert_uint_eq(end->info.exchanges, 1);
	acc_free(&acc);
}

static int
look_at_silence(struct sks_request *req)
{
	struct sks_info info;

	acc_require(sks_request_info(req, &info) == 0);
	acc_require(info.reason == SKS_ENDED_NOT && info.bytes_in == 0 && info.first_ns == 0);
	sks_puts(req->wfile, "hello\n");
	acc_require(sks_flush(req->wfile) == 0);
	acc_require(sks_request_info(req, &info) == 0);
	acc_require(info.bytes_out == 6 && info.first_ns == 0 && info.exchanges == 1);
	return SKS_DONE;
}

TEST(no_first_byte_has_no_time, EACH_STREAM)
{
	const struct sks_handler handler = { .handle = look_at_silence, .finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;

	acc_streams(&acc, _i, &handler, &o);
	acc_start(&acc);
	acc_ask(&acc, "", "hello\n");
	expect(SKS_ENDED_DONE);
	acc_free(&acc);
}

static int
note_twice(struct sks_request *req)
{
	acc_require(sks_set_note(req, "one") == 0);
	acc_require(sks_set_note(req, "two\n") == 0);
	return SKS_DONE;
}

TEST(has_the_last_note, EACH_TRANSPORT)
{
	const struct sks_handler handler = { .handle = note_twice, .finish = tell };
	struct sks_options o = hooked(NULL);
	struct acc acc;
	int fd;

	acc_all(&acc, _i, &handler, &o);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "\n");
	expect_finish(SKS_ENDED_DONE);
	close(fd);
	expect(SKS_ENDED_DONE);
	ck_assert_str_eq(end->note, "two\n");
	acc_free(&acc);
}

/* -- without a server -- */

static int
note_much(struct sks_request *req)
{
	char much[400];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	acc_require(sks_set_note(req, much) == 0);
	return SKS_DONE;
}

TEST(a_long_note_is_cut)
{
	const struct sks_handler handler = { .handle = note_much, .finish = tell };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_uint_eq(strlen(end->note), 255);
	ck_assert_str_eq(end->listener, "");
	expect_finish(SKS_ENDED_DONE);
}

static int
take_notes(struct sks_request *req)
{
	acc_require(sks_set_note(req, "kept") == 0);
	fault("malloc:ENOMEM");
	errno = 0;
	acc_require(sks_set_note(req, "lost") == -1 && errno == ENOMEM);
	sks_fault_clear();
	return SKS_DONE;
}

TEST(without_memory_the_earlier_note_stays)
{
	const struct sks_handler handler = { .handle = take_notes, .finish = tell };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_str_eq(end->note, "kept");
}

static int
forget_note(struct sks_request *req)
{
	acc_require(sks_set_note(req, "one") == 0);
	return sks_set_note(req, NULL);
}

TEST(a_note_can_be_taken_back)
{
	const struct sks_handler handler = { .handle = forget_note, .finish = tell };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	ck_assert_int_eq(end->has_note, 0);
}

TEST(bytes_in_memory_end_as_closed)
{
	const struct sks_handler handler = { .handle = acc_echo_lines, .finish = tell };

	ck_assert_int_eq(sks_handle_bytes(&handler, "line\n", 5, NULL, NULL), 0);
	expect_finish(SKS_ENDED_CLOSED);
}

static int
ask_as_older_program(struct sks_request *req)
{
	unsigned char info[sizeof(struct sks_info) + 8];
	size_t first = sizeof(int) * 2;

	memset(info, 0xff, sizeof(info));
	acc_require(sks_request_info_abi(req, (void *)info, first) == 0);
	acc_require(info[0] == 0 && info[first] == 0xff);
	acc_require(sks_request_info_abi(req, (void *)info, sizeof(info)) == 0);
	acc_require(info[sizeof(info) - 1] == 0);
	return SKS_DONE;
}

TEST(fills_in_what_older_and_newer_programs_know)
{
	const struct sks_handler handler = { .handle = ask_as_older_program, .finish = tell };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
	expect_finish(SKS_ENDED_DONE);
}
