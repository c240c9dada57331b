/* SPDX-License-Identifier: MIT */
/*
 * peers.h - how much one peer may have of a server: connections at once, and new ones a second.
 *
 * A peer is a network: so many bits of an address. Any thread may call these functions.
 */
#ifndef SKS_SERVER_PEERS_H
#define SKS_SERVER_PEERS_H

#include <socketserver/server.h>
#include <stdint.h>

struct sks_peers;
struct sks_peer;

/* Makes an empty table with the limits of these options. NULL: ENOMEM. */
struct sks_peers *sks_peers_new(const struct sks_options *options);

/* Frees a table; NULL is fine. */
void sks_peers_free(struct sks_peers *peers);

/*
 * One more connection of an address comes; now is the time of sks_clock_ms(). 0: it may stay, and
 * *peer is for sks_peers_leave(), or NULL where the address has no limit. Otherwise
 * SKS_REJECTED_PEER or SKS_REJECTED_RATE; or -1: ENOMEM.
 */
int sks_peers_enter(struct sks_peers *peers, const struct sockaddr *address, socklen_t len,
    int64_t now, struct sks_peer **peer);

/* A connection has ended. A NULL peer is fine. */
void sks_peers_leave(struct sks_peers *peers, struct sks_peer *peer);

#endif
