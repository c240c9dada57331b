/* SPDX-License-Identifier: MIT */
/*
 * daytime (RFC 867): the date and time as a line for people, to each
 * connection and for each datagram, whatever it holds.
 */
#include "datagram.h"

#include <errno.h>
#include <socketserver.h>
#include <time.h>

struct config {
	const char *format;
	int utc;
};

static const struct sks_plugin_option options[] = {
	{ .name = "format", .help = "of the line, as strftime(3) knows it",
	    .value = "%A, %B %d, %Y %H:%M:%S-%Z", .min = 1, .max = 200,
	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, format) },
	{ .name = "utc", .help = "in UTC, not in local time", .value = "no",
	    .type = SKS_OPTION_BOOLEAN, SKS_OPTION_AT(struct config, utc) },
	{ 0 },
};

/*
 * localtime(3) would return memory that all threads share. localtime_r(3) reads the time
 * zone at its first call only, so tzset(3) looks whether the zone has changed.
 */
static struct tm *
local_time(const time_t *now, struct tm *parts)
{
	tzset();
	return localtime_r(now, parts);
}

static int
daytime(struct sks_request *req)
{
	const struct config *config = req->data;
	time_t now = time(NULL);
	struct tm parts;
	char line[512];

	if (!admit(req))
		return SKS_DONE;
	if ((config->utc ? gmtime_r(&now, &parts) : local_time(&now, &parts)) == NULL)
		return -1;
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the user's */
	if (strftime(line, sizeof(line), config->format, &parts) == 0) {
		errno = EMSGSIZE;
		return -1;
	}
	return sks_printf(req->wfile, "%s\r\n", line);
}

SKS_PLUGIN(
    .name = "daytime",
    .summary = "tells date and time as a line of text (RFC 867)",
    .handler = { .handle = daytime },
    .options = options,
    .config_size = sizeof(struct config),
    .port = PORT_DAYTIME);
