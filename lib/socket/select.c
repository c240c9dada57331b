/* SPDX-License-Identifier: MIT */
/*
 * sks_select(): as select(2), but by poll(2), so without its limit of 1024 descriptors.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "loop/wait.h"
#include "socket/socket.h"
#include "stream/ahead.h"
#include "stream/flush.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FEW 16 /* so many entries need no memory but the stack */

/* Returns 1 when a read would return without a look at the socket. */
static int
has_input(const struct sks_rfile *r)
{
	return sks_buf_length(&r->buf) > 0 || r->has_ahead || r->eof || r->error != 0 ||
	       r->tr == NULL || sks_transport_has_input(r->tr) ||
	       sks_rfile_is_refused(r, sks_task_current());
}

/* Returns 1 when the input of an rfile is wanted. */
static int
is_read(const struct sks_selectable *entry)
{
	return entry->socket == NULL && entry->rfile != NULL && (entry->want & SKS_READ);
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

/* Is its descriptor looked at? Not when nothing is wanted of it, or an rfile has no descriptor. */
static int
is_polled(const struct sks_selectable *entry)
{
	return entry->want != 0 && (entry->socket != NULL || entry->rfile == NULL ||
				       entry->rfile->tr != NULL || !(entry->want & SKS_READ));
}

/* Returns how many are ready without a look, or -1. *polled is how many of fds are for poll(2). */
static int
prepare(struct sks_selectable *set, size_t n, struct pollfd *fds, size_t *polled)
{
	int ready = 0;
	size_t i;

	*polled = 0;
	for (i = 0; i < n; i++) {
		struct sks_selectable *entry = &set[i];
		int buffered = is_read(entry) && has_input(entry->rfile);
		int fd;

		entry->ready = buffered ? SKS_READ : 0;
		ready += buffered;
		if ((entry->want & ~(SKS_READ | SKS_WRITE | SKS_EXCEPT)) != 0) {
			errno = EINVAL;
			return -1;
		}
		if (!is_polled(entry))
			continue;
		if ((fd = descriptor(entry)) < 0) {
			errno = EBADF;
			return -1;
		}
		fds[(*polled)++] = (struct pollfd){ .fd = fd, .events = poll_events(entry->want) };
	}
	return ready;
}

/* Of an entry whose descriptor has input: would a read wait? TLS says more than its payload. */
static int
is_false_alarm(const struct sks_selectable *entry)
{
	return entry->socket == NULL && entry->rfile != NULL && entry->rfile->tr != NULL &&
	       !sks_transport_look(entry->rfile->tr);
}

/*
 * Fills in ready. Returns how many entries are ready, or -1. poll(2) tells of an error also where
 * nothing but SKS_EXCEPT is wanted, and would again at once: such an entry is looked at no more.
 */
static int
collect(struct sks_selectable *set, size_t n, struct pollfd *fds)
{
	int ready = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		struct pollfd *at = is_polled(&set[i]) ? fds++ : NULL;
		short events = at != NULL ? at->revents : 0;

		if (events & POLLNVAL) {
			errno = EBADF;
			return -1;
		}
		if (events & (POLLERR | POLLHUP)) /* the next call will fail, and say why */
			set[i].ready |= set[i].want & (SKS_READ | SKS_WRITE);
		if ((events & POLLIN) && !is_false_alarm(&set[i]))
			set[i].ready |= SKS_READ;
		set[i].ready |= (events & POLLOUT ? SKS_WRITE : 0) |
				(events & POLLPRI ? SKS_EXCEPT : 0);
		if ((events & (POLLERR | POLLHUP)) && set[i].ready == 0)
			at->fd = -1;
		ready += set[i].ready != 0;
	}
	return ready;
}

/* -- more entries than files may be open: some are for the same descriptor -- */

static int
by_descriptor(const void *a, const void *b)
{
	const struct pollfd *left = a, *right = b;

	return (left->fd > right->fd) - (left->fd < right->fd);
}

/* Sorts the entries, and keeps one for each descriptor. Returns how many there are then. */
static size_t
unite(struct pollfd *fds, size_t n)
{
	size_t i, last = 0;

	qsort(fds, n, sizeof(*fds), by_descriptor);
	for (i = 1; i < n; i++) {
		if (fds[i].fd != fds[last].fd)
			fds[++last] = fds[i];
		else
			fds[last].events |= fds[i].events;
	}
	return last + 1;
}

/* Does what sks_wait_set() does, and hands each descriptor over once. */
static int
wait_united(struct pollfd *fds, size_t n, int64_t deadline)
{
	struct pollfd *each = sks_sys_calloc(n + SKS_CANCEL_MOST, sizeof(*each));
	size_t i, m;
	int rc, error;

	if (each == NULL)
		return -1;
	memcpy(each, fds, n * sizeof(*each));
	m = unite(each, n);
	errno = EINVAL;
	rc = m < n ? sks_wait_set(each, m, deadline) : -1;
	for (i = 0; i < n; i++) {
		const struct pollfd *found =
		    bsearch(&fds[i], each, m, sizeof(*each), by_descriptor);

		fds[i].revents =
		    (short)(found->revents & (fds[i].events | POLLERR | POLLHUP | POLLNVAL));
	}
	error = errno;
	sks_sys_free(each);
	errno = error;
	return rc;
}

/* poll(2) takes no more entries than files may be open. */
static int
wait_for_any(struct pollfd *fds, size_t n, int64_t deadline)
{
	int rc = sks_wait_set(fds, n, deadline);

	return rc == -1 && errno == EINVAL && n > FEW ? wait_united(fds, n, deadline) : rc;
}

/* A wait has failed. Returns 0 when the time of this call is over; -1: for another reason. */
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

/* Meanwhile no write of another task reads ahead what this one waits for. */
static void
begin_waits(const struct sks_selectable *set, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (is_read(&set[i]))
			(void)sks_ahead_begin_wait(set[i].rfile, sks_task_current());
}

static void
end_waits(const struct sks_selectable *set, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (is_read(&set[i]))
			sks_ahead_end_wait(set[i].rfile, sks_task_current());
}

static int
wait_until(struct sks_selectable *set, struct pollfd *fds, size_t n, int64_t deadline)
{
	size_t polled;
	int ready = prepare(set, n, fds, &polled), got;

	if (ready == -1)
		return -1;
	if (ready > 0)
		deadline = sks_clock_after(0);
	do {
		if (wait_for_any(fds, polled, deadline) == -1 && (ready == 0 || errno != ETIMEDOUT))
			return none(set, n);
		got = collect(set, n, fds);
	} while (got == 0);
	return got;
}

/* Flushes before it waits, which may read ahead: so what is ready is looked at after that. */
static int
wait_for(struct sks_selectable *set, struct pollfd *fds, size_t n, int timeout_ms)
{
	int64_t deadline = sks_clock_after(timeout_ms);
	size_t polled;
	int rc = prepare(set, n, fds, &polled);

	if (rc == -1)
		return -1;
	if (rc > 0 || timeout_ms == 0)
		return wait_until(set, fds, n, deadline);
	sks_flush_dirty();
	begin_waits(set, n);
	rc = wait_until(set, fds, n, deadline);
	end_waits(set, n);
	return rc;
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
