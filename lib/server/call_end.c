/* SPDX-License-Identifier: MIT */
/*
 * Why a request ends: sks_end_reason().
 *
 * The reason is noted where it is known, and only there: by the task when handle has returned or
 * when there is no next exchange, by the loop when a parked connection ends. From an end that is
 * told by an errno follows the same reason in every mode, since a fiber, a thread and a child
 * process have the same errno for it. Of several time limits the task says which one it was.
 */
#include "server/call.h"

#include "stream/stream.h"

#include <errno.h>

static const char *const names[] = {
	[SKS_ENDED_NOT] = "-",
	[SKS_ENDED_DONE] = "done",
	[SKS_ENDED_CLOSED] = "closed",
	[SKS_ENDED_IDLE] = "idle",
	[SKS_ENDED_TIMEOUT] = "timeout",
	[SKS_ENDED_DEADLINE] = "deadline",
	[SKS_ENDED_RESET] = "reset",
	[SKS_ENDED_DRAIN] = "drain",
	[SKS_ENDED_CANCELLED] = "cancelled",
	[SKS_ENDED_ERROR] = "error",
	[SKS_ENDED_REFUSED] = "refused",
	[SKS_ENDED_EVICTED] = "evicted",
};

const char *
sks_end_reason_name(int reason)
{
	return reason > 0 && (size_t)reason < SKS_ARRAY_LEN(names) ? names[reason] : names[0];
}

int
sks_end_reason(const struct sks_request *req)
{
	return sks_call_of(req)->ended;
}

/* The handler's part was good, but the peer has not taken all of it. */
static int
is_spoilt(int before, int reason)
{
	return (before == SKS_ENDED_DONE || before == SKS_ENDED_CLOSED) &&
	    (reason == SKS_ENDED_RESET || reason == SKS_ENDED_TIMEOUT ||
		reason == SKS_ENDED_EVICTED);
}

void
sks_call_end(struct sks_call *call, int reason)
{
	if (reason == SKS_ENDED_CANCELLED && sks_peer_wait_is_evicted(call->peer_wait))
		reason = SKS_ENDED_EVICTED;
	if (call->ended == SKS_ENDED_NOT || is_spoilt(call->ended, reason))
		call->ended = reason;
}

static int
reason_of(int error)
{
	switch (error) {
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case ENOTCONN:
		return SKS_ENDED_RESET;
	case ETIMEDOUT:
		return SKS_ENDED_TIMEOUT;
	case ECANCELED:
		return SKS_ENDED_CANCELLED;
	default:
		return SKS_ENDED_ERROR;
	}
}

void
sks_call_end_by(struct sks_call *call, int error)
{
	sks_call_end(call, reason_of(error));
}

int
sks_call_was_cancelled(const struct sks_call *call)
{
	const struct sks_task *task = sks_task_current();

	return sks_task_is_cancelled(task) ||
	    (sks_draining(&call->req) && task->wait_end == SKS_WAIT_CANCELLED);
}

/* Which of the task's time limits has passed. */
static int
limit_of(const struct sks_task *task)
{
	switch (task->wait_end) {
	case SKS_WAIT_IDLE:
		return SKS_ENDED_IDLE;
	case SKS_WAIT_DEADLINE:
		return SKS_ENDED_DEADLINE;
	default:
		return SKS_ENDED_TIMEOUT;
	}
}

/* Returns why the streams are broken; 0: they are not. */
static int
broken_by(const struct sks_call *call)
{
	const struct sks_rfile *r = call->req.rfile;
	const struct sks_wfile *w = call->req.wfile;

	return r->error != 0 ? r->error : w->error;
}

int
sks_call_has_heard(const struct sks_call *call)
{
	const struct sks_rfile *r = call->req.rfile;

	return call->datagram || call->heard ||
	    (r != NULL && (r->taken > 0 || sks_buf_length(&r->buf) > 0));
}

int
sks_call_was_left(const struct sks_call *call, int error)
{
	const struct sks_rfile *r = call->req.rfile;

	if (sks_call_has_heard(call))
		return 0;
	if (error == ECONNRESET || error == EPIPE) /* or else it is another connection's */
		return r == NULL || broken_by(call) != 0;
	/* A read that finds the end leaves errno as the system call before it did. */
	return r != NULL && r->eof && (error == 0 || error == ENODATA || error == EAGAIN);
}

/* The reason that an errno of handle stands for; a reset that is another connection's is none. */
static int
reason_of_failure(const struct sks_call *call, int error)
{
	if (sks_call_was_left(call, error))
		return broken_by(call) != 0 ? SKS_ENDED_RESET : SKS_ENDED_CLOSED;
	if (error == ETIMEDOUT)
		return limit_of(sks_task_current());
	return reason_of(error) == SKS_ENDED_RESET && broken_by(call) == 0 ? SKS_ENDED_ERROR :
									     reason_of(error);
}

/* The reason that the streams tell; SKS_ENDED_NOT where they tell none. */
static int
reason_of_streams(const struct sks_call *call)
{
	if (sks_call_was_cancelled(call))
		return SKS_ENDED_CANCELLED;
	if (broken_by(call) != 0)
		return reason_of(broken_by(call));
	return !call->datagram && call->req.rfile->eof ? SKS_ENDED_CLOSED : SKS_ENDED_NOT;
}

/* handle is through by its own decision, perhaps as the input has ended. */
static int
reason_of_success(const struct sks_call *call)
{
	int reason = reason_of_streams(call);
	int has_left = sks_buf_length(&call->req.rfile->buf) > 0;

	return reason == SKS_ENDED_NOT || (reason == SKS_ENDED_CLOSED && has_left) ?
		SKS_ENDED_DONE : reason;
}

void
sks_call_end_exchange(struct sks_call *call, int rc)
{
	int error = errno;

	if (rc == -1)
		sks_call_end(call, reason_of_failure(call, error));
	else if (rc != SKS_KEEP)
		sks_call_end(call, reason_of_success(call));
	errno = error;
}

void
sks_call_end_between(struct sks_call *call)
{
	int reason;

	if (call->ended != SKS_ENDED_NOT)
		return;
	reason = reason_of_streams(call);
	if (reason == SKS_ENDED_NOT)
		reason = sks_draining(&call->req) ? SKS_ENDED_DRAIN : SKS_ENDED_DONE;
	sks_call_end(call, reason);
}
