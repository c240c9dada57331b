/* SPDX-License-Identifier: MIT */
/*
 * sender.h - who must get no answer to a datagram.
 *
 * A forged sender must not make one service answer another, and that one the
 * first, without end: ports below 1024, where such services are, get no
 * answer, as inetd(8) does it. For all handlers that answer datagrams, as any
 * two of them will do.
 */
#ifndef HANDLERS_SENDER_H
#define HANDLERS_SENDER_H

#include <netinet/in.h>
#include <socketserver.h>

/* A connection is from whoever made it. */
static inline int
is_from_a_service(const struct sks_request *req)
{
	union {
		const struct sockaddr *any;
		const struct sockaddr_in *in;
		const struct sockaddr_in6 *in6;
	} peer = { req->peer };

	if (!sks_is_datagram(req) || req->peer_len == 0)
		return 0;
	if (peer.any->sa_family == AF_INET)
		return ntohs(peer.in->sin_port) < IPPORT_RESERVED;
	return peer.any->sa_family == AF_INET6 && ntohs(peer.in6->sin6_port) < IPPORT_RESERVED;
}

#endif
