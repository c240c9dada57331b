/* SPDX-License-Identifier: MIT */
/*
 * datagram.h - which datagrams the stock handlers answer.
 *
 * They answer none that could come from a service: a forged sender must not make two
 * services answer each other without end. The library knows the ports below 1024 and
 * those of the server itself. This file adds the ports of the stock handlers, which
 * another daemon may serve.
 */
#ifndef HANDLERS_DATAGRAM_H
#define HANDLERS_DATAGRAM_H

#include "ports.h"

#include <socketserver.h>
#include <stddef.h>

static inline int
is_stock_port(int port)
{
	static const int ports[] = { STOCK_PORTS };
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (ports[i] == port)
			return 1;
	return 0;
}

/*
 * Returns 1 when the handler may answer, as it always may on a connection; 0: it must not answer
 * this datagram.
 */
static inline int
admit(struct sks_request *req)
{
	if (!sks_is_datagram(req))
		return 1;
	return !is_stock_port(sks_peer_port(req)) && sks_admit_reply(req);
}

#endif
