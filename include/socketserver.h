/* SPDX-License-Identifier: MIT */
/*
 * socketserver.h - libsocketserver: Python's socketserver in C.
 *
 * It includes what a handler and a server need:
 *   request.h  what a handler is, and the request that it gets
 *   stream.h   to read a peer's bytes and to write ours
 *   server.h   servers, and their addresses
 *   options.h  the options of a server
 *   stats.h    what a server counts
 *   fiber.h    to sleep, to wait for a descriptor, to call what blocks, to lock
 *   task.h     children that run beside a handler, limits over several calls
 *   channel.h  a queue between tasks
 *   group.h    connections that are posted to together
 *   socket.h   clients and socket objects
 *   resolve.h  names and addresses
 *   tls.h      the same over TLS: certificates, and what is asked of peers
 *   proxy.h    the real client of a connection that came by a proxy
 *   log.h      lines of the log, and where they go
 *   plugin.h   a handler in a file of its own
 *   export.h   the rules that all calls share: results, waiting, time limits
 * Programs that load plugins include socketserver/host.h as well.
 */
#ifndef SOCKETSERVER_H
#define SOCKETSERVER_H

#include <socketserver/channel.h>
#include <socketserver/export.h>
#include <socketserver/fiber.h>
#include <socketserver/group.h>
#include <socketserver/log.h>
#include <socketserver/options.h>
#include <socketserver/plugin.h>
#include <socketserver/proxy.h>
#include <socketserver/request.h>
#include <socketserver/resolve.h>
#include <socketserver/server.h>
#include <socketserver/socket.h>
#include <socketserver/stats.h>
#include <socketserver/stream.h>
#include <socketserver/task.h>
#include <socketserver/tls.h>

#endif
