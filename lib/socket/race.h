/* SPDX-License-Identifier: MIT */
/*
 * race.h - connects to the first address of several that answers (RFC 8305).
 */
#ifndef SKS_SOCKET_RACE_H
#define SKS_SOCKET_RACE_H

#include "base/addr.h"

/*
 * Connects a socket of this type to one of n addresses, before the deadline. Waits. Returns its
 * descriptor; or -1 with errno, and *at is the address that errno is about, or NULL.
 */
int sks_race(int type, const struct sks_addr *addrs, size_t n, int64_t deadline,
    const struct sks_addr **at);

#endif
