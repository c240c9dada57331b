/* SPDX-License-Identifier: MIT */
/*
 * Handlers without a server: on bytes in memory, for tests, and on one
 * connection that somebody else accepted, as inetd(8) does.
 */
#include "base/log.h"
#include "base/sys.h"
#include "stream/stream.h"
#include "server/call.h"
#include "server/connection.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static struct sks_call *
new_call(const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size)
{
	struct sks_service *service = sks_sys_calloc(1, sizeof(*service));
	struct sks_call *call = NULL;

	if (service == NULL)
		return NULL;
	if (sks_service_init(service, handler, handler_size, options, options_size) == 0)
		call = sks_sys_calloc(1, sizeof(*call));
	if (call != NULL && service->handler.state_size > 0) {
		call->req.state = sks_sys_calloc(1, service->handler.state_size);
		if (call->req.state == NULL) {
			sks_sys_free(call);
			call = NULL;
		}
	}
	if (call == NULL) {
		sks_service_end(service);
		sks_sys_free(service);
		return NULL;
	}
	call->service = service;
	call->req.data = service->options.data;
	call->req.fd = -1;
	return call;
}

static void
free_call(struct sks_call *call)
{
	sks_sys_free(call->req.state);
	sks_service_end(call->service);
	sks_sys_free(call->service);
	sks_sys_free(call);
}

/*
 * A handler may run another one here, on its own task: then the limits and
 * children of the outer one are none of the inner one's.
 */
struct outer {
	int64_t limit;
	int64_t scope;
	struct sks_cancel *cancel;
};

static struct outer
enter_handler(void)
{
	struct sks_task *task = sks_task_current();

	task->nesting++;
	return (struct outer){ task->limit, task->scope, task->cancel };
}

static void
leave_handler(const struct outer *outer)
{
	struct sks_task *task = sks_task_current();

	task->nesting--;
	sks_task_limit(task, outer->limit, outer->scope);
	task->cancel = outer->cancel;
}

static void
keep_quiet(struct sks_request *req, int error)
{
	(void)req;
	(void)error;
}

int
sks_handle_bytes_abi(const struct sks_handler *handler, size_t handler_size, const void *in,
    size_t n, char **out, size_t *out_len)
{
	static const struct sks_options quiet = { .on_error = keep_quiet };
	struct sks_call *call = new_call(handler, handler_size, &quiet, sizeof(quiet));
	struct sks_times *times;
	struct sks_rfile r;
	struct sks_wfile w;
	struct outer outer;
	int rc, error;

	if (out != NULL)
		*out = NULL;
	if (out_len != NULL)
		*out_len = 0;
	if (call == NULL)
		return -1;
	times = &call->service->times;
	sks_rfile_init(&r, NULL, times, times, call->service->options.max_line);
	sks_wfile_init(&w, NULL, times, times, SSIZE_MAX / 4);
	if (sks_buf_reserve(&r.buf, NULL, n + 1) == -1) {
		free_call(call);
		return -1;
	}
	if (n > 0)
		memcpy(r.buf.base, in, n);
	r.buf.end = n;
	call->req.rfile = &r;
	call->req.wfile = &w;
	outer = enter_handler();
	do {
		rc = sks_call_exchange(call);
		error = errno;
	} while (rc == SKS_KEEP && sks_call_is_fed(call));
	sks_call_finish(call);
	leave_handler(&outer);

	if (out != NULL) {
		*out = sks_sys_malloc(sks_buf_length(&w.buf) + 1);
		if (*out != NULL) {
			if (sks_buf_length(&w.buf) > 0)
				memcpy(*out, w.buf.base + w.buf.start, sks_buf_length(&w.buf));
			(*out)[sks_buf_length(&w.buf)] = '\0';
			sks_sys_give_away(*out);
		} else {
			rc = -1;
			error = ENOMEM;
		}
	}
	if (out_len != NULL && (out == NULL || *out != NULL))
		*out_len = sks_buf_length(&w.buf);
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	free_call(call);
	errno = error;
	return rc == -1 ? -1 : 0;
}

/* The same exchanges as on a server, one after another; the wait for input is part of it. */
static int
serve(struct sks_call *call, struct sks_transport *tr)
{
	struct sks_service *service = call->service;
	struct sks_rfile r;
	struct sks_wfile w;
	struct outer outer = enter_handler();
	char *first;
	int rc = SKS_KEEP, error = 0;

	sks_rfile_init(&r, tr, &service->times, &service->times, service->options.max_line);
	sks_wfile_init(&w, tr, &service->times, &service->times, service->options.max_output);
	r.peer_wfile = &w;
	call->req.rfile = &r;
	call->req.wfile = &w;
	if (!service->handler.client_first || sks_peek(&r, 1, &first) > 0) {
		do {
			rc = sks_call_exchange(call);
			error = errno;
		} while (rc == SKS_KEEP && (sks_call_is_fed(call) || sks_call_get_more(call)));
	}
	sks_call_finish(call);
	if (sks_flush(&w) == -1 && rc != -1 && !call->aborted) {
		rc = -1;
		error = errno;
	}
	if (w.error == 0 && r.error == 0 && !sks_eof(&r))
		sks_linger(tr, service->options.linger_ms);
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	leave_handler(&outer);
	errno = error;
	return rc == -1 ? -1 : 0;
}

int
sks_serve_fd_abi(int fd, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct sks_transport tr = { .ops = &sks_plain_transport, .fd = fd };
	struct sks_call *call;
	int rc = -1, error;

	sks_log_spare(fd);
	call = new_call(handler, handler_size, options, options_size);
	if (call != NULL) {
		if (sks_sys_getpeername(fd, (struct sockaddr *)&peer, &len) == -1)
			len = 0; /* gone already: reading will tell */
		if (len > 0 || errno == ENOTCONN) {
			call->req.fd = fd;
			call->req.peer = (struct sockaddr *)&peer;
			call->req.peer_len = len;
			rc = serve(call, &tr);
		}
		error = errno;
		free_call(call);
		errno = error;
	}
	error = errno;
	sks_sys_close(fd);
	errno = error;
	return rc;
}
