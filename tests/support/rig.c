/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "base/sys.h"
#include "base/util.h"
#include "base/tools.h"
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* -- fibers on a loop of their own -- */

struct start {
	struct rig_loop *rig;
	void (*run)(void *);
	void *arg;
};

static _Thread_local struct rig_loop *here;

struct rig_loop *
rig_here(void)
{
	return here;
}

static void
run_fiber(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	start.run(start.arg);
	if (--start.rig->live == 0)
		sks_loop_stop(start.rig->loop);
}

void
rig_loop_open(struct rig_loop *rig)
{
	*rig = (struct rig_loop){ .loop = sks_loop_new(NULL), .pool = sks_fiber_pool_new(0) };
	ck_assert(rig->loop != NULL && rig->pool != NULL);
	sks_loop_enter(rig->loop);
	ck_assert_int_eq(sks_loop_open(rig->loop), 0);
	here = rig;
}

void
rig_loop_close(struct rig_loop *rig)
{
	here = NULL;
	sks_fiber_pool_free(rig->pool);
	sks_loop_free(rig->loop);
}

struct sks_task *
rig_go(struct rig_loop *rig, void (*run)(void *), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	struct sks_fiber *fiber;

	ck_assert_ptr_nonnull(start);
	*start = (struct start){ rig, run, arg };
	fiber = sks_fiber_start(rig->pool, run_fiber, start);
	ck_assert_ptr_nonnull(fiber);
	fiber->task.loop = rig->loop;
	rig->live++;
	sks_loop_ready(rig->loop, &fiber->task);
	return &fiber->task;
}

void
rig_run(struct rig_loop *rig)
{
	ck_assert_int_eq(sks_loop_run(rig->loop), 0);
	ck_assert_int_eq(rig->live, 0);
}

void
rig_run_on(int fiber, void (*run)(void *), void *arg)
{
	struct rig_loop rig;

	if (!fiber) {
		run(arg);
		return;
	}
	rig_loop_open(&rig);
	rig_go(&rig, run, arg);
	rig_run(&rig);
	rig_loop_close(&rig);
}

const char *
rig_name_of_task(int fiber)
{
	return fiber ? "fiber" : "thread";
}

/* -- a connection's streams -- */

static void
attach(struct rig_link *link, const struct sks_transport_ops *ops)
{
	link->times = (struct sks_times){ .idle_ms = -1, .read_ms = -1, .write_ms = -1 };
	link->tr = (struct sks_transport){ .ops = ops, .fd = link->fd };
	if (here != NULL) {
		sks_watch_init(&link->watch, &here->loop->watches, link->fd);
	}
	sks_rfile_init(&link->r, &link->tr, &link->times, &link->times, 8192);
	sks_wfile_init(&link->w, &link->tr, &link->times, &link->times, 65536);
	link->r.peer_wfile = &link->w;
	link->w.peer_rfile = &link->r;
	if (here != NULL)
		link->r.watch = &link->watch;
	if (here != NULL)
		link->r.pool = link->w.pool = &here->loop->bufs;
}

void
rig_link_open_on(struct rig_link *link, const struct sks_transport_ops *ops)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*link = (struct rig_link){ .fd = fds[0], .peer = fds[1] };
	attach(link, ops);
	if (ops != &sks_plain_transport)
		ck_assert_int_eq(send(link->peer, "x", 1, 0), 1);
}

void
rig_link_open(struct rig_link *link)
{
	rig_link_open_on(link, &sks_plain_transport);
}

void
rig_link_open_tcp(struct rig_link *link)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*link = (struct rig_link){ .fd = -1 };
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	link->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(link->peer, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(fcntl(link->peer, F_SETFL, O_NONBLOCK), 0);
	link->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ne(link->fd, -1);
	close(listener);
	attach(link, &sks_plain_transport);
}

void
rig_link_close(struct rig_link *link)
{
	sks_rfile_restore(&link->r);
	sks_rfile_close(&link->r);
	sks_wfile_close(&link->w);
	if (link->r.watch != NULL)
		sks_watch_close(&link->watch);
	close(link->fd);
	if (link->peer != -1)
		close(link->peer);
}

void
rig_say(struct rig_link *link, const void *bytes, size_t n)
{
	ck_assert_int_eq(send(link->peer, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

size_t
rig_hear(struct rig_link *link, void *buf, size_t n)
{
	ssize_t got = recv(link->peer, buf, n, MSG_DONTWAIT);

	return got > 0 ? (size_t)got : 0;
}

int64_t
rig_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
