/* SPDX-License-Identifier: MIT */
/*
 * start_tls.h - streams that were plain become streams of TLS.
 */
#ifndef SKS_STREAM_START_TLS_H
#define SKS_STREAM_START_TLS_H

#include "stream/stream.h"
#include "stream/tls.h"

/*
 * On the task that has both streams of a connection: flushes, and shakes hands before the
 * deadline. What rfile has in its buffer is the beginning of the peer's handshake. 0, or -1
 * and a sentence in why, which may be "": EALREADY, ENOTSUP or EBUSY, and nothing has
 * changed; EINVAL and as sks_tls_handshake().
 */
int sks_streams_start_tls(struct sks_rfile *r, struct sks_wfile *w, struct sks_tls *tls,
    const char *name, int64_t deadline, char why[SKS_TLS_WHY]);

#endif
