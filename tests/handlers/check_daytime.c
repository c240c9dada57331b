/* SPDX-License-Identifier: MIT */
/*
 * check_daytime.c - the daytime handler: whose time it tells.
 */
#include "acceptance.h"

#include <errno.h>
#include <socketserver/host.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define plugin sks_plugin_descriptor

static void *config;
static char *format;

static void
set(const char *name, const char *value, char **kept)
{
	const struct sks_plugin_option *o = plugin.options;
	char why[200];

	while (strcmp(o->name, name) != 0)
		o++;
	ck_assert_msg(sks_option_parse(o, value, config, kept, why, sizeof(why)) == 0, "%s", why);
}

static void
open_server(struct acc *acc, int i, const char *utc)
{
	struct sks_options options = { 0 };
	char *none;

	config = calloc(1, plugin.config_size);
	ck_assert_ptr_nonnull(config);
	set("format", "%Z %z", &format);
	set("utc", utc, &none);
	options.data = config;
	acc_tcp(acc, i, &plugin.handler, &options);
	acc_start(acc);
}

static void
close_server(struct acc *acc)
{
	acc_free(acc);
	free(config);
	free(format);
	unsetenv("TZ");
	tzset();
}

static void
expect_zone(const struct acc *acc, const char *zone)
{
	int fd = acc_client(acc);

	peer_expect(fd, zone);
	peer_expect_eof(fd);
}

FIXTURE(acc_setup, acc_teardown);

TEST(a_change_of_the_zone_is_seen, EACH_MODE)
{
	struct acc acc;

	setenv("TZ", "EAST-03:30", 1);
	open_server(&acc, _i, "no");
	expect_zone(&acc, "EAST +0330\r\n");
	setenv("TZ", "WEST+05", 1);
	expect_zone(&acc, "WEST -0500\r\n");
	expect_zone(&acc, "WEST -0500\r\n");
	close_server(&acc);
}

TEST(utc_is_the_same_in_each_zone, EACH_MODE)
{
	struct acc acc;
	time_t now = 0;
	struct tm parts;
	char zone[40]; /* GMT or UTC, as the C library says */

	setenv("TZ", "WEST+05", 1);
	open_server(&acc, _i, "yes");
	ck_assert_uint_gt(strftime(zone, sizeof(zone), "%Z +0000\r\n", gmtime_r(&now, &parts)), 0);
	expect_zone(&acc, zone);
	close_server(&acc);
}
