/* SPDX-License-Identifier: MIT */
/*
 * check_lifecycle.c - a server's runs: how they begin, several at once, and what breaks them.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <event2/event.h>

FIXTURE(acc_setup, acc_teardown);

/* -- beginning -- */

TEST(needs_a_listener, EACH_MODE)
{
	struct sks_options options = { 0 };
	struct sks_server *server;

	options = acc_options(&acc_modes[_i], &options);
	server = sks_server_new(&acc_script, &options);
	ck_assert_ptr_nonnull(server);
	errno = 0;
	ck_assert_int_eq(sks_serve_forever(server), -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_int_eq(sks_handle_request(server, 1), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("there is no address: call sks_server_listen() first"), 2);
	sks_server_free(server);
}

static int
serve_inside(struct sks_request *req)
{
	if (sks_serve_forever(req->server) == -1 && errno == EALREADY)
		atomic_fetch_add(&seen->note, 1);
	if (sks_handle_request(req->server, 1) == -1 && errno == EALREADY)
		atomic_fetch_add(&seen->note, 1);
	return sks_puts(req->wfile, sks_server_is_running(req->server) ? "runs\n" : "no\n");
}

TEST(runs_once_at_a_time, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = serve_inside };
	struct acc acc;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	acc_ask(&acc, "\n", "runs\n");
	ck_assert_int_eq(seen->note, 2);
	acc_free(&acc);
}

TEST(free_of_nothing_is_fine)
{
	sks_server_free(NULL);
}

/* -- several servers -- */

TEST(two_servers_in_two_threads_do_not_know_each_other, EACH_MODE)
{
	struct acc one, two;

	acc_tcp(&one, _i, &acc_script, NULL);
	acc_tcp(&two, _i, &acc_script, NULL);
	acc_start(&one);
	acc_start(&two);
	acc_ask(&one, "echo 1\nd\n", "echo 1\n");
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_stop(&one);
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_free(&one);
	acc_ask(&two, "echo 2\nd\n", "echo 2\n");
	acc_free(&two);
}

/* -- when things break -- */

TEST(ends_when_its_last_listener_has_failed, EACH_STREAM)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	if (acc.mode->reuse_port && acc.transport == ACC_TCP) { /* one of two: the other goes on */
		acc_free(&acc);
		return;
	}
	ck_assert_int_eq(sks_fault("accept4:EBADF:1"), 0);
	acc_start(&acc);
	fd = acc_client(&acc);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, -1);
	ck_assert_int_eq(acc.error, EBADF);
	ck_assert_int_eq(log_count("listener"), 1);
	close(fd);
	acc_free(&acc);
}

TEST(passes_over_clients_that_went_away, EACH_STREAM)
{
	struct acc acc;

	acc_streams(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("accept4:ECONNABORTED:1,accept4:EINTR:2,accept4:EPERM:3"), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).refused, 2);
	ck_assert_uint_eq(acc_stats(&acc).accepted, 1);
	acc_free(&acc);
}

TEST(waits_a_little_when_descriptors_run_out, EACH_STREAM)
{
	static const char *const rules[] = { "accept4:EMFILE:1", "accept4:ENFILE:1",
		"accept4:ENOBUFS:1", "accept4:ENOMEM:1" };
	struct acc acc;
	size_t i;

	for (i = 0; i < 4; i++) {
		acc_streams(&acc, _i, &acc_script, NULL);
		ck_assert_int_eq(sks_fault(rules[i]), 0);
		acc_start(&acc);
		acc_ask(&acc, "echo\nd\n", "echo\n");
		ck_assert_int_eq(log_count("accept: "), (int)i + 1);
		ck_assert_uint_le(sks_fault_calls("accept4"), 8);
		acc_free(&acc);
		sks_fault_clear();
	}
}

TEST(reports_when_it_cannot_begin, EACH_MODE)
{
	struct acc acc;

	acc_tcp(&acc, _i, &acc_script, NULL);
	ck_assert_int_eq(sks_fault("event_add:ENOMEM:1"), 0);
	errno = 0;
	ck_assert_int_eq(sks_serve_forever(acc.server), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_free(&acc);
}
