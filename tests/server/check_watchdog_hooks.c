/* SPDX-License-Identifier: MIT */
/*
 * check_watchdog_hooks.c - hooks that keep their loop are named: they run on it in every mode.
 * (Handlers: check_watchdog.c.)
 */
#include "acceptance.h"

#include "base/clock.h"

#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static int is_forking;

#define HOOK_MS (is_slow() ? 1000 : 100) /* longer than a handler takes, which would be named, too */

/* Until the log has it; where no thread looks, for longer than a hook may. */
static void
keep_the_loop(void)
{
	int64_t begun = sks_clock_ms();

	while (is_forking ? sks_clock_ms() < begun + 2 * HOOK_MS : log_count("still does") == 0)
		breathe();
}

static int
verify_for_long(struct sks_request *req)
{
	(void)req;
	keep_the_loop();
	return 1;
}

static void
tick_for_long(struct sks_server *server, void *data)
{
	(void)data;
	if (atomic_fetch_add(&seen->ticks, 1) == 0)
		keep_the_loop();
	sks_server_shutdown(server);
}

static void
stop_for_long(struct sks_server *server, void *data)
{
	(void)server;
	(void)data;
	keep_the_loop();
}

static void
expect_named(const struct acc *acc, const char *words)
{
	ck_assert_int_eq(log_count(words), is_forking ? 1 : 2);
	ck_assert_int_eq(log_count("still does"), is_forking ? 0 : 1);
	ck_assert_int_ge((int)acc_stats(acc).blocked, 1);
}

static void
open_with(struct acc *acc, int i, const struct sks_options *options)
{
	static const struct sks_handler handler = { .name = "hello", .handle = acc_echo_line };

	acc_tcp(acc, i, &handler, options);
	is_forking = acc->mode->mode == SKS_PROCESSES;
}

TEST(names_a_verify_that_keeps_its_loop, EACH_MODE)
{
	struct sks_options options = { .block_warn_ms = HOOK_MS, .verify = verify_for_long };
	struct acc acc;

	open_with(&acc, _i, &options);
	acc_start(&acc);
	acc_ask(&acc, "hi\n", "hi\n"); /* so it is over */
	expect_named(&acc, "hello: 127.0.0.1:");
	acc_free(&acc);
}

TEST(names_a_verify_of_a_datagram, EACH_MODE)
{
	struct sks_options options = { .block_warn_ms = HOOK_MS, .verify = verify_for_long };
	char address[128];
	struct acc acc;
	int fd;

	open_with(&acc, _i, &options);
	ck_assert_int_eq(sks_server_listen(acc.server, "udp:127.0.0.1:0"), 0);
	ck_assert_ptr_nonnull(sks_server_address(acc.server, 1, address, sizeof(address)));
	acc_start(&acc);
	fd = peer_datagram(address, NULL);
	peer_puts(fd, "hi\n");
	peer_expect(fd, "hi\n");
	close(fd);
	expect_named(&acc, "hello: 127.0.0.1:");
	acc_free(&acc);
}

static void
end_for_long(struct sks_request *req, const struct sks_info *info)
{
	(void)req;
	(void)info;
	keep_the_loop();
}

TEST(names_an_on_end_that_keeps_its_loop, EACH_MODE)
{
	struct sks_options options = { .block_warn_ms = HOOK_MS, .on_end = end_for_long };
	struct acc acc;

	open_with(&acc, _i, &options);
	acc_start(&acc);
	acc_ask(&acc, "hi\n", "hi\n");
	acc_stop(&acc); /* so it is over */
	expect_named(&acc, "hello: 127.0.0.1:");
	acc_free(&acc);
}

TEST(names_a_tick_that_keeps_its_loop, EACH_MODE)
{
	struct sks_options options = { .block_warn_ms = HOOK_MS, .tick_ms = 1, .on_tick = tick_for_long };
	struct acc acc;

	open_with(&acc, _i, &options);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	expect_named(&acc, "hello: on_tick ");
	acc_free(&acc);
}

static void
shut_down_at_a_tick(struct sks_server *server, void *data)
{
	(void)data;
	sks_server_shutdown(server);
}

TEST(names_an_on_stop_that_keeps_its_loop, EACH_MODE)
{
	struct sks_options options = { .block_warn_ms = HOOK_MS, .tick_ms = 1,
		.on_tick = shut_down_at_a_tick, .on_stop = stop_for_long };
	struct acc acc;

	open_with(&acc, _i, &options);
	ck_assert_int_eq(sks_serve_forever(acc.server), 0);
	expect_named(&acc, "hello: on_stop ");
	acc_free(&acc);
}
