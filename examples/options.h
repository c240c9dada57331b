/* SPDX-License-Identifier: MIT */
/*
 * options.h - the options that the example servers share.
 */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <socketserver.h>

struct options {
	const char *about;   /* for --help: what the program does */
	const char *address; /* the default; then what the user gave */
	int *keep;           /* set to 1 by --keep; NULL: there is no such option */
	struct sks_options server;
};

/*
 * Reads the command line into *o, whose members are the defaults. Does not
 * return after --help (exit code 0) or a wrong use (one line, exit code 2).
 */
void parse_options(int argc, char **argv, struct options *o);

#endif
