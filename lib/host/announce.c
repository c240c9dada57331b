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

static int
type_of(int fd)
{
	int type = SOCK_STREAM;
	socklen_t size = sizeof(type);

	(void)sks_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	return type;
}

/* As it is given to sks_server_listen(): an address as it is printed does not tell udp: from tcp:. */
static void
log_address(const struct sks_server *server, unsigned int i, const char *address)
{
	const struct sks_scheme *printed = sks_scheme_of(address);
	int type = type_of(sks_server_fileno(server, i));

	sks_logf("%s: listening on %s%s", server->service.handler.name,
	    sks_scheme_of_socket(address, type)->prefix,
	    address + (printed != NULL ? strlen(printed->prefix) : 0));
}

void
sks_server_log_addresses(const struct sks_server *server)
{
	char address[SKS_ADDR_TEXT];
	unsigned int i;

	for (i = 0; sks_server_address(server, i, address, sizeof(address)) != NULL; i++)
		log_address(server, i, address);
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
