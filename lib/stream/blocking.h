/* SPDX-License-Identifier: MIT */
/*
 * blocking.h - a thread that waits for input in recv(2) itself.
 *
 * The general wait of a thread is poll(2), on its socket and on what cancels
 * it, with recv(2) after it. That is one system call for each message more than
 * a hand-written thread for each connection makes, and a quarter of what one
 * costs. So a thread that has a connection to itself, on a descriptor without
 * O_NONBLOCK, waits in the read, with the socket's own time limit (SO_RCVTIMEO).
 *
 * No eventfd ends such a call. A signal would, but signals are the host's. What
 * is left is shutdown(2) of the socket's reading half, by whoever cancels. That
 * cannot be undone, and once our own half is shut down too the kernel answers
 * what the peer still sends by a reset. Only a connection that is at its end
 * can bear that; and as soon as its server leaves no such wait begins any more
 * (sks_cancel.soon), so that only who is silent from then on meets it.
 */
#ifndef SKS_STREAM_BLOCKING_H
#define SKS_STREAM_BLOCKING_H

#include "stream/transport.h"

/* A connection's; zeroed at first. */
struct sks_blocking {
	int limit_ms;      /* of the socket, as last set; 0: none */
	atomic_int inside; /* a thread is in the call, or about to be */
};

/* May the current task, which reads on it, wait in the read? */
int sks_blocking_may(const struct sks_transport *tr);

/*
 * As tr->ops->read, but waits for the first byte, for limit_ms or SKS_OFF. -1
 * and EAGAIN: nothing came, and what is left of the time, if anything, is to be
 * waited in the general way. ECANCELED: nor will anything be read any more.
 */
ssize_t sks_blocking_read(struct sks_blocking *b, struct sks_transport *tr, void *buf, size_t n,
    int limit_ms);

/*
 * Ends the read, if there is one, once the task was cancelled. From the thread
 * that would close the descriptor, so that it cannot be another's.
 */
void sks_blocking_interrupt(struct sks_blocking *b, const struct sks_transport *tr);

#endif
