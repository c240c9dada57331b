/* SPDX-License-Identifier: MIT */
/*
 * Handlers without a server: on bytes in memory, for tests, and on one
 * connection that somebody else accepted, as inetd(8) does.
 */
#include "base/clock.h"
#include "base/standard_error.h"
#include "base/sys.h"
#include "stream/stream.h"
#include "server/call.h"
#include "server/connection.h"
#include "stream/tls.h"
#include "server/datagram.h"

#include <errno.h>
#include <limits.h>
#include <socketserver/socket.h>
#include <string.h>

/* A call without a server, and what it counts. */
struct alone {
	struct sks_call call;
	struct sks_flow flow;
};

static struct sks_call *
new_call(const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size)
{
	struct sks_service *service = sks_sys_calloc(1, sizeof(*service));
	struct sks_call *call = NULL;

	if (service == NULL)
		return NULL;
	if (sks_service_init(service, handler, handler_size, options, options_size) == 0)
		call = sks_sys_calloc(1, sizeof(struct alone));
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
	call->flow = &sks_container_of(call, struct alone, call)->flow;
	call->began_ns = sks_clock_ns();
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
	sks_call_free_parts(call);
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
	struct sks_log_origin origin;
};

static struct outer
enter_handler(const struct sks_call *call)
{
	struct sks_task *task = sks_task_current();
	struct outer outer = { task->limit, task->scope, task->cancel, task->origin };

	task->nesting++;
	task->origin = sks_call_origin(call);
	return outer;
}

static void
leave_handler(const struct outer *outer)
{
	struct sks_task *task = sks_task_current();

	task->nesting--;
	sks_task_limit(task, outer->limit, outer->scope);
	task->cancel = outer->cancel;
	task->origin = outer->origin;
}

static void
keep_quiet(struct sks_request *req, int error)
{
	(void)req;
	(void)error;
}

/* Puts a copy of the input into r, whose memory is its own. 0, or -1: ENOMEM. */
static int
feed(struct sks_rfile *r, const void *in, size_t n)
{
	if (sks_buf_reserve(&r->buf, NULL, n + 1) == -1)
		return -1;
	if (n > 0)
		memcpy(r->buf.base, in, n);
	r->buf.end = n;
	return 0;
}

/* Hands the output to the caller, who frees it. 0, or -1: ENOMEM. */
static int
give_output(const struct sks_buf *written, char **out, size_t *out_len)
{
	size_t n = sks_buf_length(written);

	if (out != NULL) {
		*out = sks_sys_malloc(n + 1);
		if (*out == NULL)
			return -1;
		if (n > 0)
			memcpy(*out, written->base + written->start, n);
		(*out)[n] = '\0';
		sks_sys_give_away(*out);
	}
	if (out_len != NULL)
		*out_len = n;
	return 0;
}

/* Runs all exchanges of the call, and finish. Returns what handle has returned last. */
static int
exchange_all(struct sks_call *call)
{
	struct outer outer = enter_handler(call);
	int rc, error;

	do {
		rc = sks_call_exchange(call);
		error = errno;
	} while (rc == SKS_KEEP && !call->datagram && sks_call_is_fed(call));
	sks_call_finish(call);
	leave_handler(&outer);
	errno = error;
	return rc;
}

/* Runs a call whose streams are in memory. Returns what handle has returned last, or -1: ENOMEM. */
static int
handle_input(struct sks_call *call, const void *in, size_t n, char **out, size_t *out_len)
{
	struct sks_rfile *r = call->req.rfile;
	int rc, error;

	if (feed(r, in, n) == -1)
		return -1;
	rc = exchange_all(call);
	error = errno;
	if (give_output(&call->req.wfile->buf, out, out_len) == -1)
		return -1;
	sks_rfile_restore(r);
	errno = error;
	return rc;
}

/* Ties streams in memory to the call for its exchanges, and frees it. 0 or -1. */
static int
handle_in_memory(struct sks_call *call, const void *in, size_t n, char **out, size_t *out_len)
{
	struct sks_times *times = &call->service->times;
	struct sks_rfile r;
	struct sks_wfile w;
	int rc, error;

	sks_rfile_init(&r, NULL, times, times, call->service->options.max_line);
	sks_wfile_init(&w, NULL, times, times,
	    call->datagram ? SKS_DATAGRAM_REPLY_MOST : SSIZE_MAX / 4);
	call->req.rfile = &r;
	call->req.wfile = &w;
	rc = handle_input(call, in, n, out, out_len);
	error = errno;
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	free_call(call);
	errno = error;
	return rc == -1 ? -1 : 0;
}

/*
 * A call for bytes in memory. peer is the text of an address, or NULL, and *address is room for
 * it. An error has no line in the log, as the caller learns it from errno.
 */
static struct sks_call *
new_call_in_memory(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer,
    struct sockaddr_storage *address)
{
	struct sks_call *call;
	socklen_t len = 0;

	if (peer != NULL && sks_address_parse(peer, address, &len) == -1)
		return NULL;
	call = new_call(handler, handler_size, options, options_size);
	if (call == NULL)
		return NULL;
	if (call->service->options.on_error == NULL)
		call->service->options.on_error = keep_quiet;
	call->req.peer = (struct sockaddr *)address;
	call->req.peer_len = len;
	return call;
}

static void
clear_output(char **out, size_t *out_len)
{
	if (out != NULL)
		*out = NULL;
	if (out_len != NULL)
		*out_len = 0;
}

int
sks_handle_bytes_with_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len)
{
	struct sockaddr_storage address;
	struct sks_call *call;

	clear_output(out, out_len);
	call = new_call_in_memory(handler, handler_size, options, options_size, peer, &address);
	return call != NULL ? handle_in_memory(call, in, n, out, out_len) : -1;
}

int
sks_handle_bytes_abi(const struct sks_handler *handler, size_t handler_size, const void *in,
    size_t n, char **out, size_t *out_len)
{
	return sks_handle_bytes_with_abi(handler, handler_size, NULL, 0, NULL, in, n, out, out_len);
}

/* Cuts a datagram that is too long, or refuses it, as a server does. 0, or -1: EMSGSIZE. */
static int
cut_datagram(struct sks_call *call, size_t *n)
{
	const struct sks_options *options = &call->service->options;

	if (*n <= options->max_datagram)
		return 0;
	if (!options->keep_truncated) {
		errno = EMSGSIZE;
		return -1;
	}
	call->truncated = 1;
	*n = options->max_datagram;
	return 0;
}

int
sks_handle_datagram_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len)
{
	struct sockaddr_storage address;
	struct sks_call *call;

	clear_output(out, out_len);
	call = new_call_in_memory(handler, handler_size, options, options_size, peer, &address);
	if (call == NULL)
		return -1;
	call->datagram = 1;
	if (cut_datagram(call, &n) == -1) {
		free_call(call);
		errno = EMSGSIZE;
		return -1;
	}
	return handle_in_memory(call, in, n, out, out_len);
}

/* Runs all exchanges of a connection, one after another, and waits for input between them. */
static int
serve(struct sks_call *call, struct sks_transport *tr)
{
	struct sks_service *service = call->service;
	struct sks_rfile r;
	struct sks_wfile w;
	struct outer outer = enter_handler(call);
	char *first;
	int rc = SKS_KEEP, error = 0;

	sks_rfile_init(&r, tr, &service->times, &service->times, service->options.max_line);
	sks_wfile_init(&w, tr, &service->times, &service->times, service->options.max_output);
	r.ahead.most = service->options.max_input;
	r.ahead.log = &service->shared->errors;
	r.peer_wfile = &w;
	w.peer_rfile = &r;
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
		sks_call_end_by(call, error);
	}
	if (w.error == 0 && r.error == 0) {
		sks_transport_say_end_waiting(tr, sks_clock_after(service->options.linger_ms));
		if (!sks_eof(&r))
			sks_linger(tr, service->options.linger_ms);
	}
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	leave_handler(&outer);
	errno = error;
	return rc == -1 ? -1 : 0;
}

/* As a server's loop does, but there is none. */
static void
end_alone(struct sks_call *call)
{
	struct sks_info info;

	if (call->service->options.on_end == NULL)
		return;
	call->req.rfile = NULL;
	call->req.wfile = NULL;
	sks_call_info(call, &info);
	call->service->options.on_end(&call->req, &info);
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

	sks_stderr_spare(fd);
	call = new_call(handler, handler_size, options, options_size);
	if (call != NULL) {
		if (sks_sys_getpeername(fd, (struct sockaddr *)&peer, &len) == -1)
			len = 0; /* the peer has gone already, which a read will find out */
		if (len > 0 || errno == ENOTCONN) {
			tr.flow = call->flow;
			call->req.fd = fd;
			call->req.peer = (struct sockaddr *)&peer;
			call->req.peer_len = len;
			rc = serve(call, &tr);
			error = errno;
			sks_transport_end(&tr);
			end_alone(call);
			errno = error;
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
