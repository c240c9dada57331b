/* SPDX-License-Identifier: MIT */
/*
 * sks_select(): as select(2), but by poll(2), so without its limit of 1024 descriptors.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "socket/socket.h"
#include "stream/flush.h"
#include "loop/wait.h"

#include <errno.h>

#define FEW 16 /* so many entries need no memory but the stack */

/* 1: a read would return without a look at the socket. */
static int
has_input(const struct sks_rfile *r)
{
	return sks_buf_length(&r->buf) > 0 || r->eof || r->error != 0 || r->tr == NULL;
}

static int
descriptor(const struct sks_selectable *entry)
{
	if (entry->socket != NULL)
		return sks_socket_fileno(entry->socket);
	if (entry->rfile != NULL)
		return entry->rfile->tr != NULL ? entry->rfile->tr->fd : -1;
	return entry->fd;
}

static short
poll_events(int want)
{
	return (short)((want & SKS_READ ? POLLIN : 0) | (want & SKS_WRITE ? POLLOUT : 0) |
	    (want & SKS_EXCEPT ? POLLPRI : 0));
}

/* Fills in fds. Returns how many entries are ready already, or -1. */
static int
prepare(struct sks_selectable *set, struct pollfd *fds, size_t n)
{
	int ready = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		struct sks_selectable *entry = &set[i];
		int buffered = entry->socket == NULL && entry->rfile != NULL &&
		    (entry->want & SKS_READ) && has_input(entry->rfile);

		fds[i] = (struct pollfd){ .fd = -1, .events = poll_events(entry->want) };
		entry->ready = buffered ? SKS_READ : 0;
		ready += buffered;
		if ((entry->want & ~(SKS_READ | SKS_WRITE | SKS_EXCEPT)) != 0) {
			errno = EINVAL;
			return -1;
		}
		if (entry->want == 0 || (buffered && entry->rfile->tr == NULL))
			continue;
		fds[i].fd = descriptor(entry);
		if (fds[i].fd < 0) {
			errno = EBADF;
			return -1;
		}
	}
	return ready;
}

/* Fills in ready. Returns how many entries are ready, or -1. */
static int
collect(struct sks_selectable *set, const struct pollfd *fds, size_t n)
{
	int ready = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		short events = fds[i].revents;

		if (events & POLLNVAL) {
			errno = EBADF;
			return -1;
		}
		if (events & (POLLERR | POLLHUP)) /* the next call will fail, and say why */
			set[i].ready |= set[i].want & (SKS_READ | SKS_WRITE);
		set[i].ready |= (events & POLLIN ? SKS_READ : 0) |
		    (events & POLLOUT ? SKS_WRITE : 0) | (events & POLLPRI ? SKS_EXCEPT : 0);
		ready += set[i].ready != 0;
	}
	return ready;
}

/* The wait has failed. 0: because the time of this call is over. -1: for another reason. */
static int
none(struct sks_selectable *set, size_t n)
{
	size_t i;

	if (sks_task_current()->wait_end != SKS_WAIT_TIMEOUT)
		return -1;
	for (i = 0; i < n; i++)
		set[i].ready = 0;
	return 0;
}

static int
wait_for(struct sks_selectable *set, struct pollfd *fds, size_t n, int timeout_ms)
{
	int ready = prepare(set, fds, n);
	int64_t deadline;

	if (ready == -1)
		return -1;
	if (ready > 0)
		timeout_ms = 0;
	deadline = sks_clock_after(timeout_ms);
	if (timeout_ms != 0)
		sks_flush_dirty();
	if (sks_wait_set(fds, n, deadline) == -1 && (ready == 0 || errno != ETIMEDOUT))
		return none(set, n);
	return collect(set, fds, n);
}

int
sks_select(struct sks_selectable *set, size_t n, int timeout_ms)
{
	struct sks_task *task = sks_task_current();
	struct pollfd few[FEW + SKS_CANCEL_MOST], *fds = few;
	int rc, error;

	if (sks_limit_check(timeout_ms) == -1)
		return -1;
	task->calls++;
	sks_wait_yield_if_due(task);
	if (n > FEW && (fds = sks_sys_calloc(n + SKS_CANCEL_MOST, sizeof(*fds))) == NULL)
		return -1;
	rc = wait_for(set, fds, n, timeout_ms);
	error = errno;
	if (fds != few)
		sks_sys_free(fds);
	errno = error;
	return rc;
}
