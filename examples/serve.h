/* SPDX-License-Identifier: MIT */
/*
 * serve.h - the last part of each example server's main(): it says where it
 * listens, serves until SIGINT or SIGTERM, and says what it has done.
 */
#ifndef EXAMPLES_SERVE_H
#define EXAMPLES_SERVE_H

#include <socketserver.h>

#include "options.h"

/*
 * Listens on an address. Returns 0, or the exit code after one line in the log: USAGE where the
 * text is at fault, 1 where what stands behind it cannot be had. A server that sks_server_new()
 * could not make is NULL, and errno is as that left it.
 */
int listen_on(struct sks_server *server, const char *address);

/*
 * Returns the exit code after listening on an address has failed, with errno as it left that: USAGE
 * where the text is at fault, else 1.
 */
int listen_code(const char *address);

/* Prints a line for each address: "hello_server: listening on tcp:127.0.0.1:2525". */
void announce(const struct sks_server *server);

/* Prints a line of statistics. */
void print_statistics(const struct sks_stats *stats);

/*
 * Says whether a signal is ignored, as shells have it with SIGINT for programs in the background.
 */
int is_ignored(int signo);

/*
 * Announces, serves until a signal, prints the statistics, and frees the server. Returns the exit
 * code.
 */
int serve(struct sks_server *server);

/*
 * Makes a server that listens on options->address, and does serve(). Returns the exit code,
 * which is also that of listen_on().
 */
int listen_and_serve(const struct sks_handler *handler, const struct options *options);

#endif
