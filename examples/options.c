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

#include "logs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { HELP = 1, ACCESS_LOG, ACCESS_LOG_FORMAT, CERT, KEEP, KEY, LOG, LOG_FORMAT, LOG_LEVEL,
	SERVER = 256 /* and those after it: the options of a server, by their number */ };

static const struct option own[] = {
	{ "help", no_argument, NULL, HELP },
	{ "cert", required_argument, NULL, CERT },
	{ "key", required_argument, NULL, KEY },
	{ "access-log", required_argument, NULL, ACCESS_LOG },
	{ "access-log-format", required_argument, NULL, ACCESS_LOG_FORMAT },
	{ "log", required_argument, NULL, LOG },
	{ "log-format", required_argument, NULL, LOG_FORMAT },
	{ "log-level", required_argument, NULL, LOG_LEVEL },
	{ "keep", no_argument, NULL, KEEP }, /* the last: left out where there is none */
};

static void
help(const struct options *o)
{
	char *options = sks_options_describe();

	if (o->others != NULL)
		printf("usage: %s [OPTIONS] ADDRESS %s\n\n%s\n\n"
		       "Each is host:port, :port, [::1]:port, unix:/path, unix:@name, or one of them\n"
		       "behind tls:. The first is where it listens; port 0: any free one.\n\n",
		    program_invocation_short_name, o->others, o->about);
	else
		printf("usage: %s [OPTIONS] [ADDRESS]\n\n%s\n\n"
		       "ADDRESS (%s): host:port, :port, [::1]:port, udp:host:port, unix:/path,\n"
		       "unix-dgram:/path, unix:@name, unix-dgram:@name, fd:N, tls:host:port and so on.\n"
		       "Port 0: any free one.\n\n",
		    program_invocation_short_name, o->about, o->address);
	if (o->keep != NULL)
		printf("  --keep               each line is an exchange; parked in between\n");
	printf("  --cert FILE          the certificate of addresses of TLS, as tls::8443\n"
	       "  --key FILE           its key, unless that is in the same file\n"
	       "  --log WHERE          the log: stderr, journal, syslog, or a file\n"
	       "  --log-format FORMAT  its lines: text or json\n"
	       "  --log-level LEVEL    error, warn, info or debug, and what is graver\n"
	       "  --access-log FILE    a line for each request that has ended\n"
	       "  --access-log-format FORMAT\n"
	       "                       its lines: text or json (as --log-format)\n"
	       "  --help               this text\n%s\n"
	       "SIGINT or SIGTERM ends it: running requests may go on for 10 seconds, a\n"
	       "second signal ends them at once. SIGHUP has the files of --log and\n"
	       "--access-log opened again.\n", options != NULL ? options : "");
	free(options);
}

static void
take_for_server(struct options *o, const char *name, const char *value)
{
	char why[160];

	if (sks_options_set(&o->server, name, value, why, sizeof(why)) == -1)
		errx(USAGE, "--%s: %s", name, why);
}

static void
set_log_level(const char *name)
{
	int level = sks_log_level_by_name(name);

	if (level == -1 || sks_set_log_level((enum sks_log_level)level) == -1)
		errx(USAGE, "--log-level: '%s' is not error, warn, info or debug", name);
}

static void
take(struct options *o, int option, const char *value)
{
	if (option == HELP) {
		help(o);
		exit(0);
	} else if (option == KEEP) {
		*o->keep = 1;
	} else if (option == CERT) {
		o->tls.cert = value;
	} else if (option == KEY) {
		o->tls.key = value;
	} else if (option == ACCESS_LOG) {
		o->access_log = value;
		o->server.on_end = sks_access_log;
	} else if (option == ACCESS_LOG_FORMAT) {
		o->access_log_format = value;
	} else if (option == LOG) {
		o->log = value;
	} else if (option == LOG_FORMAT) {
		o->log_format = value;
	} else if (option == LOG_LEVEL) {
		set_log_level(value);
	} else if (option >= SERVER) {
		take_for_server(o, sks_options_name((unsigned int)(option - SERVER)), value);
	} else {
		exit(USAGE); /* getopt_long has said why */
	}
}

/* Our own and those of a server, up to one without a name. */
static struct option *
all_options(const struct options *o)
{
	size_t used = o->keep != NULL ? COUNT(own) : COUNT(own) - 1;
	struct option *all;
	unsigned int n = 0, i;

	while (sks_options_name(n) != NULL)
		n++;
	all = calloc(used + n + 1, sizeof(*all));
	if (all == NULL)
		err(1, "command line");
	memcpy(all, own, used * sizeof(*own));
	for (i = 0; i < n; i++)
		all[used + i] = (struct option){ sks_options_name(i), required_argument, NULL,
			SERVER + (int)i };
	return all;
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

static struct sks_tls *certificate; /* of --cert */

static void
free_certificate(void)
{
	sks_tls_free(certificate);
}

/* Reads the certificate, if there is one. The program keeps it to its end. */
static void
read_certificate(struct options *o)
{
	if (o->tls.cert == NULL && o->tls.key != NULL)
		errx(USAGE, "--key: there is no --cert for it");
	if (o->tls.cert == NULL)
		return;
	certificate = sks_tls_new(SKS_TLS_SERVER, &o->tls);
	if (certificate == NULL)
		exit(1); /* the library has said why */
	atexit(free_certificate);
	o->server.tls = certificate;
}

/* Makes room for connections with so many open files each. Returns how many fit, 1 at least. */
static int
fitting_connections(int connections, int files)
{
	int most = INT_MAX / files, fitting;

	if (connections > most)
		connections = most;
	fitting = sks_process_raise_open_files(connections * files) / files;
	return fitting > 0 ? fitting : 1;
}

void
parse_options(int argc, char **argv, struct options *o)
{
	struct option *known = all_options(o);
	int option;

	sks_process_reset_signals();
	if (sks_process_fill_standard_files() == -1)
		err(1, "/dev/null");
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		take(o, option, optarg);
	free(known);
	take_addresses(o, argc - optind, argv + optind);
	read_certificate(o);
	open_logs(o);
	if (o->server.max_connections > 0)
		o->server.max_connections = fitting_connections(o->server.max_connections,
		    o->files > 0 ? o->files : 1);
}
