/* SPDX-License-Identifier: MIT */
/*
 * The options of a server: the table, and how those of one server get their defaults from it.
 */
#include "server/options.h"

#include "base/log.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CONNECTIONS_DEFAULT 10000
#define MEMORY_LEAST (1 << 20) /* a loop keeps some for its next connections */

/* X(member, kind, default, least, most, name on a command line, what it is) */
/* clang-format off */
#define OPTIONS(X) \
	X(mode, MODE, 0, SKS_FIBERS, SKS_PROCESSES, "mode", \
	    "where the handler runs") \
	X(workers, COUNT, 1, SKS_AUTO, 1024, "workers", \
	    "event loops, each on a thread; 0: one for each core") \
	X(backlog, COUNT, SOMAXCONN, 1, INT_MAX, "backlog", \
	    "clients that wait to be accepted") \
	X(max_connections, COUNT, CONNECTIONS_DEFAULT, 1, INT_MAX, "max-connections", \
	    "open at once, or half the open files; more wait") \
	X(max_running, COUNT, 0, 1, INT_MAX, "max-running", \
	    "in their handler at once; threads: 256, processes: 64") \
	X(idle_ms, TIME, 60000, SKS_OFF, INT_MAX, "idle", \
	    "of a silent client") \
	X(timeout_ms, TIME, 30000, SKS_OFF, INT_MAX, "timeout", \
	    "of a slow client") \
	X(linger_ms, TIME, 5000, SKS_OFF, INT_MAX, "linger", \
	    "for a client to close after us") \
	X(drain_ms, TIME, 10000, SKS_OFF, INT_MAX, "drain", \
	    "for running requests after a stop signal") \
	X(tick_ms, TIME, 1000, SKS_OFF, INT_MAX, NULL, NULL) \
	X(reuse_port, FLAG, 0, 0, 1, "reuse-port", \
	    "each worker listens for itself, and others may too") \
	X(v6only, FLAG, 0, 0, 1, "v6only", \
	    ":port and [::] take IPv6 alone") \
	X(unix_mode, COUNT, 0, 0, 0777, NULL, NULL) \
	X(stop_signals, FLAG, 0, 0, 1, NULL, NULL) \
	X(keep_truncated, FLAG, 0, 0, 1, NULL, NULL) \
	X(block_warn_ms, TIME, 100, SKS_OFF, INT_MAX, "block-warn", \
	    "a handler that keeps its loop for so long is named") \
	X(max_line, SIZE, 8192, 2, 1 << 30, "max-line", \
	    "the longest line") \
	X(max_output, SIZE, 65536, 1, SSIZE_MAX / 4, "max-output", \
	    "unsent bytes of a client") \
	X(max_datagram, SIZE, 65536, 1, 65536, "max-datagram", \
	    "the longest datagram") \
	X(stack_size, SIZE, 128 * 1024, 16384, 1 << 30, "stack-size", \
	    "of a fiber") \
	X(close_listeners, COUNT, 0, SKS_OFF, 1, NULL, NULL) \
	X(grace_ms, TIME, 1000, SKS_OFF, INT_MAX, "grace", \
	    "for the first request of a client, after a stop signal") \
	X(max_input, SIZE, 1024 * 1024, 1, SSIZE_MAX / 4, "max-input", \
	    "input read while a write waits") \
	X(lame_duck_ms, TIME, 0, 0, INT_MAX, "lame-duck", \
	    "still accepting, but not ready, after a stop signal") \
	X(deadline_ms, TIME, SKS_OFF, SKS_OFF, INT_MAX, "deadline", \
	    "for a whole request") \
	X(max_per_peer, COUNT, 0, 0, INT_MAX, "max-per-peer", \
	    "connections of one address at once; more are rejected") \
	X(rate_per_peer, COUNT, 0, 0, 1000000, "rate-per-peer", \
	    "new connections of one address in a second, likewise") \
	X(peer_bits4, COUNT, 32, 1, 32, "peer-bits4", \
	    "of an IPv4 address that count as one") \
	X(peer_bits6, COUNT, 64, 1, 128, "peer-bits6", \
	    "of an IPv6 address that count as one") \
	X(min_rate, SIZE, 0, 0, 1 << 30, "min-rate", \
	    "bytes a second of a client that sends or takes a block") \
	X(max_memory, SIZE, 0, MEMORY_LEAST, SSIZE_MAX / 4, "max-memory", \
	    "of all buffers; beyond it clients wait") \
	X(make_room_ms, TIME, SKS_OFF, SKS_OFF, INT_MAX, "make-room", \
	    "a full server ends the client that has kept it waiting for so long") \
	X(reserved, COUNT, 0, 0, 0, NULL, NULL)
/* clang-format on */

#define SIZE_OF(member, ...) +sizeof(((struct sks_options *)0)->member)

/*
 * A compound literal leaves padding dirty, and a newer library would take that
 * for members it knows. So there is none, and each number has its row.
 */
static_assert(sizeof(struct sks_options) ==
	0 OPTIONS(SIZE_OF) + 5 * sizeof(void *) + 6 * sizeof(void (*)(void)),
    "a number of struct sks_options is missing in OPTIONS, or the struct has padding");

#define RULE(member_, kind_, fallback_, least_, most_, name_, help_)  \
	{ .member = #member_,                                         \
		.offset = offsetof(struct sks_options, member_),      \
		.size = sizeof(((struct sks_options *)0)->member_),   \
		.kind = SKS_KIND_##kind_,                             \
		.name = name_,                                        \
		.help = help_,                                        \
		.fallback = fallback_,                                \
		.least = least_,                                      \
		.most = most_ },

static const struct sks_option_rule rules[] = { OPTIONS(RULE) };

const char *const sks_mode_names[SKS_MODES] = {
	[SKS_FIBERS] = "fibers",
	[SKS_SERIAL] = "serial",
	[SKS_THREADS] = "threads",
	[SKS_PROCESSES] = "processes",
};

const struct sks_option_rule *
sks_option_rules(size_t *n)
{
	*n = SKS_ARRAY_LEN(rules);
	return rules;
}

static int
invalid(const char *member, const char *why)
{
	return sks_fail(NULL, EINVAL, "options.%s: %s", member, why);
}

static int
out_of_range(const struct sks_option_rule *rule)
{
	return sks_fail(NULL, EINVAL, "options.%s: must be %" PRId64 " to %" PRId64 "%s",
	    rule->member, rule->least, rule->most,
	    rule->kind != SKS_KIND_TIME    ? "" :
		rule->least == SKS_OFF ? " milliseconds; -1 is SKS_OFF" :
					 " milliseconds");
}

/* A member as a number. */
static int64_t
get(const struct sks_options *o, const struct sks_option_rule *rule)
{
	const char *member = (const char *)o + rule->offset;
	size_t size;
	int number;

	if (rule->size == sizeof(number)) {
		memcpy(&number, member, sizeof(number));
		return number;
	}
	memcpy(&size, member, sizeof(size));
	return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

static void
set(struct sks_options *o, const struct sks_option_rule *rule, int64_t value)
{
	char *member = (char *)o + rule->offset;
	size_t size = (size_t)value;
	int number = (int)value;

	if (rule->size == sizeof(number))
		memcpy(member, &number, sizeof(number));
	else
		memcpy(member, &size, sizeof(size));
}

/* -- defaults that depend -- */

static int
fitting_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 || files.rlim_cur / 2 > CONNECTIONS_DEFAULT)
		return CONNECTIONS_DEFAULT;
	return files.rlim_cur < 4 ? 1 : (int)(files.rlim_cur / 2);
}

static int
cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void
fill_dependent(struct sks_options *o)
{
	if (o->workers == SKS_AUTO)
		o->workers = cores();
	if (o->max_connections == 0)
		o->max_connections = fitting_connections();
	if (o->close_listeners == 0)
		o->close_listeners = o->stop_signals ? 1 : SKS_OFF;
	if (o->max_running == 0)
		o->max_running = o->mode == SKS_THREADS ? 256 :
		    o->mode == SKS_PROCESSES            ? 64 :
							  INT_MAX;
}

int
sks_options_fill(struct sks_options *o)
{
	size_t i;

	fill_dependent(o);
	for (i = 0; i < SKS_ARRAY_LEN(rules); i++) {
		int64_t value = get(o, &rules[i]);

		if (value == 0)
			set(o, &rules[i], rules[i].fallback);
		else if (rules[i].kind != SKS_KIND_FLAG &&
		    (value < rules[i].least || value > rules[i].most))
			return out_of_range(&rules[i]);
	}
	if (o->mode == SKS_PROCESSES && o->workers > 1)
		return invalid("workers",
		    "not with processes: fork would copy the other threads' locks");
	if (o->max_memory > 0 && o->mode == SKS_PROCESSES)
		return invalid("max_memory", "not with processes: each has memory of its own");
	if (o->max_memory > 0 && o->max_memory / (size_t)o->workers < MEMORY_LEAST)
		return invalid("max_memory", "must be 1048576 bytes at least for each worker");
	if (o->mode == SKS_SERIAL)
		o->max_running = o->workers;
	return 0;
}

int
sks_mode_check(const char *name, int mode, int refuses, const char *why)
{
	if (mode < 0 || mode >= SKS_MODES || !(refuses & SKS_REFUSES(mode)))
		return 0;
	return sks_fail(SKS_LOG_HANDLER(name), EINVAL, "not in the mode %s%s%s",
	    sks_mode_names[mode], why != NULL ? ": " : "", why != NULL ? why : "");
}
