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
		sks_logf("%s: listening on %s", sks_server_listener_name(server, i), address);
}

void
sks_server_log_statistics(const struct sks_server *server)
{
	struct sks_stats s;

	sks_server_stats(server, &s);
	sks_logf("%s: stopped: %" PRIu64 " connections, %" PRIu64 " datagrams, %" PRIu64 " failed, "
		 "%" PRIu64 " bytes in, %" PRIu64 " bytes out",
	    server->service.handler.name, s.accepted, s.datagrams, s.failed, s.bytes_in,
	    s.bytes_out);
}
