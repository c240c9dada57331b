/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the inside of a socket object (socketserver/socket.h).
 *
 * The descriptor is held by the object while that is open, by each call that waits, and by
 * streams. The last one to drop it closes it. So to close the object while a fiber waits for it
 * gives no descriptor number away that is still in use.
 */
#ifndef SKS_SOCKET_SOCKET_H
#define SKS_SOCKET_SOCKET_H

#include "fiber/task.h"
#include "loop/shared_watch.h"

#include <pthread.h>
#include <socketserver/socket.h>
#include <stdatomic.h>
#include <stdint.h>

/* The task that waits, and where it does. In a child process it may be a task of the parent. */
struct sks_socket_waiter {
	struct sks_task *_Atomic task; /* NULL: there is none */
	_Atomic pthread_t thread;
	atomic_uint forks; /* sks_forks there: elsewhere it is none of this process's tasks */
};

struct sks_socket {
	int fd;                      /* -1: nobody holds it any more */
	atomic_int closed;           /* by its owner, on any thread */
	int timeout_ms;
	atomic_int recv_error;       /* of a receive that had bytes; the next one fails with it */
	atomic_int holds;            /* of the descriptor: by the owner, its streams, and calls */
	atomic_int users;            /* of this memory: each hold, and the owner until it frees it */
	struct sks_socket_waiter waiting[2]; /* for input, and for room */
	struct sks_shared_watch *shared_watch; /* NULL: no fiber has waited for input yet */
};

/* Makes zeroed memory a socket that owns fd. */
void sks_sock_init(struct sks_socket *s, int fd);

/* A new socket that owns fd. NULL: ENOMEM, and fd is closed. */
struct sks_socket *sks_sock_wrap(int fd);

/*
 * For streams, which go on when the owner closes the object. hold returns 0, or -1 if the object is
 * closed (EBADF). The last drop may free it.
 */
int sks_sock_hold(struct sks_socket *s);
void sks_sock_drop(struct sks_socket *s);

/*
 * Around each call that may wait; in between the descriptor stays open, whoever closes the
 * object. begin yields if that is due. It returns 0, or -1 if the object is closed (EBADF), and
 * then there must be no end. end keeps errno; the object may be gone after it.
 */
int sks_sock_begin(struct sks_socket *s);

static inline void
sks_sock_end(struct sks_socket *s)
{
	sks_sock_drop(s);
}

/* The time that one call may still wait. It begins with zeroes. */
struct sks_sock_wait {
	int64_t deadline;  /* 0: it has not waited yet */
	int expired;
	int pause_ms;
};

/*
 * A system call has failed with errno. If that is EAGAIN, waits for the event; EINTR needs no
 * wait. 0: the call is to be tried again. -1 with errno: it has failed.
 */
int sks_sock_retry(struct sks_socket *s, struct sks_sock_wait *wait, int event);

/*
 * Waits where the kernel has no event: the queue of a Unix socket at the other end is full,
 * and ours is not connected to it. Waits for a moment.
 */
int sks_sock_pause(struct sks_socket *s, struct sks_sock_wait *wait);

#endif
