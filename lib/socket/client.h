/* SPDX-License-Identifier: MIT */
/*
 * client.h - the inside of a client's connection (struct sks_conn).
 */
#ifndef SKS_SOCKET_CLIENT_H
#define SKS_SOCKET_CLIENT_H

#include <socketserver/socket.h>

/* From now on sks_conn_close() frees the socket too. */
void sks_conn_take_socket(struct sks_conn *conn);

#endif
