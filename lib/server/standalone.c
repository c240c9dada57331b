/* SPDX-License-Identifier: MIT */
/*
 * Handlers without a server: on bytes in memory, for tests, and on one
 * connection that somebody else accepted, as inetd(8) does.
 */
#include "base/clock.h"
#include "base/standard_error.h"
#include "base/sys.h"
#include "server/connection.h"
#include "server/datagram.h"
#include "server/hook.h"
#include "stream/tls.h"

#include <errno.h>
#include <limits.h>
#include <socketserver/socket.h>
#include <string.h>

/* A call without a server, and what it needs of one. */
struct alone {
	struct sks_call call;
	struct sks_service service;
	struct sks_flow flow;
	int was_cancelled; /* the outer handler, before finish, which is not */
};

static void
free_call(struct sks_call *call)
{
	sks_sys_free(call->req.state);
	sks_service_end(call->service);
	sks_call_free_parts(call);
	sks_sys_free(sks_container_of(call, struct alone, call));
}

/* Gives the handler its state. 0, or -1: ENOMEM. */
static int
make_state(struct sks_call *call)
{
	size_t n = call->service->handler.state_size;

	if (n > 0)
		call->req.state = sks_sys_calloc(1, n);
	return n == 0 || call->req.state != NULL ? 0 : -1;
}

static struct sks_call *
new_call(const struct sks_handler *handler, size_t handler_size, const struct sks_options *options,
    size_t options_size)
{
	struct alone *alone = sks_sys_calloc(1, sizeof(*alone));
	struct sks_call *call;

	if (alone == NULL)
		return NULL;
	call = &alone->call;
	call->service = &alone->service;
	call->flow = &alone->flow;
	call->began_ns = sks_clock_ns();
	call->req.fd = -1;
	if (sks_service_init(call->service, handler, handler_size, options, options_size) == 0 &&
	    make_state(call) == 0) {
		call->req.data = call->service->options.data;
		return call;
	}
	free_call(call);
	return NULL;
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

/* Finish runs as if the task were not cancelled, and the outer handler still is afterwards. */
static void
finish(struct sks_call *call)
{
	sks_container_of(call, struct alone, call)->was_cancelled =
	    atomic_load(&sks_task_current()->cancelled);
	sks_call_finish(call);
}

static void
leave_handler(const struct outer *outer, const struct sks_call *call)
{
	struct sks_task *task = sks_task_current();

	if (sks_container_of(call, struct alone, call)->was_cancelled)
		atomic_store(&task->cancelled, 1);
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

/*
 * Runs all exchanges of the call, and finish. On a connection it waits for input between them.
 * Returns what handle has returned last.
 */
static int
exchange_all(struct sks_call *call)
{
	int rc, error;

	do {
		rc = sks_call_exchange(call);
		error = errno;
	} while (rc == SKS_KEEP && !call->datagram &&
	    (sks_call_is_fed(call) || (call->req.fd != -1 && sks_call_get_more(call))));
	finish(call);
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
	struct outer outer = enter_handler(call);
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
	leave_handler(&outer, call);
	free_call(call);
	errno = error;
	return rc == -1 ? -1 : 0;
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

/* Runs a handler on bytes. An error has no line in the log, as the caller learns it from errno. */
static int
handle_bytes(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, int is_datagram, const char *peer,
    const void *in, size_t n, char **out, size_t *out_len)
{
	struct sockaddr_storage address;
	struct sks_call *call;
	socklen_t len = 0;

	if (out != NULL)
		*out = NULL;
	if (out_len != NULL)
		*out_len = 0;
	if (peer != NULL && sks_address_parse(peer, &address, &len) == -1)
		return -1;
	call = new_call(handler, handler_size, options, options_size);
	if (call == NULL)
		return -1;
	if (call->service->options.on_error == NULL)
		call->service->options.on_error = keep_quiet;
	call->req.peer = (struct sockaddr *)&address;
	call->req.peer_len = len;
	call->datagram = is_datagram != 0;
	if (!is_datagram || cut_datagram(call, &n) == 0)
		return handle_in_memory(call, in, n, out, out_len);
	free_call(call);
	errno = EMSGSIZE;
	return -1;
}

int
sks_handle_bytes_with_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len)
{
	return handle_bytes(handler, handler_size, options, options_size, 0, peer, in, n, out,
	    out_len);
}

int
sks_handle_bytes_abi(const struct sks_handler *handler, size_t handler_size, const void *in,
    size_t n, char **out, size_t *out_len)
{
	return handle_bytes(handler, handler_size, NULL, 0, 0, NULL, in, n, out, out_len);
}

int
sks_handle_datagram_abi(const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size, const char *peer, const void *in,
    size_t n, char **out, size_t *out_len)
{
	return handle_bytes(handler, handler_size, options, options_size, 1, peer, in, n, out,
	    out_len);
}

/* Sends what is left, and ends the connection in an orderly way. rc is what handle has returned. */
static int
end_connection(struct sks_call *call, int rc)
{
	struct sks_rfile *r = call->req.rfile;
	struct sks_wfile *w = call->req.wfile;
	int error = errno, linger_ms = call->service->options.linger_ms;

	if (sks_flush(w) == -1 && rc != -1 && !call->aborted) {
		rc = -1;
		error = errno;
		sks_call_end_by(call, error);
	}
	if (w->error == 0 && r->error == 0) {
		sks_transport_say_end_waiting(r->tr, sks_clock_after(linger_ms));
		if (!sks_eof(r))
			sks_linger(r->tr, linger_ms);
	}
	errno = error;
	return rc;
}

/* Ties streams to the connection for its exchanges. 0 or -1. */
static int
serve(struct sks_call *call, struct sks_transport *tr)
{
	struct sks_service *service = call->service;
	struct sks_rfile r;
	struct sks_wfile w;
	struct outer outer = enter_handler(call);
	int rc = SKS_KEEP, error;

	sks_rfile_init(&r, tr, &service->times, &service->times, service->options.max_line);
	sks_wfile_init(&w, tr, &service->times, &service->times, service->options.max_output);
	r.ahead.most = service->options.max_input;
	r.ahead.log = &service->shared->errors;
	r.peer_wfile = &w;
	w.peer_rfile = &r;
	call->req.rfile = &r;
	call->req.wfile = &w;
	if (!service->handler.client_first || sks_call_get_more(call))
		rc = exchange_all(call);
	else
		finish(call);
	rc = end_connection(call, rc);
	error = errno;
	sks_rfile_restore(&r);
	sks_rfile_close(&r);
	sks_wfile_close(&w);
	call->req.rfile = NULL;
	call->req.wfile = NULL;
	leave_handler(&outer, call);
	errno = error;
	return rc == -1 ? -1 : 0;
}

/* Serves the connection to its end. 0 or -1; fd stays open. */
static int
serve_connection(struct sks_call *call, int fd)
{
	struct sks_transport tr = { .ops = &sks_plain_transport, .fd = fd, .flow = call->flow };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int rc, error;

	if (sks_sys_getpeername(fd, (struct sockaddr *)&peer, &len) == -1) {
		if (errno != ENOTCONN)
			return -1;
		len = 0; /* the peer has gone already, which a read will find out */
	}
	if (sks_transport_set_nonblocking(fd) == -1)
		return -1;
	call->req.fd = fd;
	call->req.peer = (struct sockaddr *)&peer;
	call->req.peer_len = len;
	rc = serve(call, &tr);
	error = errno;
	sks_transport_end(&tr);
	sks_hook_end(NULL, call);
	errno = error;
	return rc;
}

int
sks_serve_fd_abi(int fd, const struct sks_handler *handler, size_t handler_size,
    const struct sks_options *options, size_t options_size)
{
	struct sks_call *call;
	int rc = -1, error;

	sks_stderr_spare(fd);
	call = new_call(handler, handler_size, options, options_size);
	if (call != NULL)
		rc = serve_connection(call, fd);
	error = errno;
	if (call != NULL)
		free_call(call);
	sks_sys_close(fd);
	errno = error;
	return rc;
}
