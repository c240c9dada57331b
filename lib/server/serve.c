/* SPDX-License-Identifier: MIT */
/*
 * The short forms: a server for one address (Python's TCPServer and UDPServer), and
 * a whole server program.
 */
#include "base/log.h"
#include "base/scheme.h"
#include "server/server.h"
#include "server/stop_signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * An address without a scheme is taken as tcp: or udp: by type. NULL: EINVAL also for
 * an address of the other type.
 */
static struct sks_server *
new_server(const char *address, int type, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	const struct sks_scheme *scheme = sks_scheme_of(address);
	struct sks_server *server;
	char udp[512];

	if (scheme == NULL && type == SOCK_DGRAM &&
	    snprintf(udp, sizeof(udp), "udp:%s", address) < (int)sizeof(udp))
		address = udp;
	/* Of what type an inherited socket is listening will tell. */
	if (scheme != NULL && scheme->type != 0 && scheme->type != type) {
		sks_fail(NULL, EINVAL, "address %s: not an address for %s", address,
		    type == SOCK_STREAM ? "connections" : "datagrams");
		return NULL;
	}
	server = sks_server_new_abi(handler, handler_size, options, options_size);
	if (server == NULL || sks_server_listen(server, address) == 0)
		return server;
	sks_server_free(server);
	return NULL;
}

struct sks_server *
sks_tcp_server_new_abi(const char *address, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size)
{
	return new_server(address, SOCK_STREAM, handler, handler_size, options, options_size);
}

struct sks_server *
sks_udp_server_new_abi(const char *address, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size)
{
	return new_server(address, SOCK_DGRAM, handler, handler_size, options, options_size);
}

int
sks_serve_abi(const char *address, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	struct sks_server *server;
	int rc = -1;

	server = sks_server_new_abi(handler, handler_size, options, options_size);
	if (server != NULL && sks_server_listen(server, address) == 0) {
		server->service.options.stop_signals = 1;
		server->service.options.close_listeners = 1;
		rc = sks_serve_forever(server);
		sks_stop_signals_stay();
		if (rc == -1)
			sks_fail(SKS_LOG_HANDLER(server->service.handler.name), errno, "serve: %s",
			    errno == ETIMEDOUT ?
				"some requests did not end in time and were cut off" :
				strerror(errno));
	}
	sks_server_free(server);
	return rc == 0 ? 0 : 1;
}
