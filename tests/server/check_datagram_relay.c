/* SPDX-License-Identifier: MIT */
/*
 * check_datagram_relay.c - handlers of datagrams that pass on what has come, to a connection.
 */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE "a line\n"

FIXTURE(acc_setup, acc_teardown);

static char behind[160]; /* where the datagrams go on to */

static int is_copied; /* by sks_copy(), else by sks_pass() */

static int
pass_on(struct sks_request *req)
{
	struct sks_client *server = sks_connect(behind, 20000);
	ssize_t rc;

	if (server == NULL)
		return -1;
	rc = is_copied ? sks_copy(req->rfile, server->wfile, strlen(LINE)) :
			 sks_pass(req->rfile, server->wfile);
	sks_client_close(server);
	return rc == -1 ? -1 : sks_puts(req->wfile, "passed on\n");
}

/* The memory of a datagram is its request's, and must not become that of another stream. */
static void
relay(int i)
{
	static const struct sks_handler handler = { .name = "relay", .handle = pass_on };
	struct acc front, back;
	int fd, n;

	acc_on(&back, ACC_FIBERS, "127.0.0.1:0", &acc_script, NULL);
	acc_start(&back);
	snprintf(behind, sizeof(behind), "%s", back.address);
	acc_datagrams(&front, i, &handler, NULL);
	acc_start(&front);
	fd = acc_client(&front);
	for (n = 0; n < 3; n++) {
		peer_puts(fd, LINE);
		peer_expect(fd, "passed on\n");
	}
	close(fd);
	ck_eventually(acc_stats(&back).bytes_in == 3 * strlen(LINE));
	acc_stop(&front);
	ck_assert_uint_eq(acc_stats(&front).failed, 0);
	acc_free(&front);
	acc_free(&back);
}

TEST(a_datagram_is_passed_on_to_a_connection, EACH_DATAGRAM)
{
	relay(_i);
}

TEST(a_datagram_is_copied_to_a_connection, EACH_DATAGRAM)
{
	is_copied = 1;
	relay(_i);
}
