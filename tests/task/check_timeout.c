/* SPDX-License-Identifier: MIT */
/*
 * check_timeout.c - a limit over several calls: it ends every wait in it, and
 * none outside of it.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

FIXTURE(acc_setup, acc_teardown);

#define FOR_EVER (3600 * 1000)

/* It must answer ETIMEDOUT. */
static void
expires(int rc)
{
	int error = errno;

	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(error, ETIMEDOUT);
}

TEST_ON_BOTH(every_wait_in_it_ends)
{
	struct sks_mutex *mutex = sks_mutex_new();
	struct sks_timeout timeout;
	struct rig_link link;
	char *line;
	int i;

	rig_link_open(&link);
	ck_assert_int_eq(sks_mutex_lock(mutex), 0);
	sks_timeout_begin(&timeout, 5);
	expires(sks_sleep(FOR_EVER));
	for (i = 0; i < 2; i++) { /* from then on at once */
		expires(sks_sleep(FOR_EVER));
		expires(sks_sleep(0));
		expires(sks_wait_fd(link.fd, SKS_READ, SKS_OFF));
		expires((int)sks_readline(&link.r, &line));
	}
	ck_assert_int_eq(sks_rfile_error(&link.r), 0);
	ck_assert_int_eq(sks_timeout_end(&timeout), 1);
	ck_assert_int_eq(sks_sleep(1), 0); /* and no more */
	ck_assert_int_eq(sks_task_current()->deadline, SKS_NEVER);
	rig_say(&link, "a line\n", 7);
	ck_assert_int_eq(sks_readline(&link.r, &line), 7);
	ck_assert_int_eq(sks_mutex_unlock(mutex), 0);
	sks_mutex_free(mutex);
	rig_link_close(&link);
}

TEST_ON_BOTH(who_is_in_time_notices_nothing)
{
	struct sks_timeout timeout, none;

	sks_timeout_begin(&timeout, FOR_EVER);
	ck_assert_int_eq(sks_sleep(1), 0);
	ck_assert_int_eq(sks_timeout_end(&timeout), 0);
	sks_timeout_begin(&none, SKS_OFF);
	ck_assert_int_eq(sks_sleep(1), 0);
	ck_assert_int_eq(sks_timeout_end(&none), 0);
	ck_assert_int_eq(sks_task_current()->deadline, SKS_NEVER);
}

TEST_ON_BOTH(an_inner_one_never_extends_an_outer_one)
{
	struct sks_timeout outer, inner;

	sks_timeout_begin(&outer, FOR_EVER);
	sks_timeout_begin(&inner, 3);
	expires(sks_sleep(FOR_EVER));
	ck_assert_int_eq(sks_timeout_end(&inner), 1);
	ck_assert_int_eq(sks_sleep(1), 0);
	ck_assert_int_eq(sks_timeout_end(&outer), 0);

	sks_timeout_begin(&outer, 3);
	sks_timeout_begin(&inner, FOR_EVER); /* extends nothing */
	expires(sks_sleep(FOR_EVER));
	ck_assert_int_eq(sks_timeout_end(&inner), 0);
	expires(sks_sleep(FOR_EVER));
	ck_assert_int_eq(sks_timeout_end(&outer), 1);
	ck_assert_int_eq(sks_sleep(1), 0);
}

/* Its client says which of the two comes first. */
static int
limit_both(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);
	struct sks_timeout timeout;
	int expired, waited, after;

	if (line == NULL)
		return -1;
	switch (line[0]) {
	case 'd': /* the exchange's, set before */
		sks_deadline(req, 5);
		sks_timeout_begin(&timeout, FOR_EVER);
		break;
	case 'i': /* the same, set inside */
		sks_timeout_begin(&timeout, FOR_EVER);
		sks_deadline(req, 5);
		break;
	case 't': /* the scope; the exchange's is taken away inside */
		sks_deadline(req, 1);
		sks_timeout_begin(&timeout, 5);
		sks_deadline(req, SKS_OFF);
		break;
	default: /* left open to the end of handle */
		sks_timeout_begin(&timeout, 1);
		return SKS_KEEP;
	}
	waited = sks_sleep(FOR_EVER) == -1 ? errno : 0;
	expired = sks_timeout_end(&timeout);
	after = sks_sleep(2) == -1 ? errno : 0;
	sks_deadline(req, SKS_OFF);
	return sks_printf(req->wfile, "%s %d %s\n", waited == ETIMEDOUT ? "limit" : "none", expired,
	    after == ETIMEDOUT ? "limit" : "none") == -1 ? -1 : SKS_KEEP;
}

TEST(it_holds_beside_the_deadline_of_the_exchange, EACH_MODE)
{
	static const struct sks_handler handler = { .handle = limit_both };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\n");
	peer_expect(fd, "limit 0 limit\n");
	peer_puts(fd, "i\n");
	peer_expect(fd, "limit 0 limit\n");
	peer_puts(fd, "t\n");
	peer_expect(fd, "limit 1 none\n");
	peer_puts(fd, "open\nd\n"); /* the next exchange begins without it */
	peer_expect(fd, "limit 0 limit\n");
	close(fd);
	acc_free(&acc);
}
