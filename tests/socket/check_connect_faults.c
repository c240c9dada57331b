/* SPDX-License-Identifier: MIT */
/*
 * check_connect_faults.c - sks_connect() when something runs out, or there is no network.
 */
#include "faults.h"
#include "base/sys.h"
#include "base/util.h"
#include "network.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

FIXTURE(network_setup, network_teardown);

/* -- what runs out -- */

static void
run_out(void *arg)
{
	static const struct {
		const char *rule;
		int error;
	} cases[] = {
		{ "socket:EMFILE:1+", EMFILE },
		{ "socket:ENFILE:1+", ENFILE },
		{ "connect:EADDRNOTAVAIL:1+", EADDRNOTAVAIL },
		{ "malloc:ENOMEM:1+", ENOMEM },
	};
	struct listener l;
	size_t i;

	(void)arg;
	open_listener(&l, "127.0.0.1:0", 5);
	for (i = 0; i < SKS_ARRAY_LEN(cases); i++) {
		sks_fault(cases[i].rule);
		ck_no_connection(l.address, SKS_DEFAULT, cases[i].error);
		sks_fault_clear();
		ck_assert_int_eq(log_lines(), (int)i + 1);
	}
	close_listener(&l);
}

TEST(what_runs_out_is_told_and_leaks_nothing, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, run_out, NULL);
}

/* Each allocation in turn, and each descriptor. */
static void
fail_each(void *arg)
{
	static const char *const rules[] = {
		"malloc:ENOMEM:%d", "socket:EMFILE:%d", "poll:ENOMEM:%d", "getsockopt:ENOBUFS:%d",
		"event_add:ENOMEM:%d",
	};
	struct listener silent, dead, good;
	const char *found[2];
	size_t i;
	int k;

	(void)arg;
	open_silent(&silent, "[::1]:0");
	open_listener(&dead, "[::1]:0", -1);
	open_listener(&good, "127.0.0.1:0", 128);
	found[1] = good.address;
	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		for (k = 1; k < 30; k++) {
			struct sks_client *conn;
			char rule[64];
			unsigned long hits;

			/* Two at once, or one after the other, which is faster. */
			found[0] = k <= 3 ? silent.address : dead.address;
			resolves_to(found, 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(rule, sizeof(rule), rules[i], k);
#pragma GCC diagnostic pop
			sks_fault(rule);
			conn = sks_connect("some.test:80", 400);
			ck_assert(conn != NULL || errno != 0);
			hits = sks_fault_hits();
			if (conn != NULL) {
				(void)sks_puts(conn->wfile, "one\n");
				(void)sks_client_close(conn);
			}
			sks_fault_clear();
			if (hits == 0)
				break;
		}
		ck_assert_int_lt(k, 30);
	}
	close_listener(&silent);
	close_listener(&dead);
	close_listener(&good);
}

TEST(whatever_fails_nothing_is_left_open, ON_BOTH)
{
	log_keep();
	rig_run_on(_i, fail_each, NULL);
}

TEST(the_log_is_not_flooded)
{
	int i;

	log_keep();
	for (i = 0; i < 200; i++)
		ck_no_connection("192.0.2.111:1", SKS_DEFAULT, ECONNREFUSED);
	ck_assert_int_lt(log_lines(), 150);
}

/* -- a network of our own -- */

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ok = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		close(fd);
	return ok;
}

/* This test's process has a network with nothing but a loopback. 0: it cannot be had here. */
static int
own_network(int ports)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, ok;

	if (unshare(CLONE_NEWNET) == -1) {
		printf("skipped: a network namespace: %s\n", strerror(errno));
		return 0;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	if (fd != -1)
		close(fd);
	if (ok && ports > 0)
		ok = write_file("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003\n");
	if (!ok)
		printf("skipped: a network of its own: %s\n", strerror(errno));
	return ok;
}

static void
use_all_ports(void *arg)
{
	struct sks_client *conns[8];
	struct listener l;
	int n = 0;

	(void)arg;
	open_listener(&l, "127.0.0.1:50000", 20);
	while (n < 8 && (conns[n] = sks_connect(l.address, SKS_DEFAULT)) != NULL)
		n++;
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	ck_assert_int_eq(n, 4);
	ck_assert_int_eq(log_count_error("", EADDRNOTAVAIL), 1);
	while (n > 0)
		sks_client_close(conns[--n]);
	close_listener(&l);
}

TEST(when_all_ports_are_in_use_it_says_so, ON_BOTH)
{
	log_keep();
	if (own_network(4))
		rig_run_on(_i, use_all_ports, NULL);
}

static void
reach_nothing(void *arg)
{
	(void)arg;
	ck_no_connection("198.51.100.1:80", 1000, ENETUNREACH);
	ck_assert_int_eq(log_count_error("", ENETUNREACH), 1);
	ck_no_connection("udp:198.51.100.1:80", 1000, ENETUNREACH);
}

TEST(without_a_network_it_is_unreachable, ON_BOTH)
{
	log_keep();
	if (own_network(0))
		rig_run_on(_i, reach_nothing, NULL);
}
