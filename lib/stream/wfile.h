/* SPDX-License-Identifier: MIT */
/*
 * wfile.h - what the calls that write have in common: wfile.c and sendfile.c.
 */
#ifndef SKS_STREAM_WFILE_H
#define SKS_STREAM_WFILE_H

#include "stream/stream.h"

/*
 * Before n bytes are added to the buffer: sends what there is if they have no room. 0, or -1:
 * EMSGSIZE where output is not sent before the end.
 */
int sks_wfile_begin(struct sks_wfile *w, size_t n);

/* n bytes were added to the buffer: its task flushes them before it waits. */
void sks_wfile_added(struct sks_wfile *w, size_t n);

/* Returns 1 when n bytes are sent from where they are, and not by way of the buffer. */
int sks_wfile_is_direct(const struct sks_wfile *w, size_t n);

/*
 * Ends a public call that has claimed w. What several threads write is sent at once: the list of
 * wfiles that a task has to flush is its own.
 */
int sks_wfile_end(struct sks_wfile *w, int rc);

#endif
