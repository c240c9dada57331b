/* SPDX-License-Identifier: MIT */
/*
 * fork.h - what a fork(2) of the host leaves in the child process.
 *
 * The child has a copy of everything, but some of it stands for what is the
 * parent's: an epoll set and an eventfd are shared, and threads do not exist in
 * the child. So each owner of such things notes how many forks there were, and
 * sees by that number that it has become a copy.
 */
#ifndef SKS_BASE_FORK_H
#define SKS_BASE_FORK_H

#include "base/list.h"

#include <pthread.h>

/* How many forks lie between the first process and this one. */
extern unsigned int sks_forks;

/* Counts the forks that the library did not make: its own children act for their parent. */
extern unsigned int sks_forks_of_host;

/* From now on forks are counted. Called by each owner that keeps one of the numbers. */
void sks_fork_watch(void);

/*
 * From now on the lock is held during each fork, so that a child has what it protects as a whole.
 * Locks that may be held together are given in the order in which they are taken; there may be
 * eight in all.
 */
void sks_fork_guard(pthread_mutex_t *lock);

/*
 * A lock of an object, which is held during each fork, while it exists. Whoever has one takes no
 * other lock of this room.
 */
struct sks_fork_lock {
	pthread_mutex_t mutex;
	struct sks_list link;
};

void sks_fork_lock_init(struct sks_fork_lock *lock);
void sks_fork_lock_end(struct sks_fork_lock *lock);

/* In a child that the library has just forked for a request. */
void sks_fork_is_ours(void);

#endif
