/* SPDX-License-Identifier: MIT */
/* beside.h - the stock handlers that socketserverd may serve beside the one that is named. */
#ifndef BESIDE_H
#define BESIDE_H

#include <socketserver/server.h>

/* The handler of that name, "agent" or "metrics", shall be served at the address. */
void beside_set(const char *handler, const char *address);

/* Listens for all that were set. Returns 0, or the exit code after one line in the log. */
int beside_listen(struct sks_server *server);

/* Frees their modules, once the server is freed. */
void beside_free(void);

#endif
