/* SPDX-License-Identifier: MIT */
/*
 * The order of setup, handle and finish, and the small public calls on a
 * request.
 */
#include "server/call.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/probe.h"
#include "base/sys.h"
#include "task/child.h"
#include "stream/ahead.h"
#include "stream/stream.h"

#include <errno.h>
#include <string.h>

#define SLOW " (slower than min_rate)"

/* A peer that goes or is slow, and a shutdown, cut a request off; else the handler has failed. */
static enum sks_log_level
level_of(int error)
{
	return error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == ECANCELED ?
	    SKS_LOG_WARN : SKS_LOG_ERROR;
}

static void
log_error(struct sks_call *call, int error, const char *detail)
{
	struct sks_log_origin origin = sks_call_origin(call);

	sks_log_limited(&call->service->shared->errors, SKS_LOG_LINES, &origin, level_of(error),
	    error, "%s%s", error != 0 ? strerror(error) : "failed without errno", detail);
}

/* Returns in words what a task was waiting for when it was cancelled. */
static const char *
aim_of(const struct sks_task *task)
{
	switch (task->wait_for) {
	case SKS_WAIT_FOR_INPUT:
		return " (it waited for input)";
	case SKS_WAIT_FOR_OUTPUT:
		return " (it waited to write)";
	case SKS_WAIT_FOR_ANY:
		return " (it waited for one of its descriptors)";
	default:
		return " (it waited for a time or another task)";
	}
}

/* On the task: which of its time limits, or what of its waits, has made handle fail. */
static const char *
detail_of(int error)
{
	const struct sks_task *task = sks_task_current();

	if (error != ETIMEDOUT && error != ECANCELED)
		return "";
	switch (task->wait_end) {
	case SKS_WAIT_IDLE:
		return error == ETIMEDOUT ? " (idle)" : "";
	case SKS_WAIT_DEADLINE:
		return error == ETIMEDOUT ? " (deadline)" : "";
	case SKS_WAIT_SLOW:
		return error == ETIMEDOUT ? SLOW : "";
	case SKS_WAIT_CANCELLED:
		return error == ECANCELED ? aim_of(task) : "";
	default:
		return "";
	}
}

static void
count_failure(struct sks_call *call)
{
	if (!call->failed)
		sks_count(call->service, failed, 1);
	call->failed = 1;
}

void
sks_call_log_left(const struct sks_call *call)
{
	struct sks_log_origin origin = sks_call_origin(call);

	if ((call->ended == SKS_ENDED_CLOSED || call->ended == SKS_ENDED_RESET) &&
	    !sks_call_has_heard(call))
		sks_log_about(&origin, SKS_LOG_DEBUG, 0,
		    "the peer has gone before it has sent anything");
}

void
sks_call_log_lost(struct sks_call *call, int error)
{
	sks_call_end_by(call, error);
	if (sks_call_was_left(call, error))
		return;
	log_error(call, error, "");
	count_failure(call);
}

void
sks_call_log_slow(struct sks_call *call)
{
	if (call->failed)
		return;
	log_error(call, ETIMEDOUT, SLOW);
	count_failure(call);
}

void
sks_call_log_unsent(struct sks_call *call, int error)
{
	if (!call->failed && !call->aborted)
		sks_call_log_lost(call, error);
}

void
sks_call_log_handshake(const struct sks_call *call, const char *why)
{
	struct sks_log_origin origin = sks_call_origin(call);

	if (why[0] != '\0')
		sks_log_limited(&call->service->shared->errors, SKS_LOG_LINES, &origin,
		    SKS_LOG_WARN, 0, "TLS handshake: %s", why);
}

void
sks_call_log_not_run(struct sks_call *call)
{
	struct sks_log_origin origin = sks_call_origin(call);

	sks_log_limited(&call->service->shared->refusals[SKS_REFUSED_NO_TASK], 1, &origin,
	    SKS_LOG_ERROR, call->start_error, "cannot run the handler: %m");
}

void
sks_call_log_given_up(const struct sks_call *call)
{
	const struct sks_task *task = atomic_load(&call->task);
	const char *place = task != NULL ? atomic_load(&task->place) : NULL;
	struct sks_log_origin origin = sks_call_origin(call);

	sks_log_about(&origin, SKS_LOG_WARN, 0, "has not ended in time%s%s",
	    call->service->options.mode == SKS_PROCESSES ? ", its process is killed" :
	    place != NULL ? ", it is in " : "",
	    place != NULL ? place : "");
}

void
sks_call_report(struct sks_call *call, int error)
{
	if (sks_call_was_left(call, error))
		return;
	if (call->service->options.on_error != NULL) {
		call->service->options.on_error(&call->req, error);
		sks_children_end(sks_task_current());
	} else
		log_error(call, error, detail_of(error));
	count_failure(call); /* last: whoever sees the number finds the line in the log, too */
}

/*
 * Calls setup. 0: handle is next; SKS_KEEP; or -1 after an error was reported. A datagram
 * has all of its input, so SKS_KEEP has nothing to wait for.
 */
static int
set_up(struct sks_call *call)
{
	const struct sks_handler *h = &call->service->handler;
	struct sks_task *task = sks_task_current();
	int rc = 0;

	errno = 0;
	if (h->setup != NULL)
		rc = h->setup(&call->req);
	if (rc == -1) {
		sks_children_end(task);
		sks_call_end_exchange(call, rc);
		sks_call_report(call, errno);
		return -1;
	}
	call->state = SKS_CALL_SET_UP;
	if (rc != SKS_KEEP || call->datagram)
		return 0;
	sks_children_end(task);
	sks_task_limit(task, SKS_NEVER, SKS_NEVER);
	(void)sks_ahead_settle(call->req.rfile);
	return SKS_KEEP;
}

int
sks_call_exchange(struct sks_call *call)
{
	const struct sks_handler *h = &call->service->handler;
	struct sks_task *task = sks_task_current();
	const struct sks_rfile *r = call->req.rfile;
	uint64_t taken = r->taken;
	struct sks_shared *shared = call->service->shared;
	int deadline_ms = call->service->options.deadline_ms, rc = 0;
	int64_t began;

	if (deadline_ms != SKS_OFF)
		sks_task_limit(task, sks_clock_after(deadline_ms), SKS_NEVER);
	if (call->state == SKS_CALL_NEW)
		rc = set_up(call);
	if (rc != 0)
		return rc;
	call->exchanges++;
	began = atomic_load(&shared->is_timed) ? sks_clock_ns() : 0;
	SKS_PROBE1(exchange__begin, call->req.fd);
	errno = 0;
	rc = h->handle(&call->req);
	SKS_PROBE2(exchange__end, call->req.fd, rc);
	sks_children_end(task);
	sks_call_end_exchange(call, rc);
	if (rc == -1)
		sks_call_report(call, errno);
	if (began != 0)
		sks_histogram_add(&shared->exchanges, sks_clock_ns() - began);
	sks_task_limit(task, SKS_NEVER, SKS_NEVER);
	if (sks_ahead_settle(call->req.rfile) || r->taken != taken || sks_buf_length(&r->buf) == 0)
		call->idle = 0;
	else
		call->idle++;
	return rc == -1 || rc == SKS_KEEP ? rc : SKS_DONE;
}

int
sks_call_get_more(struct sks_call *call)
{
	struct sks_rfile *r = call->req.rfile;
	size_t have = sks_buf_length(&r->buf);
	char *first;
	ssize_t n;

	call->idle = 0;
	n = sks_peek(r, have + 1, &first);
	if (n > (ssize_t)have)
		return 1;
	if (n == -1)
		sks_call_end_exchange(call, -1);
	else
		sks_call_end_between(call);
	return 0;
}

void
sks_call_finish(struct sks_call *call)
{
	const struct sks_handler *h = &call->service->handler;
	struct sks_task *task = sks_task_current();
	int is_due = call->state == SKS_CALL_SET_UP && h->finish != NULL;

	sks_memberships_end(&call->memberships);
	sks_call_end_between(call);
	sks_call_log_left(call);
	if (sks_draining(&call->req) && sks_call_was_cancelled(call))
		sks_call_stop(call, SKS_STOP_CANCELLED);
	/* A cancellation ends with handle: what finish writes should still go out. */
	call->state = SKS_CALL_FINISHING;
	atomic_store(&task->cancelled, 0);
	task->cancel = NULL;
	if (!is_due)
		return;
	sks_task_limit(task, sks_clock_after(call->must_not_wait ?
		0 : sks_service_linger_ms(call->service)), SKS_NEVER);
	sks_task_enter(task, "finish");
	h->finish(&call->req);
	sks_task_enter(task, NULL);
	sks_children_end(task);
	sks_task_limit(task, SKS_NEVER, SKS_NEVER);
}

char *
sks_peer(const struct sks_request *req, char *buf, size_t size)
{
	char text[SKS_ADDR_TEXT];

	sks_addr_format(req->peer, req->peer_len, text, sizeof(text));
	sks_escape(text, strlen(text), buf, size);
	return buf;
}

char *
sks_peer_host(const struct sks_request *req, char *buf, size_t size)
{
	return sks_addr_host(req->peer, req->peer_len, buf, size);
}

int
sks_peer_port(const struct sks_request *req)
{
	return sks_addr_port_of(req->peer, req->peer_len);
}

int
sks_deadline(struct sks_request *req, int ms)
{
	struct sks_task *task = sks_task_current();
	int64_t deadline;

	if (sks_limit_begin(ms, &deadline) == -1)
		return -1;
	if (sks_call_of(req)->state != SKS_CALL_FINISHING)
		sks_task_limit(task, deadline, task->scope);
	return 0;
}

int
sks_abort(struct sks_request *req)
{
	if (req->fd == -1) {
		errno = ENOTSUP;
		return -1;
	}
	if (sks_transport_cut(req->fd) == -1)
		return -1;
	sks_call_of(req)->aborted = 1;
	/* Broken, it is closed as it is: an end, sent first, would be what the peer reads. */
	if (req->rfile != NULL) {
		req->rfile->error = ECONNABORTED;
		req->wfile->error = ECONNABORTED;
	}
	return 0;
}

int
sks_is_datagram(const struct sks_request *req)
{
	return sks_call_of(req)->datagram;
}

int
sks_is_truncated(const struct sks_request *req)
{
	return sks_call_of(req)->truncated;
}

int
sks_admit_reply(struct sks_request *req)
{
	const struct sks_call *call = sks_call_of(req);

	return !call->datagram ||
	    sks_replies_take(&call->service->shared->replies, req->peer, req->peer_len);
}
