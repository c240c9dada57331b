/* SPDX-License-Identifier: MIT */
/*
 * stop_signals.h - SIGINT and SIGTERM for options.stop_signals: the one place
 * where the library, asked to, touches signal dispositions.
 */
#ifndef SKS_SERVER_STOP_SIGNALS_H
#define SKS_SERVER_STOP_SIGNALS_H

#include "loop/loop.h"

#include <stdatomic.h>

/*
 * From now on the first of these signals sets *stop to 1, a second one to 2,
 * and wakes the loop. One that is ignored stays ignored; both are let through to the
 * calling thread. -1: ENOBUFS when too many servers want it.
 */
int sks_stop_signals_add(atomic_int *stop, struct sks_loop *loop);

/*
 * On the same thread: its mask is as before. The last one to leave restores the
 * dispositions that the first one found.
 */
void sks_stop_signals_remove(atomic_int *stop);

#endif
