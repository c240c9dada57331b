/* SPDX-License-Identifier: MIT */
/*
 * Connections: parked, run, flushed, closed.
 *
 * The loop owns a connection except while its call runs on a task. So a
 * parked one has no task: the loop reads its first bytes itself and only then
 * asks for one; an end of input, an error or a time-out of a parked connection
 * never starts a handler, only finish, where there is one. And a finished one
 * has no task either: the loop sends what is left, shuts down its half, reads
 * the peer's rest for a while and closes. Closing at once would make the
 * kernel answer unread input with a reset, which can overtake the reply.
 *
 * Streams and their buffers are on the task's stack and exist during an
 * exchange; between exchanges only unread input is kept.
 */
#include "server/conn.h"

#include "base/clock.h"
#include "base/sys.h"
#include "io/blocking.h"
#include "io/stream.h"
#include "io/wait.h"
#include "server/linger.h"

#include <errno.h>
#include <string.h>

struct sks_connection {
	/* What each message touches, together. */
	struct sks_watch watch;
	struct sks_transport transport;
	struct sks_outbox *_Atomic outbox; /* made when the loop first has bytes to send */
	struct sks_call call;
	struct sks_worker *worker;
	struct {                      /* unread input between exchanges: a struct sks_buf, packed */
		unsigned char *base;
		uint32_t start, end, cap;
	} in;
	struct sks_times times;
	struct sks_blocking blocking; /* of its task, where that is a thread */
	int drained;                  /* bytes thrown away while lingering */
	/* Bytes, not bits: the task and the loop may be two threads, each writing its own. */
	unsigned char parked;
	unsigned char lingering;
	unsigned char flushing;    /* lingering, with output left */
	unsigned char kept;        /* the last exchange ended with SKS_KEEP */
	unsigned char hungry;      /* handle is not called before more input has come */
	unsigned char only_finish;
	unsigned char eof;         /* all input was read: no need to wait for the peer's end */
	unsigned char broken;      /* nothing can be delivered */
	unsigned char refused;
	unsigned char closed;      /* waits for its outbox's word only, then it is freed */
	/* the peer's address and the handler's state follow */
};

static struct sks_connection *
conn_of(struct sks_call *call)
{
	return sks_container_of(call, struct sks_connection, call);
}

/* Where the handler's state is, behind the peer's address. */
static size_t
state_offset(const struct sks_service *service, size_t peer_len)
{
	size_t align = service->handler.state_size > 0 ? _Alignof(max_align_t) : 1;

	return (sizeof(struct sks_connection) + peer_len + align - 1) / align * align;
}

static void
free_conn(struct sks_connection *c)
{
	const struct sks_service *service = c->worker->service;

	sks_outbox_free(c->outbox);
	sks_spare_put(&c->worker->conns, c,
	    state_offset(service, c->call.req.peer_len) + service->handler.state_size);
}

static void
move_to(struct sks_connection *c, struct sks_list *state)
{
	sks_list_remove(&c->call.link);
	sks_list_append(state, &c->call.link);
}

static void
leave_parked(struct sks_connection *c)
{
	sks_watch_forget(&c->watch);
	c->parked = 0;
	sks_count(&c->worker->service->parked, -1);
}

/* A line is never longer than 1 GiB, so 32 bits hold what was not read of one. */
static void
keep_input(struct sks_connection *c, struct sks_buf *buf)
{
	c->in.base = buf->base;
	c->in.start = (uint32_t)buf->start;
	c->in.end = (uint32_t)buf->end;
	c->in.cap = (uint32_t)buf->cap;
	*buf = (struct sks_buf){ 0 };
}

static struct sks_buf
take_input(struct sks_connection *c)
{
	struct sks_buf buf = { c->in.base, c->in.start, c->in.end, c->in.cap };

	c->in.base = NULL;
	c->in.start = c->in.end = c->in.cap = 0;
	return buf;
}

static void
drop_input(struct sks_connection *c)
{
	struct sks_buf buf = take_input(c);

	sks_buf_release(&buf, &c->worker->loop->bufs);
}

/* Lets go of the descriptor and all that is only for it; a child process may have it still. */
static void
let_go(struct sks_call *call)
{
	struct sks_connection *c = conn_of(call);

	sks_watch_close(&c->watch);
	sks_outbox_end(c->outbox);
	drop_input(c);
	if (c->transport.fd != -1)
		sks_sys_close(c->transport.fd);
	c->transport.fd = -1;
}

static void
close_now(struct sks_connection *c)
{
	struct sks_worker *worker = c->worker;

	if (c->parked)
		leave_parked(c);
	let_go(&c->call);
	sks_list_remove(&c->call.link);
	c->closed = 1;
	sks_count(c->refused ? &worker->service->refused : &worker->service->finished, 1);
	if (!sks_outbox_is_told(c->outbox))
		free_conn(c);
	sks_worker_release(worker);
}

/* -- lingering -- */

static void
close_lingering(struct sks_connection *c)
{
	sks_count(&c->worker->service->lingering, -1);
	close_now(c);
}

static void
on_drain(struct sks_watch *watch, int error)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);
	unsigned char *scratch = sks_loop_scratch(c->worker->loop);

	while (error == 0 && scratch != NULL && c->drained < SKS_LINGER_BYTES) {
		ssize_t n = sks_sys_recv(c->transport.fd, scratch, SKS_LOOP_SCRATCH, MSG_DONTWAIT);

		if (n > 0) {
			c->drained += (int)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN &&
		    sks_watch_expect(watch, on_drain, watch->deadline) == 0)
			return;
		break;
	}
	close_lingering(c);
}

static void
shut_down(struct sks_connection *c)
{
	struct sks_service *service = c->worker->service;

	c->flushing = 0;
	if (!c->broken && !c->eof) {
		c->transport.ops->shutdown(&c->transport);
		if (sks_watch_expect(&c->watch, on_drain,
			sks_clock_after(service->options.linger_ms)) == 0)
			return;
	}
	close_lingering(c);
}

/* The outbox is empty, or broken: of interest only to a connection that ends. */
static void
on_outbox_idle(void *arg)
{
	struct sks_connection *c = arg;
	int error;

	if (!c->flushing)
		return;
	error = sks_outbox_error(c->outbox);
	if (error != 0) {
		sks_call_log_lost(&c->call, error);
		c->broken = 1;
	}
	shut_down(c);
}

/* Do tasks run beside the loop? Then an outbox is there from the beginning. */
static int
is_threaded(const struct sks_connection *c)
{
	return c->worker->service->options.mode == SKS_THREADS;
}

/* Does its fiber send, or has it sent half a message? */
static int
is_amid_output(const struct sks_connection *c)
{
	const struct sks_wfile *w = c->call.req.wfile;

	return w != NULL && (w->busy || w->partial);
}

/* Somebody posts from elsewhere, or did so before it was closed. */
static void
on_word(struct sks_message *message)
{
	struct sks_outbox *box = sks_container_of(message, struct sks_outbox, word);
	struct sks_connection *c = box->arg;

	if (c->closed)
		free_conn(c);
	else
		sks_outbox_heard(box, !is_threaded(c) && !is_amid_output(c));
}

/*
 * On any thread. Another one than the loop's cannot know what its fiber does,
 * so there it is claimed at first, until the loop has looked.
 */
static struct sks_outbox *
need_outbox(struct sks_connection *c)
{
	struct sks_service *service = c->worker->service;
	struct sks_loop *loop = c->worker->loop;
	struct sks_outbox *there = atomic_load(&c->outbox), *box;
	int here = sks_loop_is_here(loop);

	if (there != NULL)
		return there;
	box = sks_outbox_new(loop, is_threaded(c) ? NULL : &loop->bufs, &c->transport,
	    service->options.timeout_ms, on_outbox_idle, c);
	if (box == NULL)
		return NULL;
	box->word.run = on_word;
	if (!here || is_amid_output(c))
		sks_outbox_claim(box);
	if (!atomic_compare_exchange_strong(&c->outbox, &there, box)) {
		sks_outbox_free(box);
		return there;
	}
	if (!here)
		sks_outbox_tell(box);
	return box;
}

/* The handler is through: from here on the loop brings the connection to its end. */
static void
linger(struct sks_connection *c)
{
	move_to(c, &c->worker->lingering);
	c->lingering = 1;
	sks_count(&c->worker->service->lingering, 1);
	drop_input(c);
	if (c->broken || sks_outbox_is_empty(c->outbox)) {
		shut_down(c);
		return;
	}
	c->flushing = 1;
	sks_outbox_release(c->outbox);
	sks_outbox_send(c->outbox);
}

/* -- on the task -- */

static void
attach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	struct sks_service *service = c->worker->service;
	struct sks_buf_pool *pool = sks_task_current()->fiber != NULL ? &c->worker->loop->bufs : NULL;
	int in_child = c->call.executor->is_resident && !c->call.hurried;

	sks_rfile_init(r, &c->transport, &c->times, &service->times, service->options.max_line);
	sks_wfile_init(w, &c->transport, &c->times, &service->times, service->options.max_output);
	r->pool = in_child ? &c->call.bufs[0] : pool;
	w->pool = in_child ? &c->call.bufs[1] : pool;
	r->blocks = is_threaded(c) ? 1 : 0;
	r->blocking = &c->blocking;
	r->twin = w;
	r->watch = &c->watch;
	r->buf = take_input(c);
	r->dry = sks_buf_length(&r->buf) > 0; /* the loop has just emptied the socket */
	w->keeps = w->pool == NULL;
	w->outbox = &c->outbox;
	c->call.req.rfile = r;
	c->call.req.wfile = w;
}

/* Sends what it can at once and leaves the rest to the loop. 0, or -1: some is lost. */
static int
leave_output(struct sks_connection *c, struct sks_wfile *w)
{
	if (sks_wfile_try_flush(w) == -1)
		return -1;
	if (sks_buf_length(&w->buf) == 0)
		return 0;
	if (c->call.executor->is_resident)
		return sks_flush(w);
	if (need_outbox(c) == NULL || sks_outbox_take(c->outbox, &w->buf, w->partial) == -1) {
		w->error = ENOMEM;
		return -1;
	}
	w->partial = 0;
	sks_outbox_release(c->outbox);
	return 0;
}

/* Leaves to the connection what outlives the exchange. */
static void
detach(struct sks_connection *c, struct sks_rfile *r, struct sks_wfile *w)
{
	sks_rfile_restore(r);
	c->times = (struct sks_times){ r->idle_ms, r->read_ms, w->write_ms };
	c->eof |= r->eof && sks_buf_length(&r->buf) == 0;
	c->broken |= w->error != 0 || r->error != 0;
	sks_buf_shrink(&r->buf, r->pool);
	keep_input(c, &r->buf);
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
	return !c->call.executor->is_resident && r->error == 0 &&
	    !sks_task_is_cancelled(sks_task_current()) &&
	    (sks_call_is_fed(&c->call) || (!r->eof && !c->call.service->shared->draining)) &&
	    leave_output(c, w) == 0;
}

static void
run(struct sks_call *call)
{
	struct sks_connection *c = conn_of(call);
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
		if (!c->broken && leave_output(c, &w) == -1 && !call->failed && !call->aborted)
			sks_call_log_lost(call, w.error);
	}
	if (call->executor->is_resident && r.error == 0 && w.error == 0 && !sks_eof(&r))
		sks_linger(&c->transport, call->service->options.linger_ms);
	detach(c, &r, &w);
}

/* -- between exchanges -- */

static void
submit(struct sks_connection *c)
{
	sks_list_remove(&c->call.link); /* the executor's from here on */
	sks_executor_submit(c->worker->executor, &c->call); /* c may be gone after this */
}

/* The peer is gone (eof, broken), or said nothing for too long, or the server stops. */
static void
end_parked(struct sks_connection *c)
{
	if (c->parked)
		leave_parked(c);
	if (sks_outbox_error(c->outbox) != 0)
		c->broken = 1;
	if (c->call.set_up && c->worker->service->handler.finish != NULL) {
		c->only_finish = 1;
		submit(c);
		return;
	}
	c->refused = !c->call.set_up;
	if (c->broken || sks_outbox_is_empty(c->outbox))
		close_now(c);
	else
		linger(c);
}

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

/* The first bytes; a resident call's task reads them itself, as memory would have to be copied. */
static ssize_t
receive(struct sks_connection *c)
{
	struct sks_buf in = { 0 };
	ssize_t n;

	if (c->worker->executor->is_resident)
		return peek(c);
	if (sks_buf_reserve(&in, &c->worker->loop->bufs, SKS_BUF_LARGE) == -1)
		return -1;
	n = c->transport.ops->read(&c->transport, in.base, SKS_BUF_LARGE);
	if (n > 0) {
		in.end = (size_t)n;
		keep_input(c, &in);
	} else
		sks_buf_release(&in, &c->worker->loop->bufs);
	return n;
}

static void
on_parked(struct sks_watch *watch, int error)
{
	struct sks_connection *c = sks_container_of(watch, struct sks_connection, watch);
	ssize_t n = -1;

	if (error == ETIMEDOUT) {
		end_parked(c);
		return;
	}
	if (error == 0) {
		n = c->in.end > c->in.start ? 1 : receive(c); /* the task adds to what it left */
		if (n > 0) {
			leave_parked(c);
			submit(c);
			return;
		}
		if (n == -1 && errno == EAGAIN &&
		    sks_watch_expect(watch, on_parked, watch->deadline) == 0)
			return;
	}
	c->eof = n == 0;
	c->broken = n == -1;
	end_parked(c);
}

static void
park(struct sks_connection *c)
{
	move_to(c, &c->worker->parked);
	c->parked = 1;
	sks_count(&c->worker->service->parked, 1);
	if (sks_watch_expect(&c->watch, on_parked, sks_clock_after(c->times.idle_ms)) == -1)
		end_parked(c);
}

static void
ended(struct sks_call *call)
{
	struct sks_connection *c = conn_of(call);

	if (c->transport.fd == -1) /* a child had it */
		close_now(c);
	else if (call->start_error != 0) {
		sks_log_limited(&call->service->errors, 10, "%s: cannot run the handler: %s",
		    call->service->handler.name, strerror(call->start_error));
		if (call->set_up) { /* finish is owed; here, where it cannot wait */
			c->only_finish = 1;
			call->hurried = 1;
			run(call);
		} else
			c->refused = 1;
		c->broken = 1;
		close_now(c);
	} else if (!c->kept)
		linger(c);
	else if (c->in.end > c->in.start && !c->hungry)
		submit(c);
	else if (call->service->shared->draining)
		end_parked(c);
	else {
		if (!sks_outbox_is_empty(c->outbox))
			sks_outbox_send(c->outbox);
		park(c);
	}
}

static void
interrupt(struct sks_call *call)
{
	struct sks_connection *c = conn_of(call);

	sks_blocking_interrupt(&c->blocking, &c->transport);
}

static const struct sks_call_ops conn_ops = {
	.run = run,
	.ended = ended,
	.interrupt = interrupt,
	.handed_over = let_go,
};

/* -- from outside -- */

static struct sks_connection *
new_conn(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct sks_service *service = worker->service;
	size_t state_at = state_offset(service, len);
	struct sks_connection *c = sks_spare_get(&worker->conns, state_at + service->handler.state_size);
	struct sks_request *req;

	if (c == NULL)
		return NULL;
	memset(c, 0, state_at + service->handler.state_size);
	c->worker = worker;
	sks_list_init(&c->call.link);
	c->transport = (struct sks_transport){
		.ops = &sks_plain_transport,
		.traffic = &service->shared->traffic,
		.fd = fd,
	};
	c->times = service->times;
	sks_watch_init(&c->watch, &worker->loop->watches, fd);
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
	sks_count(&worker->service->refused, 1);
	sks_log_limited(&worker->service->errors, 10, "%s: no memory for a connection",
	    worker->service->handler.name);
	sks_sys_close(fd);
	sks_worker_release(worker);
}

static void
open_here(struct sks_worker *worker, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct sks_service *service = worker->service;
	struct sks_connection *c = new_conn(worker, fd, peer, len);

	if (c != NULL && is_threaded(c) && need_outbox(c) == NULL) {
		free_conn(c);
		c = NULL;
	}
	sks_count(&service->accepted, 1);
	if (c == NULL) {
		refuse(worker, fd);
		return;
	}
	if (service->options.verify != NULL && !service->options.verify(&c->call.req)) {
		c->refused = 1;
		if (!c->call.aborted)
			sks_sys_shutdown(fd, SHUT_WR);
		close_now(c);
	} else if (service->handler.client_first && service->shared->draining)
		end_parked(c);
	else if (service->handler.client_first && !(worker->executor->is_resident && peek(c) > 0))
		park(c);
	else
		submit(c); /* also for a client that spoke at once: a fork costs more than a look */
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

void
sks_conn_end_parked(struct sks_worker *worker)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&worker->parked)) != NULL)
		end_parked(conn_of(sks_list_entry(link, struct sks_call, link)));
}

void
sks_conn_end_queued(struct sks_call *call)
{
	end_parked(conn_of(call));
}

static void
close_others(struct sks_list *state, const struct sks_connection *mine)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, state) {
		struct sks_call *call = sks_list_entry(link, struct sks_call, link);

		if (call->datagram || conn_of(call) == mine || conn_of(call)->transport.fd == -1)
			continue;
		sks_sys_close(conn_of(call)->transport.fd);
	}
}

void
sks_conn_close_others(struct sks_worker *worker, const struct sks_call *call)
{
	const struct sks_connection *mine = call->datagram ? NULL : conn_of((struct sks_call *)call);

	close_others(&worker->parked, mine);
	close_others(&worker->executor->queue, mine);
	close_others(&worker->executor->active, mine);
	close_others(&worker->lingering, mine);
}

void
sks_conn_abort_idle(struct sks_worker *worker)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&worker->parked)) != NULL)
		close_now(conn_of(sks_list_entry(link, struct sks_call, link)));
	while ((link = sks_list_pop(&worker->lingering)) != NULL)
		close_lingering(conn_of(sks_list_entry(link, struct sks_call, link)));
}

struct sks_outbox *
sks_conn_outbox(struct sks_call *call)
{
	return need_outbox(conn_of(call));
}
