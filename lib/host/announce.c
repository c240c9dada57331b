/* SPDX-License-Identifier: MIT */
/*
 * The first and the last lines of a daemon: where it listens, and what it has done.
 */
#include "base/addr.h"
#include "base/log.h"
#include "server/server.h"

#include <inttypes.h>

#include <socketserver/host.h>

void
sks_server_log_addresses(const struct sks_server *server)
{
	char address[SKS_ADDR_TEXT];
	unsigned int i;

	for (i = 0; sks_server_listen_address(server, i, address, sizeof(address)) != NULL; i++)
		sks_log_about(SKS_LOG_HANDLER(sks_server_listener_name(server, i)), SKS_LOG_INFO, 0,
		    "listening on %s", address);
}

void
sks_server_log_statistics(const struct sks_server *server)
{
	struct sks_stats s;

	sks_server_stats(server, &s);
	sks_log_about(SKS_LOG_HANDLER(server->service.handler.name), SKS_LOG_INFO, 0,
	    "stopped: %" PRIu64 " connections, %" PRIu64 " datagrams, %" PRIu64 " failed, "
		 "%" PRIu64 " bytes in, %" PRIu64 " bytes out",
	    s.accepted, s.datagrams, s.failed, s.bytes_in,
	    s.bytes_out);
}
