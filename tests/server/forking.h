/* SPDX-License-Identifier: MIT */
/*
 * forking.h - what the suites of servers in forked processes share.
 */
#ifndef SKS_TEST_FORKING_H
#define SKS_TEST_FORKING_H

#include "acceptance.h"

#include <sys/types.h>

/* Why a test that forks while the server runs on another thread is left out. */
#define FORKING_AND_ASAN                                                             \
	"AddressSanitizer takes a lock of its allocator that another thread holds into the child"

extern const struct sks_options stoppable; /* stops for good by SIGTERM */
extern const struct sks_options again;     /* stops by SIGTERM, and can run again */

/* Forks. In the child SIGTERM is blocked, so that one that comes early waits until it serves. */
pid_t fork_blocked(void);

/* In a child: serves until a signal, and exits with 0 if that went well. */
_Noreturn void serve_and_leave(const struct acc *acc);

/* Forks a child that serves. */
pid_t fork_serving(const struct acc *acc);

/* Waits for a child, which must exit with this code. */
void expect_exit(pid_t pid, int code);

/* Stops a child that serves, which must end with 0. */
void stop_child(pid_t pid);

/* A client sends two lines, which must be answered by whichever process serves. */
void talk(const struct acc *acc);

/* As acc_setup(), without Check's handler for SIGTERM, which would kill the children as well. */
void forking_setup(void);

#endif
