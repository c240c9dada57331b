/* SPDX-License-Identifier: MIT */
/*
 * options.h - the options that the example servers share.
 */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <socketserver.h>

#define USAGE 2 /* the exit code of a wrong use */

struct options {
	const char *about;   /* for --help: what the program does */
	const char *address; /* the default; then what the user gave */
	int *keep;           /* set to 1 by --keep; NULL: there is no such option */
	const char *others;  /* names the addresses behind the first, which then must be there
	                        too, and says what they are; NULL: there are none */
	int most;            /* of them; at least one */
	int files;           /* descriptors of a connection; 0: one */
	char **other;        /* then those the user gave, */
	int nothers;         /* and how many */
	const char *log;        /* of --log and --log-format, as sks_log_open() takes them; */
	const char *log_format; /* NULL: standard error, and text */
	const char *access_log;        /* of --access-log and --access-log-format, as */
	const char *access_log_format; /* sks_access_log_open() takes them; NULL: none */
	struct sks_tls_options tls; /* of --cert and --key, which become server.tls */
	struct sks_options server;
};

/*
 * Reads the command line into *o, whose members are the defaults. Does not
 * return after --help (exit code 0), a wrong use (one line, exit code 2), or a certificate
 * or log that is not good (one line, exit code 1).
 */
void parse_options(int argc, char **argv, struct options *o);

#endif
