/* SPDX-License-Identifier: MIT */
/*
 * stop_signals.h - SIGINT and SIGTERM for options.stop_signals: the one place
 * where the library, asked to, touches signal dispositions.
 *
 * A signal that would kill the program stays caught when a run is over, until its
 * server is freed: it may come while the program is on its way to its end, and must
 * not turn a good end into a death. Such a signal asks for the next run to end at once, if
 * there is one. A handler of the host's own is in its place again after the run.
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
 * and wakes the loop. A signal that is ignored stays ignored. Both signals are unblocked on the
 * calling thread, whose mask before is put into *mask. 0, or -1: ENOBUFS when too many servers
 * of this process have stop_signals.
 */
int sks_stop_signals_begin(atomic_int *stop, struct sks_loop *loop, sigset_t *mask);

/*
 * The run is over. This is called on the thread that began it, and restores its mask. After the
 * last run of all servers the host's dispositions are restored, but for the default one.
 */
void sks_stop_signals_end(atomic_int *stop, const sigset_t *mask);

/*
 * The server of *stop is freed. With the last server all dispositions are restored. Nothing happens
 * for a server that has never run with stop_signals, and in a child process.
 */
void sks_stop_signals_forget(atomic_int *stop);

/* From now on signals that are caught stay so: the program is about to end. */
void sks_stop_signals_stay(void);

#endif
