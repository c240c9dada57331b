/* SPDX-License-Identifier: MIT */
/*
 * reserve.h - a descriptor that is held back, so that a client can be told when all others are
 * used up.
 *
 * Without it such a client waits in the kernel's queue in silence, as accept4(2) needs a
 * descriptor. The functions are for the thread that accepts.
 */
#ifndef SKS_SERVER_RESERVE_H
#define SKS_SERVER_RESERVE_H

#include "base/sys.h"

struct sks_reserve {
	int fd; /* -1: none is held back now */
};

static inline void
sks_reserve_init(struct sks_reserve *reserve)
{
	reserve->fd = -1;
}

/* Holds one back, if one is free. */
static inline void
sks_reserve_refill(struct sks_reserve *reserve)
{
	if (reserve->fd == -1)
		reserve->fd = sks_sys_eventfd(0, EFD_CLOEXEC);
}

/* Makes it free, for accept4(2) to take. */
static inline void
sks_reserve_spend(struct sks_reserve *reserve)
{
	if (reserve->fd != -1)
		sks_sys_close(reserve->fd);
	reserve->fd = -1;
}

#endif
