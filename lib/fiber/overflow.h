/* SPDX-License-Identifier: MIT */
/*
 * overflow.h - a name for the fiber whose stack was too small.
 */
#ifndef SKS_FIBER_OVERFLOW_H
#define SKS_FIBER_OVERFLOW_H

/*
 * From now on, a stack overflow of a fiber of the calling thread is reported on
 * standard error before the process dies of it as it would have:
 *
 *     socketserver: stack overflow in handler NAME serving PEER (stack_size 131072)
 *
 * A handler of SIGSEGV and SIGBUS is installed once for the process; faults
 * that are not of this kind go to the handler that was there before. The thread
 * gets an alternate signal stack unless it has one, until it ends.
 *
 * 0, or -1: ENOMEM, or EAGAIN when the process has no thread-specific key left.
 */
int sks_overflow_watch(void);

#endif
