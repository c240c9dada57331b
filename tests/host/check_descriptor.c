/* SPDX-License-Identifier: MIT */
/*
 * check_descriptor.c - a plugin's descriptor, member by member: each that is wrong is refused with
 * what is wrong, and what its author left out has its meaning.
 */
#include "harness.h"

#include "base/sys.h"
#include "host/module.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <socketserver/plugin.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

static int
handle(struct sks_request *req)
{
	(void)req;
	return SKS_DONE;
}

struct config {
	int number;
};

#define OPTION(name_) { .name = (name_), .type = SKS_OPTION_INTEGER, SKS_OPTION_AT(struct config, number) }

static const struct sks_plugin_option twice[] = { OPTION("a"), OPTION("b"), OPTION("a"), { 0 } };
static const struct sks_plugin_option unfit[] = { OPTION("a b"), { 0 } };
static const struct sks_plugin_option good_ones[] = { OPTION("a"), OPTION("b"), { 0 } };

static struct sks_plugin
good(void)
{
	return (struct sks_plugin)SKS_PLUGIN_MEMBERS_(.name = "good", .summary = "Does nothing",
	    .handler = { .handle = handle }, .config_size = sizeof(struct config));
}

static char why[200];

/* Returns what sks_descriptor_read() does; what it allocated is freed. */
static int
read_it(const struct sks_plugin *given, struct sks_plugin *p, size_t *noptions)
{
	int rc = sks_descriptor_read(given, p, noptions, why, sizeof(why));

	if (rc == 0)
		sks_sys_free((void *)p->options);
	return rc;
}

static void
refused(const struct sks_plugin *given, int error, const char *reason)
{
	struct sks_plugin p;
	size_t noptions;

	ck_fails(read_it(given, &p, &noptions), error);
	ck_assert_msg(strstr(why, reason) != NULL, "%s: %s", reason, why);
}

#define REFUSED(reason, member, ...)                \
	do {                                        \
		struct sks_plugin p = good();       \
                                                    \
		p.member = __VA_ARGS__;             \
		refused(&p, EINVAL, reason);        \
	} while (0)

TEST(each_wrong_member_is_told)
{
	static const char of_64[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	REFUSED("its name is not one", name, NULL);
	REFUSED("its name is not one", name, "");
	REFUSED("its name is not one", name, "a/b");
	REFUSED("its name is not one", name, of_64);
	REFUSED("it has no summary", summary, NULL);
	REFUSED("its handler has no handle", handler.handle, NULL);
	REFUSED("the mode it suggests is none", mode, SKS_FIBERS - 1);
	REFUSED("the mode it suggests is none", mode, SKS_PROCESSES + 1);
	REFUSED("or one it refuses", refuses, SKS_REFUSES(SKS_FIBERS));
	REFUSED("or one it refuses", handler.refuses, SKS_REFUSES(SKS_FIBERS));
	REFUSED("it serves neither streams nor datagrams", serves, -1);
	REFUSED("it serves neither streams nor datagrams", serves, (SKS_STREAMS | SKS_DATAGRAMS) + 1);
	REFUSED("its port is none", port, -1);
	REFUSED("its port is none", port, 65536);
	REFUSED("is no time limit", idle_ms, SKS_OFF - 1);
	REFUSED("is no time limit", timeout_ms, -1000);
	REFUSED("its config_size is over 16 MiB", config_size, ((size_t)16 << 20) + 1);
	REFUSED("its option a: it is there twice", options, twice);
	REFUSED("its option a b: its name is not one", options, unfit);
}

TEST(what_is_just_right_is_taken)
{
	static const char of_63[] = "Aa0_-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct sks_plugin given = good(), p;
	size_t noptions;

	ck_assert_uint_eq(strlen(of_63), 63);
	given.name = of_63;
	given.mode = SKS_PROCESSES;
	given.refuses = SKS_REFUSES(SKS_FIBERS);
	given.handler.refuses = SKS_REFUSES(SKS_THREADS);
	given.serves = SKS_DATAGRAMS;
	given.port = 65535;
	given.idle_ms = SKS_OFF;
	given.config_size = (size_t)16 << 20;
	given.options = good_ones;
	ck_assert_msg(read_it(&given, &p, &noptions) == 0, "%s", why);
	ck_assert_uint_eq(noptions, 2);
	ck_assert_int_eq(p.serves, SKS_DATAGRAMS);
	ck_assert_int_eq(p.refuses, SKS_REFUSES(SKS_FIBERS) | SKS_REFUSES(SKS_THREADS));
}

TEST(what_is_left_out_has_its_meaning)
{
	struct sks_plugin given = good(), p;
	size_t noptions;

	ck_assert_int_eq(read_it(&given, &p, &noptions), 0);
	ck_assert_uint_eq(noptions, 0);
	ck_assert_int_eq(p.serves, SKS_STREAMS | SKS_DATAGRAMS);
	ck_assert_str_eq(p.handler.name, "good");
}

TEST(without_memory_it_is_refused)
{
	struct sks_plugin given = good();

	fault("malloc:ENOMEM");
	refused(&given, ENOMEM, strerror(ENOMEM));
}
