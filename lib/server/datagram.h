/* SPDX-License-Identifier: MIT */
/*
 * datagram.h - a datagram as a request: rfile holds it, and what was written
 * to wfile goes back as one datagram when the handler has finished.
 */
#ifndef SKS_SERVER_DATAGRAM_H
#define SKS_SERVER_DATAGRAM_H

#include "server/worker.h"

#include <sys/socket.h>

#define SKS_DATAGRAM_REPLY_MOST 65507 /* bytes: what UDP over IPv4 carries */

/* Prepares a socket for sks_datagram_receive(): replies are to leave from the address asked. */
void sks_datagram_prepare(int fd, int family);

/*
 * Receives one datagram and hands it to a worker. 1; 2 when it was dropped, or when the
 * kernel reported the failure of an earlier one; 0 when there is none; -1 and errno: ENOMEM or
 * ENOBUFS, which pass, or the socket has failed for good. *lost is the kernel's counter of this
 * socket's losses, kept by the caller between calls. On a loop.
 */
int sks_datagram_receive(struct sks_loop *loop, struct sks_worker *worker,
    struct sks_service *service, int fd,
    unsigned int *lost);

#endif
