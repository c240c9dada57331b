/* SPDX-License-Identifier: MIT */
/*
 * check_connect_many.c - sks_connect() to a name that has several addresses.
 */
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(network_setup, network_teardown);

static void
pass_over_silence(void *arg)
{
	struct listener silent, good;
	struct sks_client *conn;
	const char *found[2];

	(void)arg;
	open_silent(&silent, "[::1]:0");
	open_listener(&good, "127.0.0.1:0", 5);
	found[0] = silent.address;
	found[1] = good.address;
	resolves_to(found, 2);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	meet(&good, conn);
	ck_assert_int_eq(ntried, 2);
	/* After a quarter of a second, so long before the first would have timed out. */
	ck_assert_int_ge(tried_at[1] - tried_at[0], 249 * 1000000);
	ck_assert_int_eq(sks_client_close(conn), 0);
	ck_assert_int_eq(log_lines(), 0);
	close_listener(&silent);
	close_listener(&good);
}

TEST(the_next_address_is_tried_after_a_quarter_of_a_second, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, pass_over_silence, NULL);
}

static int it_is_over;

/* The first gets through when a third has begun already. */
static void
drain_backlog(void *arg)
{
	struct listener *l = arg;
	int fd;

	ck_assert_int_eq(fcntl(l->fd, F_SETFL, O_NONBLOCK), 0);
	while (!it_is_over) {
		ck_assert_int_eq(sks_sleep(5), 0);
		if (ntried == 3 && (fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC)) != -1)
			close(fd);
	}
}

static void
let_the_slow_win(void *arg)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct listener slow, silent[2];
	struct sks_client *conn;
	const char *found[3];
	char text[160];
	int i;

	(void)arg;
	open_silent(&slow, "127.0.0.1:0");
	found[0] = slow.address;
	for (i = 0; i < 2; i++) {
		open_silent(&silent[i], "[::1]:0");
		found[i + 1] = silent[i].address;
	}
	resolves_to(found, 3);
	rig_go(rig_here(), drain_backlog, &slow);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	it_is_over = 1;
	ck_assert_int_eq(ntried, 3);
	ck_assert_int_eq(sks_socket_getpeername(conn->socket, (struct sockaddr *)&addr, &len), 0);
	ck_assert_str_eq(sks_address_format((struct sockaddr *)&addr, len, text, sizeof(text)),
	    slow.address);
	ck_assert_int_eq(sks_client_close(conn), 0);
	while (rig_here()->live > 1)
		sks_yield();
	close_listener(&slow);
	close_listener(&silent[0]);
	close_listener(&silent[1]);
}

TEST(whoever_answers_first_wins)
{
	rig_run_on(1, let_the_slow_win, NULL);
}

static void
try_sooner_after_failures(void *arg)
{
	struct listener dead, good;
	struct sks_client *conn;
	const char *found[NETWORK_MOST];
	int i, quick = 0;

	(void)arg;
	open_listener(&dead, "[::1]:0", -1);
	open_listener(&good, "127.0.0.1:0", 5);
	found[0] = dead.address;
	for (i = 1; i < 10; i++)
		found[i] = i % 2 ? "192.0.2.111:1" : "192.0.2.101:1"; /* doubles are tried once */
	found[10] = "[2001:db8::113]:1";
	found[11] = good.address;
	resolves_to(found, 12);
	conn = sks_connect("some.test:80", 20000);
	ck_assert_ptr_nonnull(conn);
	meet(&good, conn);
	ck_assert_int_eq(ntried, 5);
	/* Without failures each try begins a quarter of a second after the one before. */
	for (i = 1; i < ntried; i++)
		quick |= tried_at[i] - tried_at[i - 1] < 249 * 1000000;
	ck_assert(quick);
	ck_assert_int_eq(sks_client_close(conn), 0);
	ck_assert_int_eq(log_lines(), 0);
	close_listener(&dead);
	close_listener(&good);
}

TEST(after_a_failure_the_next_one_is_tried_at_once, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, try_sooner_after_failures, NULL);
}

TEST(families_are_tried_in_turn, TIMES(4))
{
	static const struct {
		const char *found[6];
		const char *order;
	} cases[] = {
		{ { "[2001:db8::111]:1", "[2001:db8::111]:2", "[2001:db8::111]:3", "192.0.2.111:4",
		      "192.0.2.111:5" },
		    "[2001:db8::111]:1 192.0.2.111:4 [2001:db8::111]:2 192.0.2.111:5 "
		    "[2001:db8::111]:3 " },
		{ { "192.0.2.111:1", "192.0.2.111:2", "192.0.2.111:3", "[2001:db8::111]:4" },
		    "192.0.2.111:1 [2001:db8::111]:4 192.0.2.111:2 192.0.2.111:3 " },
		{ { "192.0.2.111:1", "192.0.2.111:2" }, "192.0.2.111:1 192.0.2.111:2 " },
		{ { "[2001:db8::111]:1" }, "[2001:db8::111]:1 " },
	};
	size_t n = 0;

	log_keep();
	while (n < 6 && cases[_i].found[n] != NULL)
		n++;
	resolves_to(cases[_i].found, n);
	ck_assert_ptr_null(sks_connect("some.test:80", 1000));
	ck_assert_str_eq(tried, cases[_i].order);
}

/* Of the addresses the one that got furthest is told. */
TEST(the_attempt_that_got_furthest_is_told, TIMES(5))
{
	static const struct {
		const char *found[4];
		int error;
		const char *line;
	} cases[] = {
		/* no such address here, no network, no host, refused */
		{ { "192.0.2.99:1", "192.0.2.101:2", "192.0.2.111:3", "192.0.2.113:4" }, ECONNREFUSED,
		    "connect some.test:80 (192.0.2.111:3): " },
		{ { "192.0.2.99:1", "192.0.2.101:2", "192.0.2.113:3" }, ENETUNREACH,
		    "connect some.test:80 (192.0.2.101:2): " },
		{ { "192.0.2.97:1", "192.0.2.99:2" }, EAFNOSUPPORT, "(192.0.2.97:1): " },
		{ { "192.0.2.101:1", "192.0.2.110:2", "192.0.2.113:3" }, ETIMEDOUT, "(192.0.2.110:2): " },
		{ { "192.0.2.111:1", "192.0.2.13:2", "192.0.2.111:3" }, EACCES, "(192.0.2.13:2): " },
	};
	size_t n = 0;

	log_keep();
	while (n < 4 && cases[_i].found[n] != NULL)
		n++;
	resolves_to(cases[_i].found, n);
	ck_no_connection("some.test:80", 1000, cases[_i].error);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count_error(cases[_i].line, cases[_i].error), 1);
}

/* A busy machine may not come to the second, after 250 ms, or to its answer in the time left. */
static void
try_both(int error)
{
	int ms;

	ntried = 0;
	for (ms = 300; ms < 20000 && (ntried < 2 || errno != error); ms *= 2) {
		ntried = 0;
		log_forget();
		errno = 0;
		ck_assert_ptr_null(sks_connect("some.test:80", ms));
	}
	ck_assert_int_eq(ntried, 2);
	ck_assert_int_eq(errno, error);
}

static void
time_out_twice(void *arg)
{
	struct listener silent[2], dead;
	const char *found[3];
	int i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		open_silent(&silent[i], i == 0 ? "[::1]:0" : "127.0.0.1:0");
		found[i] = silent[i].address;
	}
	resolves_to(found, 2);
	try_both(ETIMEDOUT);
	ck_assert_int_eq(log_count("(["), 1); /* the first */
	/* A refusal tells more than silence. */
	open_listener(&dead, "127.0.0.1:0", -1);
	found[1] = dead.address;
	resolves_to(found, 2);
	try_both(ECONNREFUSED);
	close_listener(&dead);
	close_listener(&silent[0]);
	close_listener(&silent[1]);
}

TEST(all_attempts_have_one_time_limit, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, time_out_twice, NULL);
}
