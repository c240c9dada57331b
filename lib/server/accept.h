/* SPDX-License-Identifier: MIT */
/*
 * accept.h - taking connections and datagrams from listeners.
 */
#ifndef SKS_SERVER_ACCEPT_H
#define SKS_SERVER_ACCEPT_H

#include "server/listener.h"
#include "server/worker.h"

/* Binds a listener to the loop of this worker, the accepting one; it is not armed yet. */
void sks_accept_attach(struct sks_listener *listener, struct sks_worker *worker);

/* Begins, or goes on after a pause, to take what comes. 0, or -1: ENOMEM or as epoll_ctl(2). */
int sks_accept_start(struct sks_listener *listener);

/* Stops taking; the kernel's queue holds. */
void sks_accept_stop(struct sks_listener *listener);

#endif
