/* SPDX-License-Identifier: MIT */
/*
 * simple.h - a server for one address in one call.
 */
#ifndef SKS_SERVER_SIMPLE_H
#define SKS_SERVER_SIMPLE_H

#include <socketserver/server.h>

/*
 * As sks_server_new() and sks_server_listen(); an address without a scheme is
 * taken as tcp: or udp: by type. NULL: EINVAL also for an address of the other type.
 */
struct sks_server *sks_simple_server_new(const char *address, int type,
    const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size);

#endif
