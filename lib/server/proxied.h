/* SPDX-License-Identifier: MIT */
/*
 * proxied.h - what a connection knows of the proxy that it came by (socketserver/proxy.h).
 */
#ifndef SKS_SERVER_PROXIED_H
#define SKS_SERVER_PROXIED_H

#include "base/proxy_header.h"

struct sks_connection;

struct sks_proxied {
	struct sks_proxy_header header;
	const struct sockaddr *proxy; /* the other end of the connection itself */
	socklen_t proxy_len;
	void (*begin)(struct sks_connection *); /* when the header is read */
	int next;                     /* what its next task has to do then */
	size_t have;                  /* bytes of the header that were read */
	unsigned char bytes[];
};

#endif
