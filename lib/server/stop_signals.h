/* SPDX-License-Identifier: MIT */
/*
 * stop_signals.h - SIGINT and SIGTERM for options.stop_signals: the one place
 * where the library, asked to, touches signal dispositions.
 *
 * A signal that would kill the program stays caught when a run is over, until its
 * server is freed: it may come while the program is on its way to its end, and must
 * not turn a good end into a death. It asks for the next run to end at once, if there
 * is one. What the host does with a signal by itself it does again after the run.
 *
 * A child process is not a server, as long as it does not serve itself. There the
 * signals do what they did before.
 */
#ifndef SKS_SERVER_STOP_SIGNALS_H
#define SKS_SERVER_STOP_SIGNALS_H

#include "loop/loop.h"

#include <stdatomic.h>

/*
 * A run begins. From now on the first of these signals sets *stop to 1, a second one to 2,
 * and wakes the loop. One that is ignored stays ignored; both are let through to the
 * calling thread, whose mask before is put into *mask. -1: ENOBUFS when too many servers want it.
 */
int sks_stop_signals_begin(atomic_int *stop, struct sks_loop *loop, sigset_t *mask);

/*
 * The run is over, on the same thread: its mask is as before. With the last run the dispositions
 * of the host, other than the default, are as before, too.
 */
void sks_stop_signals_end(atomic_int *stop, const sigset_t *mask);

/*
 * The server of *stop goes. With the last one all dispositions are as before. Without a begin, or
 * in a child process, nothing happens.
 */
void sks_stop_signals_forget(atomic_int *stop);

/* From now on signals that are caught stay so: the program is about to end. */
void sks_stop_signals_stay(void);

#endif
