/* SPDX-License-Identifier: MIT */
/*
 * check_request_limits.c - the one rule of time limits (export.h) in the calls of handlers and
 * servers; those of streams and sockets are in check_limits.c.
 */
#include "acceptance.h"

#include "base/util.h"
#include "rig.h"

#include <errno.h>
#include <limits.h>

FIXTURE(acc_setup, acc_teardown);

static const int wrong[] = { -3, -1000, INT_MIN };

/* In a handler, which says how it went. */
static int
set_deadlines(struct sks_request *req)
{
	size_t k;

	ck_assert_int_eq(sks_deadline(req, 0), 0);
	ck_fails(sks_sleep(SKS_OFF), ETIMEDOUT);
	ck_fails(sks_deadline(req, SKS_DEFAULT), EINVAL);
	for (k = 0; k < SKS_ARRAY_LEN(wrong); k++)
		ck_fails(sks_deadline(req, wrong[k]), EINVAL);
	ck_fails(sks_sleep(1), ETIMEDOUT); /* it stayed as it was */
	ck_assert_int_eq(sks_deadline(req, SKS_OFF), 0);
	ck_assert_int_eq(sks_sleep(1), 0);
	ck_assert_int_eq(sks_deadline(req, 1), 0);
	ck_fails(sks_sleep(SKS_OFF), ETIMEDOUT);
	return 0;
}

TEST_ON_BOTH(a_deadline_keeps_the_rule)
{
	struct sks_handler handler = { .handle = set_deadlines };

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, NULL, NULL), 0);
}

/* A parked connection ends at once when it may not wait for its next byte. */
static int
park_for_nothing(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return sks_end(req->rfile);
	sks_puts(req->wfile, "ok\n");
	sks_rfile_set_idle(req->rfile, 0);
	return SKS_KEEP;
}

TEST(who_may_not_wait_is_parked_for_no_time, EACH_STREAM)
{
	static const struct sks_handler handler = {
		.handle = park_for_nothing, .finish = acc_finish
	};
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "one\n");
	peer_expect(fd, "ok\n");
	peer_expect_eof(fd);
	acc_stop(&acc);
	ck_assert_int_eq(seen->finishes, 1);
	acc_free(&acc);
}

TEST(handle_request_with_0_takes_only_who_is_there, EACH_TRANSPORT)
{
	struct acc acc;
	size_t k;
	int fd;

	acc_all(&acc, _i, &acc_script, NULL);
	ck_fails(sks_handle_request(acc.server, 0), ETIMEDOUT);
	ck_fails(sks_handle_request(acc.server, SKS_DEFAULT), EINVAL);
	for (k = 0; k < SKS_ARRAY_LEN(wrong); k++)
		ck_fails(sks_handle_request(acc.server, wrong[k]), EINVAL);
	ck_assert_int_eq(sks_server_is_running(acc.server), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "echo\nd\n");
	peer_half_close(fd);
	if (acc.mode->reuse_port) /* another loop may have to be woken for it */
		ck_assert_int_eq(sks_handle_request(acc.server, SKS_OFF), 0);
	else
		ck_assert_int_eq(sks_handle_request(acc.server, 0), 0);
	peer_expect(fd, "echo\n");
	close(fd);
	ck_fails(sks_handle_request(acc.server, 0), ETIMEDOUT);
	acc_free(&acc);
}
