/* SPDX-License-Identifier: MIT */
/*
 * accept.h - listeners take connections and datagrams from the kernel.
 *
 * All functions run on the worker's own thread and concern the listeners on its
 * loop, except where they say otherwise.
 */
#ifndef SKS_SERVER_ACCEPT_H
#define SKS_SERVER_ACCEPT_H

#include "server/admission.h"
#include "server/bind.h"

/*
 * Ties a listener to the loop of the worker that is to accept from it; it takes
 * nothing yet. On the thread of the first worker, also for others.
 */
void sks_accept_attach(struct sks_listener *listener, struct sks_worker *worker,
    struct sks_admission *admission);

/* Unties a listener from its loop, so that it may be attached to another one. */
void sks_accept_detach(struct sks_listener *listener);

/*
 * Arms a listener where there is room, or something to end for it. 0, or -1 as sks_accept_start().
 */
int sks_listener_start(struct sks_listener *listener);

/* Takes nothing more, until sks_listener_start(). */
void sks_listener_stop(struct sks_listener *listener);

/* Serves those who wait in the kernel's queue, and then ends the listener. */
void sks_listener_finish(struct sks_listener *listener);

/* Returns 1 after sks_listener_finish(), until the listener has ended. */
int sks_listener_is_finishing(const struct sks_listener *listener);

/* Ends a listener: shuts it, but a datagram socket stays open, as requests answer through it. */
void sks_listener_end(struct sks_listener *listener);

/* -- accept_worker.c: all the listeners of a worker -- */

/*
 * Begins, or goes on after a pause, to take what comes, where there is room. 0, or
 * -1: ENOMEM or what epoll_ctl(2) said; then some of the listeners take nothing.
 */
int sks_accept_start(struct sks_worker *worker);

/* Does what sks_accept_start() does, but where that fails the loop tries again in each turn. */
void sks_accept_restart(struct sks_worker *worker);

/* Stops to take requests; new clients wait in the kernel's queue. */
void sks_accept_stop(struct sks_worker *worker);

/*
 * Ends the listeners of an address, as sks_server_listen() had it: when those who wait in their
 * queues have been served, or at once where nobody is served any more. is_idle is as for
 * sks_accept_cut(). Returns how many there are.
 */
int sks_accept_close(struct sks_worker *worker, const char *address, int is_idle);

/*
 * The server stops for good: serves those who wait in the kernel's queues, and then closes
 * the listeners. A datagram socket takes nothing more then, but it stays open, as requests
 * answer through it. The loop is woken when one has come so far.
 */
void sks_accept_finish(struct sks_worker *worker);

/* Returns 1 after sks_accept_finish(), while a client may still wait in a queue. */
int sks_accept_is_finishing(const struct sks_worker *worker);

/*
 * The listeners that were to end take nothing more, whoever waits in their
 * queues, and are closed. is_idle: no request is left either, so nothing is left of them.
 */
void sks_accept_cut(struct sks_worker *worker, int is_idle);

/* Stops, and closes the listeners. */
void sks_accept_end(struct sks_worker *worker);

/*
 * In a child process: closes its copies of the listeners and of the reserve. With datagrams_stay
 * those of datagrams are kept, as the child answers through one of them.
 */
void sks_accept_leave(struct sks_worker *worker, int datagrams_stay);

/* -- accept_client.c -- */

struct sks_newcomer;

/* Accepts a client. Returns the descriptor; or -1, and *error. */
int sks_accept_newcomer(struct sks_listener *listener, struct sks_newcomer *client, int *error);

/* Logs that the close of the listener resets those who wait for it, since accept has failed. */
void sks_accept_log_left(const struct sks_listener *listener, int error);

/*
 * No descriptor is free: the one in reserve is for a client that is told so. 1, or 0: there is
 * none, or nobody waits, and *error says which.
 */
int sks_accept_reject(struct sks_listener *listener, int *error);

/* -- accept_room.c -- */

/* Returns 1 when a connection may be ended for a client of this listener (make_room_ms). */
int sks_accept_may_evict(const struct sks_listener *listener);

/* Says whether a client waits in the kernel's queue. */
int sks_accept_is_wanted(const struct sks_listener *listener);

/* Ends a connection, of any worker. 1: it has ended; 0: it may do so later, or nobody has to go. */
int sks_accept_evict(struct sks_listener *listener);

/* Does so where what is lacking is a descriptor. */
void sks_accept_free_descriptor(struct sks_listener *listener);

/* A listener pauses: where it may be for lack of memory it tries again soon. */
void sks_accept_look_for_memory(struct sks_listener *listener);

#endif
