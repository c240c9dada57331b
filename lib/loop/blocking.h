/* SPDX-License-Identifier: MIT */
/*
 * blocking.h - a fiber has a function that blocks run on a helper thread, and waits for it.
 */
#ifndef SKS_LOOP_BLOCKING_H
#define SKS_LOOP_BLOCKING_H

/*
 * Called on a fiber that has flushed; waits. 0: the function has run. -1 and errno: it has not run
 * and never will: EAGAIN (too much work waits for a helper), or as every wait.
 */
int sks_blocking_run(void (*run)(void *arg), void *arg);

#endif
