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

/* A socket that datagrams come from. */
struct sks_datagram_socket {
	struct sks_loop *loop;       /* which receives from it, */
	struct sks_service *service; /* for this one */
	const char *address;
	int fd;
	unsigned int *lost;          /* the kernel's counter of its losses, kept between calls */
};

/*
 * Receives one datagram, on the loop of the socket, and hands it to a worker. 1; 2 when it was
 * dropped, or when the kernel reported the failure of an earlier one; 0 when there is none; -1 and
 * errno: ENOMEM or ENOBUFS, which pass, or the socket has failed for good.
 */
int sks_datagram_receive(const struct sks_datagram_socket *from, struct sks_worker *worker);

#endif
