/* SPDX-License-Identifier: MIT */
/*
 * A datagram may be lost, where the manager is slow to read. So each tick compares what is to be
 * told with what was told, and tells it again.
 */
#include "manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <socketserver/host.h>
#include <socketserver/log.h>

#define TICK_MS 1000 /* SIGHUP and a shutdown are noticed so often */

static enum { NOTHING, READY, STOPPING } told;
static int warned;

/* 0, or -1: it was not told. */
static int
tell(const char *lines)
{
	if (sks_notify(lines) != -1)
		return 0;
	if (!warned)
		sks_log(SKS_LOG_WARN, "NOTIFY_SOCKET: the service manager cannot be told: %m");
	warned = 1;
	return -1;
}

void
manager_set_tick(struct sks_options *options)
{
	int ms = sks_notify_interval_ms();

	options->tick_ms = ms > 0 && ms < TICK_MS ? ms : TICK_MS;
}

void
manager_tell_ready(const struct sks_server *server)
{
	char address[160], lines[256];

	if (sks_server_listen_address(server, 0, address, sizeof(address)) == NULL)
		return;
	snprintf(lines, sizeof(lines), "READY=1\nSTATUS=listening on %s", address);
	if (tell(lines) == 0)
		told = READY;
}

void
manager_tell_reloading(void)
{
	struct timespec now;
	char lines[128];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(lines, sizeof(lines),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reading files again",
	    (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (tell(lines) == 0)
		told = NOTHING;
}

static void
tell_stopping(void)
{
	if (told != STOPPING && tell("STOPPING=1\nSTATUS=requests that run may end") == 0)
		told = STOPPING;
}

void
manager_tick(const struct sks_server *server)
{
	int ms = sks_notify_interval_ms();

	if (!sks_server_is_ready(server))
		tell_stopping();
	else if (told != READY)
		manager_tell_ready(server);
	if (ms > 0 && !sks_server_is_stuck(server, ms))
		(void)tell("WATCHDOG=1");
}

void
manager_tell_stopped(void)
{
	tell_stopping();
}
