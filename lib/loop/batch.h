/* SPDX-License-Identifier: MIT */
/*
 * batch.h - connections that have input at the same time are read as a group.
 *
 * epoll_wait(2) reports up to 16 watches at once. The loop reads for all of them
 * (the preread) before it wakes the first. So the kernel's code for receiving, which
 * does not fit into the first cache beside its code for sending and ours, is
 * fetched once for each group, and not once for each message. Before that, the
 * memory of all 16 is asked for (prefetched): with many connections each lies on a
 * page of its own that is in no cache, and the processor fetches several at a time.
 *
 * CPU time for each message as a multiple of that of a bare epoll loop, at 64
 * connections, at 16 lines in one send and at 1000 connections, with all three builds
 * side by side, after version 0.2:
 *
 *     with both           1.12   1.15   1.14
 *     without prefetch    1.13   1.17   1.21
 *     without groups      1.15   1.18   1.23
 *
 * `sh tests/bench/run.sh BUILD_DIR` shows this version, and with --beside
 * OTHER_BUILD_DIR another build beside it. This room alone knows of groups: a watch
 * whose preread is NULL is woken as if there were none.
 */
#ifndef SKS_LOOP_BATCH_H
#define SKS_LOOP_BATCH_H

#include "loop/watch.h"

/*
 * The loop's read for a task that waits with a watch, and its result, which the reader takes over.
 */
struct sks_preread {
	void (*read)(struct sks_preread *); /* on the loop's stack; wakes nobody */
};

/*
 * Looks once which watches have input, reads for them, and wakes the tasks that wait. Returns how
 * many watches there were. On the loop's thread, from its own stack.
 */
int sks_batch_serve(struct sks_watch_set *set);

#endif
