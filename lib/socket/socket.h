/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the inside of a socket object (socketserver/socket.h).
 *
 * Its descriptor is held by the object while it is open, by each call that
 * waits, and by streams; who lets go last closes it. So closing it under a
 * fiber that waits gives no descriptor number away that is still in use.
 */
#ifndef SKS_SOCKET_SOCKET_H
#define SKS_SOCKET_SOCKET_H

#include "fiber/task.h"
#include "loop/shared_watch.h"

#include <pthread.h>
#include <socketserver/socket.h>
#include <stdatomic.h>
#include <stdint.h>

/* Who waits, and where. In a forked child it is its parent's. */
struct sks_socket_turn {
	struct sks_task *_Atomic task; /* NULL: nobody */
	_Atomic pthread_t thread;
	atomic_int process;
};

struct sks_socket {
	int fd;                      /* -1: closed, and nobody holds it */
	atomic_int closed;           /* for its owner, on whatever thread */
	int orphan;                  /* the owner has freed it; who lets go last frees the memory */
	int timeout_ms;
	atomic_int holds;            /* the owner's, its streams', and those of calls that may wait */
	struct sks_socket_turn waiting[2]; /* for input, for room */
	struct sks_shared_watch *shared_watch; /* NULL: no fiber has waited for input yet */
};

/* Makes zeroed memory a socket that owns fd. */
void sks_sock_init(struct sks_socket *s, int fd);

/* A new socket that owns fd. NULL: ENOMEM, and fd is closed. */
struct sks_socket *sks_sock_wrap(int fd);

/* For streams that go on when the owner closes. drop may free the object. */
void sks_sock_hold(struct sks_socket *s);
void sks_sock_drop(struct sks_socket *s);

/*
 * Around each call that may wait. begin: 0, or -1 and EBADF when it is closed, and
 * then there is no end; a turn, when one is due. In between the descriptor stays,
 * whoever closes it. end keeps errno, and then *s may be gone.
 */
int sks_sock_begin(struct sks_socket *s);

static inline void
sks_sock_end(struct sks_socket *s)
{
	sks_sock_drop(s);
}

/* How long a call may still wait; zero it before. */
struct sks_sock_wait {
	int64_t deadline;  /* 0: none yet */
	int expired;
	int pause_ms;
};

/*
 * After a call that failed: waits for the event when that was EAGAIN, or does
 * nothing when it was EINTR. 0: try again. -1 and errno.
 */
int sks_sock_retry(struct sks_socket *s, struct sks_sock_wait *wait, int event);

/*
 * The same where the kernel has no event for it: a Unix socket's queue at the
 * other end is full, and we are not connected to it. Sleeps for a moment.
 */
int sks_sock_pause(struct sks_socket *s, struct sks_sock_wait *wait);

#endif
