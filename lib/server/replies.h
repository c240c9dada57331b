/* SPDX-License-Identifier: MIT */
/*
 * replies.h - which datagrams may be answered (sks_admit_reply in
 * socketserver/request.h).
 */
#ifndef SKS_SERVER_REPLIES_H
#define SKS_SERVER_REPLIES_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#define SKS_REPLIES_A_SECOND 100 /* to one sender */
#define SKS_REPLY_SLOTS 4096

/* It is in memory that child processes share, and begins with zeroes. */
struct sks_replies {
	_Atomic uint64_t own_ports[65536 / 64];  /* a bit for each port that it listens on */
	_Atomic uint64_t slots[SKS_REPLY_SLOTS]; /* of some senders each: a second, and how many
	                                            answers in it */
};

/* Notes the port of a datagram socket that the server listens on. */
void sks_replies_add_listener(struct sks_replies *replies, int fd);

/*
 * Returns 1 when a datagram of this sender may be answered, and counts the answer; else 0. Any
 * thread and any child process may call it. It never waits.
 */
int sks_replies_take(struct sks_replies *replies, const struct sockaddr *peer, socklen_t len);

#endif
