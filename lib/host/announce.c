/* SPDX-License-Identifier: MIT */
/*
 * A daemon's first and last lines: where it listens, what it has done.
 */
#include "base/addr.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/server.h"

#include <inttypes.h>
#include <string.h>

#include <socketserver/host.h>

/* As it is given to sks_server_listen(): udp: and unix-dgram: are not in what an address prints. */
static const char *
scheme(int fd, const char **address)
{
	int type = SOCK_STREAM;
	socklen_t size = sizeof(type);

	sks_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	if (strncmp(*address, "unix:", 5) == 0) {
		*address += 5;
		return type == SOCK_DGRAM ? "unix-dgram:" : "unix:";
	}
	return type == SOCK_DGRAM ? "udp:" : "tcp:";
}

void
sks_server_log_addresses(const struct sks_server *server)
{
	const char *name = server->service.handler.name, *at, *kind;
	char address[SKS_ADDR_TEXT];
	unsigned int i;

	for (i = 0; sks_server_address(server, i, address, sizeof(address)) != NULL; i++) {
		at = address;
		kind = scheme(sks_server_fileno(server, i), &at);
		sks_logf("%s: listening on %s%s", name, kind, at);
	}
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
