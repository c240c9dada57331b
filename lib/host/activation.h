/* SPDX-License-Identifier: MIT */
/*
 * activation.h - sockets that a service manager has passed: sks_server_listen_inherited()
 * of socketserver/host.h.
 */
#ifndef SKS_HOST_ACTIVATION_H
#define SKS_HOST_ACTIVATION_H

#include <socketserver/server.h>
#include <stdint.h>

/*
 * Reads a positive number, as service managers pass them in variables. 0: the text is something
 * else, or over INT64_MAX, or NULL.
 */
int64_t sks_activation_number(const char *text);

/*
 * As sks_server_listen_inherited(), but first calls check for each socket that is meant.
 * When check returns -1, with errno and after a line in the log, no socket is taken. check
 * may be NULL.
 */
int sks_activation_listen(struct sks_server *server, const char *name,
    int (*check)(int fd, const char *address, void *arg), void *arg);

#endif
