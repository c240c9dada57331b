/* SPDX-License-Identifier: MIT */
/*
 * The accept loop. The library has its own, as libevent's evconnlistener spins and logs
 * without end when descriptors run out.
 *
 * It takes at most 16 connections a turn, so that a flood of them does not keep the others
 * waiting. When descriptors or memory run out the listener pauses and tries
 * again with a growing delay, at the latest after 100 ms; the kernel's queue
 * holds the clients meanwhile. Where the server has a text for those it rejects, a client for
 * which there is no descriptor gets it, by means of one that is held in reserve. Errors of one
 * connection are passed over, those of the listener itself stop it.
 *
 * A server that stops for good closes its listeners, so that newcomers learn it at once.
 * A client in the kernel's queue is connected already, and close(2) would reset it. So the
 * queue is served first, and accept4(2), saying that it is empty, is the last call before
 * close(2). No call starts meanwhile: clients that are served may come again, and with enough
 * of them the queue would not be empty before the time of the drain is over. A listener is
 * closed, and never shut down by shutdown(2): other processes may have it too, and go on
 * accepting.
 */
#include "server/accept.h"

#include "base/log.h"
#include "base/sys.h"
#include "server/connection.h"
#include "server/datagram.h"
#include "server/eviction.h"
#include "server/socket_file.h"

#include <errno.h>
#include <poll.h>

#define BATCH 16
#define BATCH_AT_THE_END 4096 /* net.core.somaxconn: mostly the whole queue */
#define SETTLE_MS 1 /* until a child has closed its copies */
#define BACKOFF_FIRST_MS 10
#define BACKOFF_MOST_MS 100

enum verdict { PASS_OVER, PAUSE, STOP };

static enum verdict
judge(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return PAUSE;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
	case EFAULT:
		return STOP;
	default: /* ECONNABORTED, EPROTO, EPERM, ENETDOWN, ...: this one client's */
		return PASS_OVER;
	}
}

int
sks_listener_is_finishing(const struct sks_listener *l)
{
	return l->end == SKS_LISTENER_ENDS && !l->dead;
}

/* Calls are held while a listener that ends takes what is in its queue, but not while it pauses. */
static void
hold_calls(struct sks_worker *worker)
{
	int is_held = 0;

	sks_list_each (link, &worker->listeners)
		if (sks_listener_is_finishing(sks_listener_of(link)) && sks_listener_of(link)->armed)
			is_held = 1;
	sks_executor_hold(worker->executor, is_held);
}

void
sks_listener_stop(struct sks_listener *l)
{
	if (l->armed)
		event_del(&l->ev);
	event_del(&l->retry);
	l->backoff_ms = 0;
	l->armed = 0;
	if (l->end != SKS_LISTENER_STAYS)
		hold_calls(l->worker);
}

/* A listener that ends is looked at right away: with an empty queue there would be no event. */
static void
empty_queue(struct sks_listener *l)
{
	event_active(&l->ev, EV_READ, 0);
	hold_calls(l->worker);
}

static int
arm(struct sks_listener *l)
{
	if (sks_event_add(&l->ev, -1) == -1)
		return -1;
	l->armed = 1;
	if (l->end == SKS_LISTENER_ENDS)
		empty_queue(l);
	return 0;
}

static void
back_off(struct sks_listener *l, int error)
{
	int ms = l->backoff_ms == 0 ? BACKOFF_FIRST_MS : l->backoff_ms * 2;

	sks_log_limited(&l->log, 1, NULL, SKS_LOG_ERROR, error, "%s: %m; trying again soon",
	    l->type == SOCK_STREAM ? "accept" : "receive");
	if ((error == EMFILE || error == ENFILE) && sks_accept_may_evict(l))
		sks_accept_free_descriptor(l);
	sks_listener_stop(l);
	sks_admission_wait(l->admission); /* the end of a request may free what has run out */
	l->backoff_ms = ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : ms;
	if (sks_event_add(&l->retry, l->backoff_ms) == 0)
		return;
	/* Without memory for the timer the listener stays armed, though it may spin. */
	l->backoff_ms = 0;
	if (arm(l) == -1)
		sks_loop_wake(l->worker->loop); /* the server tries again at each wake-up */
}

static void
give_up(struct sks_listener *l, int error)
{
	sks_listener_stop(l);
	l->dead = 1;
	sks_log_about(NULL, SKS_LOG_ERROR, error, "listener %d: %m", l->fd);
	sks_admission_lose_listener(l->admission, error);
}

/*
 * A child process that was just forked still has the listener. To close it here would not
 * close it: newcomers would go on to connect, and be reset by that child's close(2).
 */
static int
is_copied(const struct sks_listener *l)
{
	return sks_executor_has_copies(l->worker->executor);
}

/* Notes that the kernel's queue is empty. */
static void
note_empty(struct sks_listener *l)
{
	if (l->end != SKS_LISTENER_ENDS)
		return;
	if (!is_copied(l))
		l->end = SKS_LISTENER_SERVED;
	else if (sks_event_add(&l->retry, SETTLE_MS) == -1)
		sks_loop_wake(l->worker->loop);
}

/* A server that stops has no request left, the end of which would free a descriptor. */
static int
is_hopeless(const struct sks_listener *l)
{
	const struct sks_shared *shared = l->worker->service->shared;

	return atomic_load(&shared->draining) && atomic_load(&shared->places) == 0;
}

/*
 * Without a free descriptor accept4(2) does not look whether a client waits. Returns 1 when a
 * listener that ends need not wait for a descriptor: no client waits, or no request is left that
 * could free one.
 */
static int
ends_without(struct sks_listener *l, int error)
{
	if (l->end != SKS_LISTENER_ENDS || (error != EMFILE && error != ENFILE))
		return 0;
	if (!sks_accept_is_wanted(l)) {
		note_empty(l);
		return 1;
	}
	if (!is_hopeless(l))
		return 0;
	sks_accept_log_left(l, error);
	l->end = SKS_LISTENER_SERVED;
	return 1;
}

static void
on_error(struct sks_listener *l, int error)
{
	switch (judge(error)) {
	case PASS_OVER:
		sks_count(l->worker->service, refused, 1);
		break;
	case PAUSE:
		back_off(l, error);
		break;
	case STOP:
		give_up(l, error);
		break;
	}
}

/*
 * NULL: it has to pause. Where the executor is full a request waits in the kernel's queue, but
 * for that of a listener that ends: it waits for its turn here, so that the listener can be closed.
 */
static struct sks_worker *
find_worker(struct sks_listener *l)
{
	int needs_task = l->end == SKS_LISTENER_STAYS &&
	    (l->type == SOCK_DGRAM || !l->service->handler.client_first);

	return sks_admission_find_worker(l->admission, l->keeps ? l->worker : NULL, needs_task);
}

/* All is well again. A reserve that others have used up meanwhile is made anew. */
static void
end_backoff(struct sks_listener *l)
{
	l->backoff_ms = 0;
	if (sks_service_answers_rejected(l->worker->service))
		sks_reserve_refill(&l->worker->reserve);
}

/* Takes one client or datagram, or passes it over. 1, or 0: there is no more now. */
static int
take_connection(struct sks_listener *l, struct sks_worker *worker)
{
	struct sks_newcomer client;
	int error;

	if (!sks_admission_claim(l->admission, l->worker))
		return 0;
	if (sks_accept_newcomer(l, &client, &error) == -1) {
		if (sks_accept_reject(l, &error))
			return 1;
		sks_admission_unclaim(l->admission, l->worker);
		if (error == EAGAIN) {
			note_empty(l);
			return 0;
		}
		if (ends_without(l, error))
			return 0;
		if (error != EINTR)
			on_error(l, error);
		return l->armed;
	}
	if (l->backoff_ms != 0)
		end_backoff(l);
	sks_worker_take(worker);
	sks_connection_open(worker, &client);
	return 1;
}

static int
take_datagram(struct sks_listener *l, struct sks_worker *worker)
{
	const struct sks_datagram_socket from = { .loop = l->worker->loop, .service = l->service,
		.address = l->entry.address, .fd = l->fd, .lost = &l->lost };
	int rc, error;

	if (!sks_admission_claim(l->admission, l->worker))
		return 0;
	rc = sks_datagram_receive(&from, worker);
	error = errno;
	if (rc != 1)
		sks_admission_unclaim(l->admission, l->worker);
	if (rc == -1) {
		if (judge(error) == PAUSE)
			back_off(l, error);
		else
			give_up(l, error);
		return 0;
	}
	if (rc == 0)
		note_empty(l);
	else
		l->backoff_ms = 0;
	return rc;
}

/*
 * There is no worker for the next one. 1: there may be one now. Where nobody waits, a listener
 * that may evict stays armed, so that it learns of the next client; one that ends has taken all.
 */
static int
make_room(struct sks_listener *l)
{
	if (!sks_accept_is_wanted(l)) {
		note_empty(l);
		return 0;
	}
	if (sks_accept_evict(l))
		return 1;
	sks_listener_stop(l);
	sks_evict_look_again(l->worker);
	return 0;
}

static void
pause_until_room(struct sks_listener *l)
{
	if (sks_memory_is_full(l->service->memory))
		sks_log_limited(&l->log, 1, NULL, SKS_LOG_WARN, 0, "accept: max_memory is reached");
	sks_listener_stop(l);
	sks_accept_look_for_memory(l);
}

static int
take_one(struct sks_listener *l)
{
	struct sks_worker *worker = find_worker(l);

	if (worker == NULL) {
		if (sks_accept_may_evict(l) && !sks_memory_is_full(l->service->memory))
			return make_room(l);
		pause_until_room(l);
		return 0;
	}
	return l->type == SOCK_STREAM ? take_connection(l, worker) : take_datagram(l, worker);
}

void
sks_listener_end(struct sks_listener *l)
{
	sks_listener_stop(l);
	if (!l->dead)
		sks_admission_end_listener(l->admission);
	l->dead = 1;
	if (l->type != SOCK_STREAM)
		return;
	sks_listener_shut(l);
	if (!is_copied(l)) {
		sks_socket_file_remove(l->file);
		l->file = NULL;
	}
}

/*
 * Another process may shut the socket down by shutdown(2). A Unix or a datagram socket can be read
 * from then on, without an error and with nothing to take.
 */
static int
was_shut_down(const struct sks_listener *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN | POLLRDHUP };

	return sks_sys_poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP)) != 0;
}

static void
take_some(struct sks_listener *l)
{
	int n, most = l->end == SKS_LISTENER_ENDS ? BATCH_AT_THE_END : BATCH;

	l->is_taking = 1;
	for (n = 0; n < most && l->armed && take_one(l); n++)
		;
	l->is_taking = 0;
	if (n == 0 && l->armed && l->end == SKS_LISTENER_STAYS && was_shut_down(l))
		give_up(l, EINVAL);
	if (l->end != SKS_LISTENER_SERVED)
		return;
	sks_listener_end(l);
	sks_loop_wake(l->worker->loop); /* perhaps the server waits for nothing else */
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct sks_listener *l = arg;

	(void)fd;
	(void)what;
	if (!sks_loop_refuse_copy(l->worker->loop))
		take_some(l);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct sks_listener *l = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(l->worker->loop))
		return;
	if (l->armed) /* a child had to settle */
		event_active(&l->ev, EV_READ, 0);
	else if (arm(l) == -1)
		back_off(l, errno);
}

void
sks_accept_attach(struct sks_listener *l, struct sks_worker *worker,
    struct sks_admission *admission)
{
	l->worker = worker;
	l->admission = admission;
	l->keeps = l->shares_port && worker->service->options.workers > 1;
	sks_event_assign(&l->ev, worker->loop->base, l->fd, EV_READ | EV_PERSIST, on_input, l);
	sks_event_assign(&l->retry, worker->loop->base, -1, 0, on_retry, l);
	if (!l->dead)
		atomic_fetch_add(&admission->alive, 1);
}

void
sks_accept_detach(struct sks_listener *l)
{
	sks_event_end(&l->ev);
	sks_event_end(&l->retry);
	l->armed = l->backoff_ms = 0;
	l->end = SKS_LISTENER_STAYS;
	if (!l->dead)
		atomic_fetch_sub(&l->admission->alive, 1);
}

int
sks_listener_start(struct sks_listener *l)
{
	if (l->armed || l->dead)
		return 0;
	if (find_worker(l) == NULL &&
	    (!sks_accept_may_evict(l) || sks_evict_is_to_look(l->worker))) {
		sks_accept_look_for_memory(l);
		return 0;
	}
	sks_listener_stop(l); /* a retry that is due later */
	return arm(l);
}

void
sks_listener_finish(struct sks_listener *l)
{
	if (l->dead || l->end != SKS_LISTENER_STAYS)
		return;
	l->end = SKS_LISTENER_ENDS;
	if (l->armed)
		empty_queue(l);
	else if (sks_listener_start(l) == -1)
		back_off(l, errno);
}
