/* SPDX-License-Identifier: MIT */
/*
 * check_agent.c - the agent handler beside another one: what it tells of a server that is idle,
 * busy, or about to stop.
 */
#include "acceptance.h"

#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define handler sks_plugin_descriptor.handler

FIXTURE(acc_setup, acc_teardown);

struct agent {
	struct acc acc;
	char address[200];
};

static void
open_server(struct agent *a, int i, const struct sks_options *options)
{
	acc_tcp(&a->acc, i, &acc_script, options);
	snprintf(a->address, sizeof(a->address), "unix:%s/agent", acc_dir);
	ck_assert_int_eq(sks_server_listen_with(a->acc.server, a->address, &handler, NULL), 0);
	acc_start(&a->acc);
}

static void
expect_line(int fd, const char *line)
{
	char *all;
	size_t n;

	peer_half_close(fd);
	all = peer_read_all(fd, &n);
	ck_assert_str_eq(all, line);
	free(all);
	close(fd);
}

static void
expect(const struct agent *a, const char *line)
{
	expect_line(peer_connect(a->address), line);
}

TEST(an_idle_server_has_all_of_its_weight, EACH_MODE)
{
	struct agent a;

	open_server(&a, _i, NULL);
	expect(&a, "ready up 100%\n");
	acc_free(&a.acc);
}

static int
places(const struct agent *a)
{
	struct sks_stats stats = acc_stats(&a->acc);

	return (int)(stats.active + stats.parked + stats.lingering);
}

/*
 * A connection, or a process, that has just ended may still have its place: only n others have one.
 */
static void
expect_beside(const struct agent *a, int n, const char *line)
{
	ck_eventually(places(a) == n);
	expect(a, line);
}

TEST(the_weight_follows_the_places_that_are_free, EACH_MODE)
{
	static const char *const lines[] = { "ready up 100%\n", "ready up 67%\n", "ready up 34%\n" };
	struct sks_options options = { .max_connections = 3 };
	struct agent a;
	int fds[3], i;

	open_server(&a, _i, &options);
	for (i = 0; i < 3; i++) {
		expect_beside(&a, i, lines[i]);
		fds[i] = acc_client(&a.acc);
		peer_puts(fds[i], "k\n");
		ck_eventually(acc_has_parked(&a.acc, i + 1));
	}
	while (i-- > 0)
		close(fds[i]);
	acc_free(&a.acc);
}

/* Where each loop listens for itself, the kernel may give all clients to one, which has half. */
TEST(the_weight_follows_the_requests_that_run, EACH_MODE)
{
	static const char *const lines[] = { "ready up 100%\n", "ready up 75%\n", "ready up 50%\n" };
	struct sks_options options = { .max_running = 4, .drain_ms = 1 };
	struct agent a;
	int fds[3], i;

	open_server(&a, _i, &options);
	for (i = 0; i < 3 && !a.acc.mode->one_at_a_time && !a.acc.mode->reuse_port; i++) {
		expect_beside(&a, i, lines[i]);
		fds[i] = acc_client(&a.acc);
		peer_puts(fds[i], "w\n");
		peer_expect(fds[i], "waiting\n");
	}
	while (i-- > 0)
		close(fds[i]);
	acc_free(&a.acc);
}

/* Each loop has a place at least, so two requests run where one may. */
TEST(a_server_that_is_full_keeps_a_little_weight)
{
	struct sks_options options = { .max_running = 1, .drain_ms = 1 };
	struct agent a;
	int fd;

	open_server(&a, ACC_TWO_LOOPS, &options);
	fd = acc_client(&a.acc);
	peer_puts(fd, "w\n");
	peer_expect(fd, "waiting\n");
	expect(&a, "ready up 1%\n");
	close(fd);
	acc_free(&a.acc);
}

TEST(a_lame_duck_is_drained, EACH_MODE)
{
	struct sks_options options = { .lame_duck_ms = 3600 * 1000, .stop_signals = 1 };
	struct agent a;

	open_server(&a, _i, &options);
	acc_ask(&a.acc, "echo\nd\n", "echo\n");
	sks_server_shutdown(a.acc.server);
	ck_eventually(a.acc.server->state == SKS_LAME_DUCK);
	expect(&a, "drain\n");
	atomic_store(&a.acc.server->service.shared->stop, 2);
	sks_loop_wake(sks_server_first(a.acc.server)->loop);
	acc_join(&a.acc);
	acc_free(&a.acc);
}

/* It is in the backlog when the server stops: the only place is taken. */
TEST(a_server_that_stops_says_so, EACH_MODE)
{
	struct sks_options options = { .close_listeners = 1, .max_connections = 1, .linger_ms = 1 };
	struct agent a;
	int parked, agent;

	open_server(&a, _i, &options);
	parked = acc_client(&a.acc);
	peer_puts(parked, "echo\nk\n");
	peer_expect(parked, "echo\n");
	ck_eventually(acc_has_parked(&a.acc, 1));
	agent = peer_connect(a.address);
	sks_server_shutdown(a.acc.server);
	expect_line(agent, "stopped\n");
	peer_expect_eof(parked);
	acc_join(&a.acc);
	ck_assert_int_eq(a.acc.rc, 0);
	acc_free(&a.acc);
}

TEST(without_a_server_it_fails)
{
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes(&handler, "", 0, &out, &n), 0);
	ck_assert_str_eq(out, "fail\n");
	free(out);
}
