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

#include "server/worker.h"

#include <sys/socket.h>

struct sks_connection;

/*
 * Takes over an accepted, non-blocking descriptor, also when it fails. From the
 * accepting loop; the worker, which sks_worker_take() has told, may be another.
 */
void sks_conn_open(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len);

/* Ends every parked connection: at the beginning of a shutdown. */
void sks_conn_end_parked(struct sks_worker *worker);

/* The connection of a call that was taken off the executor's queue: ends it. */
void sks_conn_end_queued(struct sks_call *call);

/* In a child process: closes the descriptors of all connections but the call's own. */
void sks_conn_close_others(struct sks_worker *worker, const struct sks_call *call);

/* Closes every connection that is parked or lingering, as it is. */
void sks_conn_abort_idle(struct sks_worker *worker);

/*
 * For posts (post.c). loop, load and hold from any thread, the others on its
 * loop's. load: bytes in the outbox, and in messages on their way to it. Held,
 * its memory stays after the connection is closed, until it is dropped. put: 0,
 * or -1: ENOTCONN, ENOMEM.
 */
struct sks_loop *sks_conn_loop(const struct sks_call *call);
_Atomic uint32_t *sks_conn_load(struct sks_call *call);
void sks_conn_hold(struct sks_call *call);
void sks_conn_drop(struct sks_call *call);
int sks_conn_put(struct sks_call *call, const void *buf, size_t n);

#endif
