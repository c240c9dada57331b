/* SPDX-License-Identifier: MIT */
/*
 * UDPServer and UnixDatagramServer: a server with one datagram listener.
 */
#include "base/addr.h"
#include "server/simple.h"

#include <socketserver/server.h>

struct sks_server *
sks_udp_server_new_abi(const char *address, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size)
{
	return sks_simple_server_new(address, SOCK_DGRAM, handler, handler_size, options,
	    options_size);
}
