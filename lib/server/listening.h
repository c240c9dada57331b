/* SPDX-License-Identifier: MIT */
/*
 * listening.h - the listeners of a server, on all of its loops.
 */
#ifndef SKS_SERVER_LISTENING_H
#define SKS_SERVER_LISTENING_H

#include "server/server.h"

/* All of these: on the worker's own thread, for the listeners on its loop. */

void sks_listening_stop(struct sks_worker *worker);

/* Also after a pause: room has become free. 0, or -1 and ENOMEM: some do not listen. */
int sks_listening_start(struct sks_worker *worker);

/* While it serves: rather busy than deaf, so where that fails it is tried at every turn. */
void sks_listening_again(struct sks_worker *worker);

/* Stops and closes them. */
void sks_listening_end(struct sks_worker *worker);

/* In a child process: closes its copies, but for those its datagram is answered through. */
void sks_listening_leave(struct sks_worker *worker, int datagrams_stay);

#endif
