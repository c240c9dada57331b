/* SPDX-License-Identifier: MIT */
/*
 * socketserver.h - all that a handler writer includes.
 *
 * libsocketserver: Python's socketserver in C. See README.md for a first
 * program; each header below says what its calls return and promise.
 */
#ifndef SOCKETSERVER_H
#define SOCKETSERVER_H

#include <socketserver/channel.h>
#include <socketserver/export.h>
#include <socketserver/fiber.h>
#include <socketserver/plugin.h>
#include <socketserver/request.h>
#include <socketserver/resolve.h>
#include <socketserver/server.h>
#include <socketserver/socket.h>
#include <socketserver/stream.h>
#include <socketserver/task.h>

#endif
