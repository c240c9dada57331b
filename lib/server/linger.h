/* SPDX-License-Identifier: MIT */
/*
 * linger.h - the end of a connection on a task that owns it, without a loop.
 */
#ifndef SKS_SERVER_LINGER_H
#define SKS_SERVER_LINGER_H

#include "stream/transport.h"

#define SKS_LINGER_BYTES 65536 /* of the peer's rest, that are read and dropped */

/*
 * Shuts down our half and reads the peer's rest, for at most linger_ms, so
 * that closing does not answer it with a reset, which can overtake the reply.
 */
void sks_linger(struct sks_transport *tr, int linger_ms);

#endif
