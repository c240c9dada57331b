/* SPDX-License-Identifier: MIT */
/*
 * Calls in forked processes: for handlers that may crash, and for code that is
 * not safe beside other code.
 *
 * The child is a copy of everything, and most of it is not its own. It must
 * not touch the loop: the epoll set is shared with the parent, so an event
 * added or deleted here would be one there. It waits by poll(2) and serves
 * its connection alone to the end. Signals the host catches are put back to
 * their defaults, except those that ask it to stop, which cancel its request.
 * It leaves by _exit(2), also when the handler calls exit(3): the host's
 * atexit functions and unwritten stdio are the host's.
 *
 * The parent reaps by pid, one child at a time and only its own: the host may
 * have children too. A pidfd makes the end of a child an event; where there
 * is none to be had a timer looks instead. SIGCHLD is left alone.
 */
#include "base/addr.h"
#include "base/clock.h"
#include "base/sys.h"
#include "io/wait.h"
#include "server/executor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 50

struct process_executor {
	struct sks_executor base;
	int drain_fd; /* an eventfd that all children have: readable when the server is leaving */
	struct sks_list children;
};

struct child {
	struct sks_list link;
	struct process_executor *pool;
	struct sks_call *call;
	struct event ev;   /* its end, on pidfd */
	struct event look; /* or a look whether it has ended */
	pid_t pid;
	int pidfd;
};

/* -- in the child -- */

static struct sks_cancel stop; /* of this process's one request */

static void
on_stop_signal(int signo)
{
	(void)signo;
	sks_cancel_set(&stop, 1);
}

static void
reset_signals(const sigset_t *mask)
{
	struct sigaction action;
	int signo, rc;

	rc = sks_cancel_init(&stop);
	for (signo = 1; signo < NSIG; signo++) {
		if (sigaction(signo, NULL, &action) == -1 || action.sa_handler == SIG_DFL ||
		    action.sa_handler == SIG_IGN)
			continue;
		action = (struct sigaction){ .sa_handler = SIG_DFL };
		sigaction(signo, &action, NULL);
	}
	action = (struct sigaction){ .sa_handler = on_stop_signal };
	if (rc == 0) { /* without a descriptor for it, stopping is ending */
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGHUP, &action, NULL);
	}
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

static int
rest(struct sks_executor *executor, int fd, int64_t deadline)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = stop.fd, .events = POLLIN },
		{ .fd = pool->drain_fd, .events = POLLIN },
	};
	int n;

	do {
		n = sks_sys_poll(p, 3, sks_clock_left(deadline));
	} while ((n == -1 && errno == EINTR) || (n == 0 && sks_clock_left(deadline) != 0));
	return n > 0 && p[1].revents == 0 && p[2].revents == 0;
}

/* First of the atexit functions, so that none of the host's runs. */
static void
leave(int status, void *arg)
{
	(void)arg;
	fflush(stdout);
	_exit(status);
}

static _Noreturn void
run_child(struct sks_executor *executor, struct sks_call *call, const sigset_t *mask)
{
	struct sks_task *task = sks_task_current();

	__fpurge(stdout); /* unwritten bytes of the host */
	on_exit(leave, NULL);
	sks_task_init(task);
	task->cancel = &stop;
	task->name = call->service->handler.name;
	task->peer = call->req.peer;
	task->peer_len = call->req.peer_len;
	if (executor->in_child != NULL)
		executor->in_child(executor->arg, call);
	reset_signals(mask);
	if (stop.fd == -1)
		task->cancel = NULL;
	sks_executor_run(call);
	leave(call->failed ? EXIT_FAILURE : EXIT_SUCCESS, NULL);
	abort();
}

/* -- in the parent -- */

static void
tell_crash(const struct sks_call *call, int signo)
{
	char peer[SKS_ADDR_TEXT];

	sks_log_limited(&call->service->errors, 10, "%s: %s: killed by signal %d (%s)",
	    call->service->handler.name, sks_peer(&call->req, peer, sizeof(peer)), signo,
	    strsignal(signo));
}

static void
child_ended(struct child *child, const siginfo_t *info)
{
	struct sks_call *call = child->call;

	event_del(&child->look);
	if (child->pidfd != -1) {
		event_del(&child->ev);
		sks_sys_close(child->pidfd);
	}
	sks_list_remove(&child->link);
	sks_sys_free(child);
	if (info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED)
		tell_crash(call, info->si_status);
	if (info->si_code != CLD_EXITED || info->si_status != 0) {
		call->failed = 1;
		sks_count(&call->service->failed, 1);
	}
	sks_executor_done(call);
}

/* 1: it has ended. */
static int
reap(struct child *child, int options)
{
	siginfo_t info = { 0 };
	int rc;

	do {
		rc = sks_sys_waitid(P_PID, (id_t)child->pid, &info, WEXITED | options);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0 && info.si_pid == 0)
		return 0;
	if (rc == -1) { /* ECHILD: the host ignores SIGCHLD, so nobody knows how it went */
		info.si_code = CLD_EXITED;
		info.si_status = 0;
	}
	child_ended(child, &info);
	return 1;
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reap(arg, WNOHANG);
}

/* Before the fork: a child that nobody looks after would keep its place for ever. */
static int
look_now_and_then(struct child *child)
{
	event_assign(&child->look, child->pool->base.loop->base, -1, EV_PERSIST, on_end, child);
	return sks_loop_add(&child->look, LOOK_MS);
}

/* Where its end is an event there is no need to look. */
static void
watch(struct child *child)
{
	child->pidfd = sks_sys_pidfd_open(child->pid, 0);
	if (child->pidfd == -1)
		return;
	event_assign(&child->ev, child->pool->base.loop->base, child->pidfd, EV_READ | EV_PERSIST,
	    on_end, child);
	if (sks_loop_add(&child->ev, -1) == 0) {
		event_del(&child->look);
		return;
	}
	sks_sys_close(child->pidfd);
	child->pidfd = -1;
}

static int
start(struct sks_executor *executor, struct sks_call *call, int now)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct child *child = sks_sys_calloc(1, sizeof(*child));
	sigset_t all, old;
	int error;

	(void)now;
	if (child == NULL)
		return -1;
	child->pool = pool;
	child->call = call;
	if (look_now_and_then(child) == -1) {
		error = errno;
		sks_sys_free(child);
		errno = error;
		return -1;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	child->pid = sks_sys_fork();
	if (child->pid == 0)
		run_child(executor, call, &old);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (child->pid == -1) {
		event_del(&child->look);
		sks_sys_free(child);
		errno = error;
		return -1;
	}
	sks_list_append(&pool->children, &child->link);
	watch(child);
	if (call->ops->handed_over != NULL)
		call->ops->handed_over(call);
	return 0;
}

static void
signal_all(struct sks_executor *executor, int signo)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct sks_list *link, *after;

	sks_list_each (link, after, &pool->children)
		kill(sks_list_entry(link, struct child, link)->pid, signo);
}

static void
drain(struct sks_executor *executor)
{
	static const uint64_t one = 1;

	(void)!write(sks_container_of(executor, struct process_executor, base)->drain_fd, &one,
	    sizeof(one));
}

static void
reset(struct sks_executor *executor)
{
	uint64_t count;

	(void)!read(sks_container_of(executor, struct process_executor, base)->drain_fd, &count,
	    sizeof(count));
}

static void
cancel(struct sks_executor *executor)
{
	signal_all(executor, SIGTERM);
}

static void
kill_children(struct sks_executor *executor)
{
	signal_all(executor, SIGKILL);
}

static void
await(struct sks_executor *executor)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);

	reap(sks_list_entry(pool->children.next, struct child, link), 0);
}

static void
free_executor(struct sks_executor *executor)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);

	if (pool->drain_fd != -1)
		sks_sys_close(pool->drain_fd);
	sks_sys_free(pool);
}

static const struct sks_executor_ops process_ops = {
	.start = start,
	.drain = drain,
	.cancel = cancel,
	.kill = kill_children,
	.reset = reset,
	.abort = kill_children,
	.await = await,
	.rest = rest,
	.free = free_executor,
};

struct sks_executor *
sks_process_executor_new(struct sks_loop *loop, const struct sks_service *service)
{
	struct process_executor *pool = sks_sys_calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	sks_executor_init(&pool->base, &process_ops, loop, service);
	pool->base.is_resident = 1;
	sks_list_init(&pool->children);
	pool->drain_fd = sks_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->drain_fd == -1) {
		int error = errno;

		free_executor(&pool->base);
		errno = error;
		return NULL;
	}
	return &pool->base;
}
