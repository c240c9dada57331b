/* SPDX-License-Identifier: MIT */
/*
 * manager.h - what socketserverd tells its service manager (sd_notify(3)). Without one, nothing. A
 * manager that cannot be told is no error: one line in the log says so.
 */
#ifndef MANAGER_H
#define MANAGER_H

#include <socketserver/server.h>

/* Makes on_tick come as often as the manager wants to be told that the loops turn. */
void manager_set_tick(struct sks_options *options);

/* The server listens. */
void manager_tell_ready(const struct sks_server *server);

/* SIGHUP: files are about to be read again. manager_tick() tells when they were. */
void manager_tell_reloading(void);

/*
 * Tells what has changed: that the server is ready, or stops; and that its loops turn, unless one
 * does not. In on_tick.
 */
void manager_tick(const struct sks_server *server);

/* The server has stopped. */
void manager_tell_stopped(void);

#endif
