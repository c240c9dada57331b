/* SPDX-License-Identifier: MIT */
/*
 * Socket objects: their life, their waits, and the calls that never wait. (Those that may wait:
 * socket_io.c and socket_fds.c.)
 */
#include "socket/socket.h"

#include "base/clock.h"
#include "base/fork.h"
#include "base/sys.h"
#include "base/tools.h"
#include "stream/flush.h"
#include "loop/wait.h"

#include <errno.h>

/* ---- life ---- */

void
sks_sock_init(struct sks_socket *s, int fd)
{
	sks_fork_watch();
	s->fd = fd;
	s->timeout_ms = SKS_OFF;
	atomic_init(&s->holds, 1);
	atomic_init(&s->users, 2);
}

struct sks_socket *
sks_sock_wrap(int fd)
{
	struct sks_socket *s = sks_sys_calloc(1, sizeof(*s));

	if (s == NULL) {
		sks_sys_close(fd);
		errno = ENOMEM;
		return NULL;
	}
	sks_sock_init(s, fd);
	return s;
}

struct sks_socket *
sks_socket_new(int family, int type, int protocol)
{
	int fd = sks_sys_socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	return fd != -1 ? sks_sock_wrap(fd) : NULL;
}

static int
prepare(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	if (sks_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		return -1;
	if (sks_sys_fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	return sks_transport_set_nonblocking(fd);
}

struct sks_socket *
sks_socket_fromfd(int fd)
{
	struct sks_socket *s = sks_sys_calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (prepare(fd) == -1) {
		sks_sys_free(s);
		return NULL;
	}
	sks_sock_init(s, fd);
	return s;
}

int
sks_socket_pair(int type, struct sks_socket *pair[2])
{
	int fds[2];

	if (sks_sys_socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == -1)
		return -1;
	pair[0] = sks_sock_wrap(fds[0]);
	pair[1] = sks_sock_wrap(fds[1]);
	if (pair[0] != NULL && pair[1] != NULL)
		return 0;
	sks_socket_free(pair[0]);
	sks_socket_free(pair[1]);
	pair[0] = pair[1] = NULL;
	errno = ENOMEM;
	return -1;
}

/* The last one to leave frees the memory. Keeps errno. */
static void
leave(struct sks_socket *s)
{
	int error = errno;

	sks_tell_release(s);
	if (atomic_fetch_sub(&s->users, 1) != 1)
		return;
	sks_tell_acquire(s);
	sks_sys_free(s);
	errno = error;
}

/* Nobody holds the descriptor any more. Returns as drop(). */
static int
close_descriptor(struct sks_socket *s)
{
	int fd = s->fd, saved = errno;

	s->fd = -1;
	sks_shared_watch_close(&s->shared_watch, sks_loop_shared_watches(sks_task_current()));
	/* The descriptor is gone whatever close(2) says, also with EINTR. */
	if (fd != -1 && sks_sys_close(fd) == -1 && errno != EINTR)
		return -1;
	errno = saved;
	return 0;
}

/* Returns 0 and keeps errno, or returns -1 with the errno of close(2). */
static int
drop(struct sks_socket *s)
{
	int rc = 0;

	sks_tell_release(s);
	if (atomic_fetch_sub(&s->holds, 1) == 1) {
		sks_tell_acquire(s);
		rc = close_descriptor(s);
	}
	leave(s);
	return rc;
}

void
sks_sock_drop(struct sks_socket *s)
{
	int saved = errno;

	(void)drop(s);
	errno = saved;
}

/*
 * Returns 1 when the caller holds the descriptor now, 0 when the descriptor is closed or being
 * closed.
 */
static int
hold_open(struct sks_socket *s)
{
	int holds = atomic_load(&s->holds);

	while (holds > 0)
		if (atomic_compare_exchange_weak(&s->holds, &holds, holds + 1)) {
			atomic_fetch_add(&s->users, 1);
			return 1;
		}
	return 0;
}

int
sks_sock_hold(struct sks_socket *s)
{
	if (hold_open(s)) {
		if (!s->closed)
			return 0;
		sks_sock_drop(s);
	}
	errno = EBADF;
	return -1;
}

/* Does the task that waits exist? In a child process it may be one of the parent. */
static int
is_here(const struct sks_socket_waiter *w)
{
	return atomic_load(&w->forks) == sks_forks;
}

/* Drops what a task of the parent holds, which does not do so in this child process. */
static void
drop_copy(struct sks_socket *s, struct sks_socket_waiter *w)
{
	struct sks_task *task = atomic_load(&w->task);

	if (task != NULL && !is_here(w) && atomic_compare_exchange_strong(&w->task, &task, NULL))
		sks_sock_drop(s);
}

static void
drop_copies(struct sks_socket *s)
{
	drop_copy(s, &s->waiting[0]);
	drop_copy(s, &s->waiting[1]);
}

/*
 * Ends a wait, so that the call fails with EBADF. A fiber of this thread is woken. Another thread
 * polls the socket, so it is woken by an end of the socket. For a reader that is only an end of
 * input: an end of our output would reach the peer before a reset.
 */
static void
interrupt_waiter(struct sks_socket *s, struct sks_socket_waiter *w, int how)
{
	struct sks_task *task = atomic_load(&w->task);
	int error = errno;

	if (task == NULL)
		return;
	if (pthread_equal(atomic_load(&w->thread), pthread_self()))
		sks_wait_wake(task, EBADF);
	else
		(void)sks_sys_shutdown(s->fd, how); /* it wakes also where it fails with ENOTCONN */
	errno = error;
}

int
sks_socket_close(struct sks_socket *s)
{
	if (atomic_exchange(&s->closed, 1))
		return 0;
	drop_copies(s);
	interrupt_waiter(s, &s->waiting[0], SHUT_RD);
	interrupt_waiter(s, &s->waiting[1], SHUT_RDWR);
	return drop(s);
}

void
sks_socket_free(struct sks_socket *s)
{
	if (s == NULL)
		return;
	(void)sks_socket_close(s);
	leave(s);
}

int
sks_socket_detach(struct sks_socket *s)
{
	int fd = s->fd;

	if (s->closed) {
		errno = EBADF;
		return -1;
	}
	drop_copies(s);
	if (atomic_load(&s->holds) != 1) {
		errno = EBUSY;
		return -1;
	}
	sks_shared_watch_close(&s->shared_watch, sks_loop_shared_watches(sks_task_current()));
	s->fd = -1;
	s->closed = 1;
	atomic_store(&s->holds, 0);
	leave(s);
	return fd;
}

int
sks_socket_fileno(const struct sks_socket *s)
{
	return s->closed ? -1 : s->fd;
}

/* ---- waiting ---- */

int
sks_socket_settimeout(struct sks_socket *s, int timeout_ms)
{
	if (sks_limit_check(timeout_ms) == -1)
		return -1;
	s->timeout_ms = timeout_ms;
	return 0;
}

int
sks_socket_gettimeout(const struct sks_socket *s)
{
	return s->timeout_ms;
}

int
sks_sock_begin(struct sks_socket *s)
{
	struct sks_task *task = sks_task_current();

	task->calls++;
	sks_wait_yield_if_due(task);
	return sks_sock_hold(s);
}

/* Before a wait. 1: the call must not wait, and errno is what it fails with. */
static int
must_not_wait(struct sks_socket *s, struct sks_sock_wait *wait)
{
	if (s->timeout_ms == 0) /* errno stays, which says what it would wait for */
		return 1;
	if (wait->expired) {
		errno = ETIMEDOUT;
		return 1;
	}
	if (wait->deadline == 0)
		wait->deadline = sks_clock_after(s->timeout_ms);
	return 0;
}

static int
await_event(struct sks_socket *s, struct sks_sock_wait *wait, int event)
{
	switch (event) {
	case 0:
		return sks_wait_backoff(&wait->pause_ms, wait->deadline);
	case SKS_READ:
		return sks_wait_readable(s->fd,
		    sks_shared_watch_get(&s->shared_watch, s->fd,
			sks_loop_shared_watches(sks_task_current())),
		    NULL, wait->deadline);
	default:
		return sks_wait_events(s->fd, event, wait->deadline);
	}
}

/* Flushes, and waits for an event, or for a moment (0), which is for room as well. 0, or -1. */
static int
await_socket(struct sks_socket *s, struct sks_sock_wait *wait, int event)
{
	struct sks_socket_waiter *waiting = &s->waiting[event != SKS_READ];
	int rc = -1;

	sks_flush_dirty();
	drop_copy(s, waiting);
	if (atomic_load(&waiting->task) != NULL)
		errno = EBUSY;
	else {
		atomic_store(&waiting->thread, pthread_self());
		atomic_store(&waiting->forks, sks_forks);
		atomic_store(&waiting->task, sks_task_current());
		if (!s->closed) /* after the stores: a thread that closes looks for a waiter */
			rc = await_event(s, wait, event);
		atomic_store(&waiting->task, NULL);
	}
	if (s->closed) {
		errno = EBADF;
		rc = -1;
	}
	return rc == -1 ? -1 : 0;
}

int
sks_sock_retry(struct sks_socket *s, struct sks_sock_wait *wait, int event)
{
	int rc;

	if (errno == EINTR)
		return 0;
	if ((errno != EAGAIN && errno != EINPROGRESS) || must_not_wait(s, wait))
		return -1;
	rc = await_socket(s, wait, event);
	if (rc == 0 || errno != ETIMEDOUT)
		return rc;
	wait->expired = 1; /* one more try: the event may have come in the same moment */
	return 0;
}

int
sks_sock_pause(struct sks_socket *s, struct sks_sock_wait *wait)
{
	return must_not_wait(s, wait) ? -1 : await_socket(s, wait, 0);
}

/* ---- calls that never wait ---- */

static int
is_open(const struct sks_socket *s)
{
	if (!s->closed)
		return 1;
	errno = EBADF; /* one look: another thread may close it just now */
	return 0;
}

int
sks_socket_bind(struct sks_socket *s, const struct sockaddr *addr, socklen_t len)
{
	return is_open(s) ? sks_sys_bind(s->fd, addr, len) : -1;
}

int
sks_socket_listen(struct sks_socket *s, int backlog)
{
	return is_open(s) ? sks_sys_listen(s->fd, backlog > 0 ? backlog : SOMAXCONN) : -1;
}

int
sks_socket_shutdown(struct sks_socket *s, int how)
{
	return is_open(s) ? sks_sys_shutdown(s->fd, how) : -1;
}

int
sks_socket_getsockname(const struct sks_socket *s, struct sockaddr *addr, socklen_t *len)
{
	return is_open(s) ? sks_sys_getsockname(s->fd, addr, len) : -1;
}

int
sks_socket_getpeername(const struct sks_socket *s, struct sockaddr *addr, socklen_t *len)
{
	return is_open(s) ? sks_sys_getpeername(s->fd, addr, len) : -1;
}

int
sks_socket_getsockopt(const struct sks_socket *s, int level, int name, void *value, socklen_t *len)
{
	return is_open(s) ? sks_sys_getsockopt(s->fd, level, name, value, len) : -1;
}

int
sks_socket_setsockopt(struct sks_socket *s, int level, int name, const void *value, socklen_t len)
{
	return is_open(s) ? sks_sys_setsockopt(s->fd, level, name, value, len) : -1;
}

int
sks_socket_get_option(const struct sks_socket *s, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return sks_socket_getsockopt(s, level, name, value, &len);
}

int
sks_socket_set_option(struct sks_socket *s, int level, int name, int value)
{
	return sks_socket_setsockopt(s, level, name, &value, sizeof(value));
}
