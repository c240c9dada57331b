/* SPDX-License-Identifier: MIT */
/*
 * Connections: parked and run.
 *
 * The loop owns a connection except while its call runs on a task. So a
 * parked one has no task: the loop reads its first bytes itself and only then
 * asks for one; an end of input, an error or a time-out of a parked connection
 * never starts a handler, only finish, where there is one. A finished one has
 * none either (conn_end.c). Parked ones take part in the groups of loop/watch.c,
 * as fibers that wait do: the loop reads for all of a group before it runs any.
 *
 * Streams and their buffers are on the task's stack and exist during an
 * exchange; between exchanges only unread input is kept.
 */
#include "server/conn.h"

#include "base/clock.h"
#include "base/sys.h"
#include "loop/wait.h"
#include "server/connection.h"
#include "server/linger.h"

#include <errno.h>
#include <string.h>

/* -- on the task -- */

static void
attach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	struct sks_service *service = c->worker->service;
	struct sks_buf_pool *pool = sks_task_current()->fiber != NULL ? &c->worker->loop->bufs : NULL;

	sks_rfile_init(r, &c->transport, &c->times, &service->times, service->options.max_line);
	sks_wfile_init(w, &c->transport, &c->times, &service->times, service->options.max_output);
	r->pool = pool;
	w->pool = pool;
	r->twin = w;
	r->watch = &c->watch;
	r->buf = sks_connection_take_input(c);
	r->drained = sks_buf_length(&r->buf) > 0; /* the loop has just emptied the socket */
	w->keeps = w->pool == NULL;
	w->outbox = &c->outbox;
	c->call.req.rfile = r;
	c->call.req.wfile = w;
}

/* Leaves to the connection what outlives the exchange. */
static void
detach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	sks_rfile_restore(r);
	c->call.heard = sks_call_has_heard(&c->call) != 0;
	c->times = (struct sks_times){ r->idle_ms, r->read_ms, w->write_ms };
	c->eof |= r->eof && sks_buf_length(&r->buf) == 0;
	c->broken |= w->error != 0 || r->error != 0;
	sks_buf_shrink(&r->buf, r->pool);
	sks_connection_keep_input(c, &r->buf);
	sks_wfile_close(w);
	c->call.req.rfile = NULL;
	c->call.req.wfile = NULL;
}

/* A resident call is parked on its task: until the peer, or the server, wants something. */
static int
may_rest(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	struct sks_executor *executor = c->call.executor;

	if (r->eof)
		return 1;
	return sks_flush(w) == 0 &&
	    executor->ops->rest(executor, c->transport.fd, sks_clock_after(r->idle_ms));
}

/* May handle be called again at once? */
static int
goes_on(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	sks_rfile_restore(r);
	if (c->call.executor->is_resident) /* nobody else would wait for the peer */
		return sks_call_is_fed(&c->call) ||
		    (may_rest(c, r, w) && sks_call_gets_more(&c->call));
	return sks_call_is_fed(&c->call) && r->error == 0 && w->error == 0 &&
	    !sks_task_is_cancelled(sks_task_current()) && !sks_executor_is_contended(c->call.executor);
}

/* Is the handler through for now, and the connection to stay? Then its output is the loop's. */
static int
may_keep(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	int fed = sks_call_is_fed(&c->call);

	if (c->call.executor->is_resident || r->error != 0 ||
	    sks_task_is_cancelled(sks_task_current()) ||
	    (!fed && (r->eof || c->call.service->shared->draining)))
		return 0;
	return sks_connection_leave_output(c, w) == 0;
}

static void
run(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);
	_Alignas(64) struct sks_rfile r;
	_Alignas(64) struct sks_wfile w;
	int rc = SKS_DONE;

	attach(c, &r, &w);
	if (!c->only_finish && (!c->hungry || sks_call_gets_more(call))) {
		do {
			rc = sks_call_exchange(call);
		} while (rc == SKS_KEEP && goes_on(c, &r, &w));
	}
	c->hungry = sks_buf_length(&r.buf) > 0 && !sks_call_is_fed(call);
	c->kept = rc == SKS_KEEP && may_keep(c, &r, &w);
	if (!c->kept) {
		sks_call_finish(call);
		if (!c->broken && sks_connection_leave_output(c, &w) == -1 && !call->failed &&
		    !call->aborted)
			sks_call_log_lost(call, w.error);
	}
	if (call->executor->is_resident && r.error == 0 && w.error == 0 && !sks_eof(&r))
		sks_linger(&c->transport, call->service->options.linger_ms);
	detach(c, &r, &w);
}

/* -- between exchanges -- */

/* Is there input? 1, or as a read of it. */
static ssize_t
peek(struct sks_connection *c)
{
	char first;
	ssize_t n;

	do {
		n = sks_sys_recv(c->transport.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	return n;
}

/*
 * The first bytes; a resident call's task reads them itself, as memory would have to be copied.
 * 1: there is input, or none will come (eof, broken); 0: nothing has come.
 */
static int
receive(struct sks_connection *c)
{
	struct sks_buf_pool *pool = &c->worker->loop->bufs;
	struct sks_buf in = { 0 };
	ssize_t n = -1;

	if (c->worker->executor->is_resident)
		n = peek(c);
	else if (sks_buf_reserve(&in, pool, SKS_BUF_LARGE) == 0) {
		n = c->transport.ops->read(&c->transport, in.base, SKS_BUF_LARGE);
		if (n > 0) {
			in.end = (size_t)n;
			sks_connection_keep_input(c, &in);
			return 1;
		}
		sks_buf_release(&in, pool);
	}
	c->eof = n == 0;
	c->broken = n == -1 && errno != EAGAIN;
	return n >= 0 || c->broken;
}

/* The task adds to what it left. */
static int
has_left(const struct sks_connection *c)
{
	return c->in.end > c->in.start;
}

/* Before any of its group goes on: on_parked() finds in c what came of it. */
static void
read_ahead(struct sks_ahead *ahead)
{
	struct sks_connection *c = sks_container_of(ahead, struct sks_connection, ahead);

	sks_fetch(&c->call, 3);
	(void)receive(c);
}

static void
on_parked(struct sks_watch *watch, int error)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);

	if (error == 0 && !has_left(c) && !c->eof && !c->broken && !receive(c)) {
		if (sks_watch_expect(watch, on_parked, watch->deadline) == 0)
			return;
		c->broken = 1;
	}
	if (error != 0 || c->eof || c->broken) {
		sks_connection_end(c);
		return;
	}
	sks_connection_unpark(c);
	sks_connection_submit(c);
}

static void
park(struct sks_connection *c)
{
	sks_connection_move(c, &c->worker->parked);
	c->parked = 1;
	if (!has_left(c) && !c->worker->executor->is_resident)
		c->watch.ahead = &c->ahead;
	sks_count_alone(&c->worker->parked_count, 1);
	if (sks_watch_expect(&c->watch, on_parked, sks_clock_after(c->times.idle_ms)) == -1)
		sks_connection_end(c);
}

static void
ended(struct sks_call *call)
{
	struct sks_connection *c = sks_connection_of(call);

	if (call->start_error != 0) {
		sks_log_limited(&call->service->shared->errors, SKS_LOG_LINES, "%s: cannot run the handler: %s",
		    call->service->handler.name, strerror(call->start_error));
		if (call->set_up) { /* finish is owed; here, where it cannot wait */
			c->only_finish = 1;
			call->hurried = 1;
			run(call);
		} else
			c->refused = 1;
		c->broken = 1;
		sks_connection_close(c);
	} else if (call->executor->is_resident)
		sks_connection_close(c);
	else if (!c->kept)
		sks_connection_linger(c);
	else if (c->in.end > c->in.start && !c->hungry)
		sks_connection_submit(c);
	else if (call->service->shared->draining)
		sks_connection_end(c);
	else {
		if (!sks_outbox_is_empty(c->outbox))
			sks_outbox_send(c->outbox);
		park(c);
	}
}

static void
end_call(struct sks_call *call)
{
	sks_connection_end(sks_connection_of(call));
}

static void
close_call(struct sks_call *call)
{
	sks_connection_close(sks_connection_of(call));
}

static const struct sks_call_ops conn_ops = {
	.run = run,
	.ended = ended,
	.handed_over = sks_connection_hand_over,
	.end = end_call,
	.close = close_call,
};

/* -- from outside -- */

static struct sks_connection *
new_conn(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct sks_service *service = worker->service;
	size_t state_at = sks_connection_state_offset(service, len);
	struct sks_connection *c = sks_sys_calloc(1, state_at + service->handler.state_size);
	struct sks_request *req;

	if (c == NULL)
		return NULL;
	c->worker = worker;
	sks_list_init(&c->call.link);
	c->transport = (struct sks_transport){
		.ops = &sks_plain_transport,
		.traffic = &service->shared->traffic,
		.fd = fd,
	};
	c->times = service->times;
	sks_watch_init(&c->watch, &worker->loop->watches, fd);
	c->ahead.run = read_ahead;
	c->call.service = service;
	c->call.ops = &conn_ops;
	memcpy(c + 1, peer, len);
	req = &c->call.req;
	req->state = (char *)c + state_at;
	req->data = service->options.data;
	req->server = service->server;
	req->peer = (struct sockaddr *)(c + 1);
	req->peer_len = len;
	req->fd = fd;
	return c;
}

/* No memory for a connection. */
static void
refuse(struct sks_worker *worker, int fd)
{
	sks_count(worker->service, refused, 1);
	sks_log_limited(&worker->service->shared->errors, SKS_LOG_LINES, "%s: no memory for a connection",
	    worker->service->handler.name);
	sks_sys_close(fd);
	sks_worker_release(worker);
}

static void
open_here(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct sks_service *service = worker->service;
	struct sks_connection *c = new_conn(worker, fd, peer, len);

	if (c != NULL && sks_connection_is_threaded(c) && sks_connection_need_outbox(c) == NULL) {
		sks_connection_free(c);
		c = NULL;
	}
	sks_count_shared(service, accepted, 1);
	if (c == NULL) {
		refuse(worker, fd);
		return;
	}
	if (service->options.verify != NULL && !service->options.verify(&c->call.req)) {
		c->refused = 1;
		if (!c->call.aborted)
			sks_sys_shutdown(fd, SHUT_WR);
		sks_connection_close(c);
	} else if (service->handler.client_first && service->shared->draining)
		sks_connection_end(c);
	else if (service->handler.client_first && !(worker->executor->is_resident && peek(c) > 0))
		park(c);
	else
		sks_connection_submit(c); /* even if it spoke at once: forks cost more than a look */
}

/* On its way to the loop of another worker. */
struct arrival {
	struct sks_message message;
	struct sks_worker *worker;
	int fd;
	socklen_t len;
	struct sockaddr_storage peer;
};

static void
arrive(struct sks_message *message)
{
	struct arrival *a = sks_container_of(message, struct arrival, message);

	open_here(a->worker, a->fd, (struct sockaddr *)&a->peer, a->len);
	sks_sys_free(a);
}

void
sks_conn_open(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct arrival *a;

	if (sks_loop_is_here(worker->loop)) {
		open_here(worker, fd, peer, len);
		return;
	}
	a = sks_sys_malloc(sizeof(*a));
	if (a == NULL) {
		refuse(worker, fd);
		return;
	}
	a->message.run = arrive;
	a->worker = worker;
	a->fd = fd;
	a->len = (socklen_t)sks_min(len, sizeof(a->peer));
	memcpy(&a->peer, peer, a->len);
	sks_loop_post(worker->loop, &a->message);
}

static void
close_others(struct sks_list *state, const struct sks_connection *mine)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, state) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);
		struct sks_connection *c = sks_connection_of(call);

		if (call->datagram || c == mine || c->transport.fd == -1)
			continue;
		sks_sys_close(c->transport.fd);
	}
}

void
sks_conn_close_others(struct sks_worker *worker, const struct sks_call *call)
{
	const struct sks_connection *mine =
	    call->datagram ? NULL : sks_connection_of((struct sks_call *)call);

	close_others(&worker->parked, mine);
	close_others(&worker->executor->queue, mine);
	close_others(&worker->lingering, mine);
}

struct sks_outbox *
sks_conn_outbox(struct sks_call *call)
{
	return sks_connection_need_outbox(sks_connection_of(call));
}
