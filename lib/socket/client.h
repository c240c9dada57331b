/* SPDX-License-Identifier: MIT */
/*
 * client.h - the inside of a client's streams (struct sks_client).
 */
#ifndef SKS_SOCKET_CLIENT_H
#define SKS_SOCKET_CLIENT_H

#include <socketserver/socket.h>

/* From now on sks_client_close() frees the socket too. */
void sks_client_take_socket(struct sks_client *client);

#endif
