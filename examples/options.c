/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <socketserver/host.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define USAGE 2 /* the exit code of a wrong use */

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{ "fibers", SKS_FIBERS },
	{ "serial", SKS_SERIAL },
	{ "threads", SKS_THREADS },
	{ "processes", SKS_PROCESSES },
};

enum { HELP = 1, KEEP, MAX_CONNECTIONS, MODE, TIMEOUT, WORKERS };

static const struct option table[] = {
	{ "help", no_argument, NULL, HELP },
	{ "max-connections", required_argument, NULL, MAX_CONNECTIONS },
	{ "mode", required_argument, NULL, MODE },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "workers", required_argument, NULL, WORKERS },
	{ "keep", no_argument, NULL, KEEP }, /* the last: left out where there is none */
	{ 0 },
};

static void
help(const struct options *o)
{
	size_t i;

	if (o->others != NULL)
		printf("usage: %s [OPTIONS] ADDRESS %s\n\n%s\n\n"
		       "Each is host:port, :port, [::1]:port, unix:/path, unix:@name. The first is\n"
		       "where it listens; port 0: any free one.\n\n",
		    program_invocation_short_name, o->others, o->about);
	else
		printf("usage: %s [OPTIONS] [ADDRESS]\n\n%s\n\n"
		       "ADDRESS (%s): host:port, :port, [::1]:port, udp:host:port, unix:/path,\n"
		       "unix-dgram:/path, unix:@name, unix-dgram:@name, fd:N. Port 0: any free one.\n\n",
		    program_invocation_short_name, o->about, o->address);
	if (o->keep != NULL)
		printf("  --keep               each line is an exchange; parked in between\n");
	printf("  --mode MODE          ");
	for (i = 0; i < COUNT(modes); i++)
		printf("%s%s", modes[i].name, i + 1 < COUNT(modes) ? ", " : " (fibers)\n");
	printf("  --workers N          event loops, each on a thread (1); 0: one for each core\n");
	printf("  --max-connections N  open at once; more wait (10000, or half the open files)\n"
	       "  --timeout SECONDS    of a silent or slow client (60 silent, 30 slow); 0: none\n"
	       "  --help               this text\n\n"
	       "SIGINT or SIGTERM ends it: running requests may go on for 10 seconds, a\n"
	       "second signal ends them at once.\n");
}

static int
number(const char *option, const char *text, int least, int most)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || n < least || n > most)
		errx(USAGE, "--%s: '%s' is not a number from %d to %d", option, text, least, most);
	return (int)n;
}

static int
mode(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return modes[i].mode;
	errx(USAGE, "--mode: '%s' is not a mode (see --help)", name);
}

static void
take(struct options *o, int option, const char *value)
{
	int seconds;

	switch (option) {
	case HELP:
		help(o);
		exit(0);
	case KEEP:
		*o->keep = 1;
		break;
	case MODE:
		o->server.mode = mode(value);
		break;
	case WORKERS:
		o->server.workers = number("workers", value, 0, 1024);
		if (o->server.workers == 0)
			o->server.workers = SKS_AUTO;
		break;
	case MAX_CONNECTIONS:
		o->server.max_connections = number("max-connections", value, 1, 10000000);
		break;
	case TIMEOUT:
		seconds = number("timeout", value, 0, INT_MAX / 1000);
		o->server.idle_ms = seconds == 0 ? SKS_OFF : seconds * 1000;
		o->server.timeout_ms = o->server.idle_ms;
		break;
	default:
		exit(USAGE); /* getopt_long has said why */
	}
}

static void
take_addresses(struct options *o, int n, char **address)
{
	int most = o->others != NULL ? 1 + o->most : 1;

	if (o->others != NULL && n < 2)
		errx(USAGE, "two addresses at least, please (see --help)");
	if (n > most)
		errx(USAGE, "%d address%s, please: '%s' is too much", most, most > 1 ? "es" : "",
		    address[most]);
	if (n > 0)
		o->address = address[0];
	o->other = address + 1;
	o->nothers = n - 1;
}

void
parse_options(int argc, char **argv, struct options *o)
{
	struct option known[COUNT(table)];
	int option, files = o->files > 0 ? o->files : 1;

	if (sks_process_fill_standard_files() == -1)
		err(1, "/dev/null");
	memcpy(known, table, sizeof(known));
	if (o->keep == NULL)
		known[COUNT(table) - 2] = (struct option){ 0 };
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		take(o, option, optarg);
	take_addresses(o, argc - optind, argv + optind);
	if (o->server.max_connections > 0)
		o->server.max_connections =
		    sks_process_raise_open_files(o->server.max_connections * files) / files;
}
