/* SPDX-License-Identifier: MIT */
/*
 * check_silent_peers.c - peers that go before they have sent a byte, as health checks do: no error
 * of the handler, and no line but at level debug.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <socketserver/log.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown, .timeout_s = 120);

#define CHECKS 5

/* -- what handlers do -- */

static int
greet(struct sks_request *req)
{
	sks_puts(req->wfile, "hello\n");
	return 0;
}

/* An end is -1 for it, as for many who only look for success. */
static int
read_exactly(struct sks_request *req)
{
	char bytes[4];

	return sks_readexactly(req->rfile, bytes, sizeof(bytes)) == -1 ? -1 : 0;
}

/* It says nothing about why, either. */
static int
read_a_line(struct sks_request *req)
{
	char *line;

	return sks_readline(req->rfile, &line) > 0 ? 0 : -1;
}

static const struct kind {
	const char *name;
	struct sks_handler handler;
} kinds[] = {
	{ "echo", { .name = "silent", .handle = acc_echo_lines } },
	{ "client first", { .name = "silent", .handle = acc_echo_lines, .client_first = 1 } },
	{ "greeting", { .name = "silent", .setup = greet, .handle = acc_echo_lines } },
	{ "exactly", { .name = "silent", .handle = read_exactly } },
	{ "a line", { .name = "silent", .handle = read_a_line } },
};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static const char *
name_of(int i)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s, %s", kinds[i % KINDS].name, acc_name_of_mode(i / KINDS));
	return name;
}

#define EACH_KIND .times = KINDS *ACC_MODES, .variant = name_of

/* Some of them close, and some reset. */
static void
check_health(const struct acc *acc)
{
	int i, fd;

	for (i = 0; i < CHECKS; i++) {
		fd = peer_connect(acc->address);
		if (i % 2)
			peer_reset(fd);
		else
			close(fd);
	}
	ck_eventually(acc_stats(acc).finished + acc_stats(acc).refused == CHECKS);
}

TEST(a_health_check_is_no_error_and_logs_nothing, EACH_KIND)
{
	struct acc acc;

	acc_serve(&acc, _i / KINDS, &kinds[_i % KINDS].handler, NULL);
	check_health(&acc);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

static const struct sks_options with_hook = { .on_error = acc_on_error };

TEST(it_is_none_for_on_error_either, EACH_KIND)
{
	struct acc acc;

	acc_serve(&acc, _i / KINDS, &kinds[_i % KINDS].handler, &with_hook);
	check_health(&acc);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

TEST(at_level_debug_each_has_a_line, EACH_KIND)
{
	struct acc acc;

	ck_assert_int_eq(sks_set_log_level(SKS_LOG_DEBUG), 0);
	acc_serve(&acc, _i / KINDS, &kinds[_i % KINDS].handler, NULL);
	check_health(&acc);
	acc_free(&acc);
	ck_assert_int_eq(log_count("silent: 127.0.0.1:"), CHECKS);
	ck_assert_int_eq(log_count(": the peer has gone before it has sent anything"), CHECKS);
	ck_assert_int_eq(log_lines(), CHECKS);
}

TEST(behind_a_proxy_too, EACH_MODE)
{
	struct acc acc;

	ck_assert_int_eq(sks_set_log_level(SKS_LOG_DEBUG), 0);
	acc_on(&acc, _i, "proxy:127.0.0.1:0", &kinds[0].handler,
	    &(struct sks_options){ .proxy_from = "127.0.0.0/8" });
	acc_start(&acc);
	check_health(&acc);
	ck_assert_uint_eq(acc_stats(&acc).refused, CHECKS);
	acc_free(&acc);
	ck_assert_int_eq(log_count(": the peer has gone before it has sent anything"), CHECKS);
	ck_assert_int_eq(log_lines(), CHECKS);
}

/* The answer to a first request has come, and the connection rests before the next. */
TEST(between_two_requests_a_reset_is_no_error_either, EACH_MODE)
{
	static const struct sks_handler keeping = { .name = "keeping", .handle = acc_echo_keep };
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &keeping, NULL);
	fd = peer_connect(acc.address);
	peer_puts(fd, "one\n");
	peer_expect(fd, "one\n");
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
	ck_assert_int_eq(log_lines(), 0);
}

TEST(who_has_spoken_and_resets_is_an_error, EACH_MODE)
{
	struct acc acc;
	int fd;

	acc_serve(&acc, _i, &kinds[0].handler, NULL);
	fd = peer_connect(acc.address);
	peer_puts(fd, "one\nand a half");
	peer_expect(fd, "one\n");
	peer_reset(fd);
	ck_eventually(acc_stats(&acc).failed == 1);
	acc_free(&acc);
	ck_assert_int_eq(log_count(": Connection reset by peer"), 1);
}

/* Its fault is its own, though its client has ended its side without a word. */
static int
fail_always(struct sks_request *req)
{
	char *line;

	if (sks_readline(req->rfile, &line) > 0)
		return 0;
	errno = ENOENT;
	return -1;
}

TEST(another_fault_of_the_handler_is_an_error, EACH_MODE)
{
	static const struct sks_handler failing = { .name = "failing", .handle = fail_always };
	struct acc acc;

	acc_serve(&acc, _i, &failing, NULL);
	close(peer_connect(acc.address));
	ck_eventually(acc_stats(&acc).failed == 1);
	acc_free(&acc);
	ck_assert_int_eq(log_count("failing: 127.0.0.1:"), 1);
	ck_assert_int_eq(log_lines(), 1);
}

/* -- lines of a handler -- */

static int
log_itself(struct sks_request *req)
{
	sks_log(SKS_LOG_WARN, "a line of it");
	return sks_puts(req->wfile, "logged\n");
}

TEST(a_line_of_a_handler_names_it_and_its_peer, EACH_MODE)
{
	static const struct sks_handler logging = { .name = "logging", .handle = log_itself };
	struct acc acc;

	acc_serve(&acc, _i, &logging, NULL);
	acc_ask(&acc, "", "logged\n");
	acc_free(&acc);
	ck_assert_int_eq(log_count("logging: 127.0.0.1:"), 1);
	ck_assert_int_eq(log_count(": a line of it"), 1);
	sks_log(SKS_LOG_WARN, "behind it");
	ck_assert_int_eq(log_count("logging: "), 1);
}

static int
log_and_welcome(struct sks_request *req)
{
	(void)req;
	sks_log(SKS_LOG_WARN, "who comes");
	return 1;
}

TEST(a_line_of_verify_names_the_peer, EACH_MODE)
{
	static const struct sks_handler logging = { .name = "logging", .handle = log_itself };
	struct acc acc;

	acc_serve(&acc, _i, &logging, &(struct sks_options){ .verify = log_and_welcome });
	acc_ask(&acc, "", "logged\n");
	acc_free(&acc);
	ck_assert_int_eq(log_count("logging: 127.0.0.1:"), 2);
	ck_assert_int_eq(log_count(": who comes"), 1);
}
