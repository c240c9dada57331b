/* SPDX-License-Identifier: MIT */
/*
 * activation.h - sockets that the service manager passed (sks_server_listen_inherited
 * in socketserver/host.h).
 */
#ifndef SKS_HOST_ACTIVATION_H
#define SKS_HOST_ACTIVATION_H

#include <socketserver/server.h>

/*
 * As sks_server_listen_inherited(), but calls check first for each socket that is
 * meant; when that returns -1, with errno and after a line in the log, none is
 * taken. check may be NULL.
 */
int sks_activation_listen(struct sks_server *server, const char *name,
    int (*check)(int fd, const char *address, void *arg), void *arg);

#endif
