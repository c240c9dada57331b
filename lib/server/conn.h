/* SPDX-License-Identifier: MIT */
/*
 * conn.h - the life of a connection on its loop.
 *
 *     open ─> [verify] ─> busy ─> lingering ─> closed
 *                          │ ^
 *                          v │
 *                         parked      between exchanges: no task, no stack, no buffer
 */
#ifndef SKS_SERVER_CONN_H
#define SKS_SERVER_CONN_H

#include "stream/outbox.h"
#include "server/worker.h"

#include <sys/socket.h>

struct sks_connection;

/*
 * Takes over an accepted descriptor, also when it fails. From the accepting loop; the worker, which sks_worker_take() has
 * told, may be another.
 */
void sks_conn_open(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len);

/* In a child process: closes the descriptors of all connections but the call's own. */
void sks_conn_close_others(struct sks_worker *worker, const struct sks_call *call);

/* For posts, from any thread while the request is alive: made at its first use. NULL: ENOMEM. */
struct sks_outbox *sks_conn_outbox(struct sks_call *call);

#endif
