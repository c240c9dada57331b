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
 * have children too, and SIGCHLD is left alone. A pidfd makes the end of a child
 * an event, but costs more than the rest of what the parent does for it, but
 * the fork. So the young ones have none: they are asked whether they have ended
 * when the next request comes, and by a timer. Who has outlived two looks of that
 * timer gets one, and all do while somebody waits for their place.
 *
 * What a fork costs is pages: each that the child, or the parent while a child
 * lives, writes for the first time is copied, and each 64 KiB of code that the
 * child runs are mapped again. So neither allocates for a request where memory
 * is there, and what the child can do without, of libc too, it does not call.
 */
#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/sys.h"
#include "loop/wait.h"
#include "server/executor.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define IS_ALONE __libc_single_threaded
#else
#define IS_ALONE 0
#endif

#define LOOK_MS 50
#define CHILDREN_FEW 64
#define ALIVE_MOST 2 /* children that are asked in vain */
#define CONNS_MOST 64 /* to keep memory for */
#define PAGE 4096     /* the smallest there are; a larger one holds as much */

/* A child. All of them lie together: see spare.h. */
struct sks_process {
	struct sks_list link; /* unseen or watched; or spare */
	struct sks_call *call;
	pid_t pid;
	int is_old;           /* it was there at an earlier look */
};

/* At call->room: what is needed of a child that is watched. */
struct sks_process_watch {
	struct sks_watch watch; /* its end, on pidfd */
	int pidfd;
	struct sks_process *child;
};

/* In one page: what the parent writes between two forks. */
struct process_executor {
	struct sks_executor base;
	int drain_fd; /* an eventfd that all children have: readable when the server is leaving */
	struct sks_cancel cancel; /* ends the waits of all children, whatever they did to signals */
	struct sks_list unseen;  /* children without a pidfd; the last one looked at is the last */
	struct sks_list watched; /* those with one */
	struct sks_list spare;
	struct sks_process few[CHILDREN_FEW];
	struct event look;      /* whether they have ended */
	int is_tidying;
	uint64_t suspects;      /* signals that the host may catch */
	uint64_t suspected_in;  /* as was found out in this batch */
	/* Here to be used by the child. */
	struct sks_cancel stop;
	struct sks_buf_pool *bufs; /* two: for its input, and its output */
};

static_assert(sizeof(struct process_executor) <= PAGE, "struct process_executor is in one page");

/* -- in the child -- */

/* Of this process's one request. Set by the parent: for all children of a server once. */
static struct sks_cancel *stop;

/* Without a descriptor for it, stopping is ending. */
static void
on_stop_signal(int signo)
{
	int error = errno;
	pid_t process = getpid();

	if (sks_cancel_set(stop, 1) == -1) {
		signal(signo, SIG_DFL);
		raise(signo);
	}
	if (syscall(SYS_gettid) != process) /* a thread of the handler's: not the one that waits */
		syscall(SYS_tgkill, process, process, signo);
	errno = error;
}

/* One bit for each signal. */
#define ALL_SIGNALS (~UINT64_C(0))
#define BIT_OF(signo) (UINT64_C(1) << ((signo)-1))

static int
is_caught(int signo)
{
	struct sigaction action;

	return sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
	    action.sa_handler != SIG_IGN;
}

static void
reset_signals(const sigset_t *mask, uint64_t suspects)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	suspects &= ~(BIT_OF(SIGINT) | BIT_OF(SIGTERM) | BIT_OF(SIGHUP));
	for (; suspects != 0; suspects &= suspects - 1) {
		int signo = __builtin_ctzll(suspects) + 1;

		if (is_caught(signo))
			sigaction(signo, &action, NULL);
	}
	action.sa_handler = on_stop_signal;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

static int
rest(struct sks_executor *executor, int fd, int64_t deadline)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = pool->stop.fd, .events = POLLIN },
		{ .fd = pool->drain_fd, .events = POLLIN },
	};
	int n;

	do {
		n = sks_sys_poll(p, 3, sks_clock_left(deadline));
	} while ((n == -1 && errno == EINTR) || (n == 0 && sks_clock_left(deadline) != 0));
	return n > 0 && p[1].revents == 0 && p[2].revents == 0;
}

/* As __fpending(3) > 0, without the page of libc's code that it is in. */
static int
has_unwritten(const FILE *file)
{
#ifdef __GLIBC__
	return file->_IO_write_ptr > file->_IO_write_base || file->_mode > 0;
#else
	return __fpending((FILE *)file) > 0;
#endif
}

/* First of the atexit functions, so that none of the host's runs. */
static void
leave(int status, void *arg)
{
	(void)arg;
	if (has_unwritten(stdout))
		fflush(stdout);
	_exit(status);
}

static _Noreturn void
run_child(struct sks_executor *executor, struct sks_call *call, const sigset_t *mask)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct sks_task task;

	if (has_unwritten(stdout))
		__fpurge(stdout); /* unwritten bytes of the host */
	on_exit(leave, NULL);
	sks_task_init(&task);
	sks_task_now = &task;
	task.cancel = stop;
	task.name = call->service->handler.name;
	task.peer = call->req.peer;
	task.peer_len = call->req.peer_len;
	call->bufs = pool->bufs;
	if (executor->in_child != NULL)
		executor->in_child(executor->arg, call);
	reset_signals(mask, pool->suspects);
	sks_executor_run(call);
	leave(call->failed ? EXIT_FAILURE : EXIT_SUCCESS, NULL);
	abort();
}

/* -- in the parent -- */

static struct sks_process *
child_of(struct sks_list *link)
{
	return sks_list_entry(link, struct sks_process, link);
}

static void
tell_crash(const struct sks_call *call, int signo)
{
	char peer[SKS_ADDR_TEXT];

	sks_log_limited(&call->service->errors, SKS_LOG_LINES, "%s: %s: killed by signal %d (%s)",
	    call->service->handler.name, sks_peer(&call->req, peer, sizeof(peer)), signo,
	    strsignal(signo));
}

/* One more to spare: not taken before the fork, or in the child it would be lost. 0, or -1. */
static int
need_child(struct process_executor *pool)
{
	struct sks_process *child;

	if (!sks_list_empty(&pool->spare))
		return 0;
	child = sks_sys_malloc(sizeof(*child));
	if (child == NULL)
		return -1;
	sks_list_push(&pool->spare, &child->link);
	return 0;
}

static void
free_spare(struct process_executor *pool)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&pool->spare)) != NULL)
		if (child_of(link) < pool->few || child_of(link) >= pool->few + CHILDREN_FEW)
			sks_sys_free(child_of(link));
}

static void
child_ended(struct process_executor *pool, struct sks_process *child, const siginfo_t *info)
{
	struct sks_call *call = child->call;
	struct sks_process_watch *watched = call->room;

	if (watched->pidfd != -1) {
		sks_watch_close(&watched->watch);
		sks_sys_close(watched->pidfd);
	}
	sks_list_remove(&child->link);
	sks_list_push(&pool->spare, &child->link);
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
reap(struct process_executor *pool, struct sks_process *child, int options)
{
	siginfo_t info;
	int rc;

	do {
		info.si_pid = 0;
		rc = sks_sys_waitid(P_PID, (id_t)child->pid, &info, WEXITED | options);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0 && info.si_pid == 0)
		return 0;
	if (rc == -1) { /* ECHILD: the host ignores SIGCHLD, so nobody knows how it went */
		info.si_code = CLD_EXITED;
		info.si_status = 0;
	}
	child_ended(pool, child, &info);
	return 1;
}

static void
on_end(struct sks_watch *watch, int error)
{
	struct sks_process *child = sks_container_of(watch, struct sks_process_watch, watch)->child;

	(void)error;
	if (!reap(sks_container_of(child->call->executor, struct process_executor, base), child, WNOHANG))
		(void)sks_watch_expect(watch, on_end, SKS_NEVER); /* it is armed, so that holds */
}

/* Where its end is an event there is no need to look. */
static void
watch(struct process_executor *pool, struct sks_process *child)
{
	struct sks_process_watch *w = child->call->room;

	w->pidfd = sks_sys_pidfd_open(child->pid, 0);
	if (w->pidfd == -1)
		return;
	w->child = child;
	sks_watch_init(&w->watch, &pool->base.loop->watches, w->pidfd);
	if (sks_watch_expect(&w->watch, on_end, SKS_NEVER) == 0) {
		sks_list_remove(&child->link);
		sks_list_append(&pool->watched, &child->link);
		return;
	}
	sks_sys_close(w->pidfd);
	w->pidfd = -1;
}

static void
hurry(struct sks_executor *executor)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct sks_list *link, *after;

	sks_list_each (link, after, &pool->unseen)
		watch(pool, child_of(link));
}

/* What lived for so long may live on, and is worth a pidfd. An end may bring a new child, or a hurry. */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct process_executor *pool = arg;
	struct sks_list left;

	(void)fd;
	(void)what;
	sks_list_init(&left);
	sks_list_move_all(&left, &pool->unseen);
	while (!sks_list_empty(&left)) {
		struct sks_process *child = child_of(left.next);

		sks_list_remove(&child->link);
		sks_list_append(&pool->unseen, &child->link);
		if (reap(pool, child, WNOHANG))
			continue;
		if (child->is_old || pool->base.hasty)
			watch(pool, child);
		child->is_old = 1;
	}
	if (sks_list_empty(&pool->unseen))
		event_del(&pool->look);
}

/* At each request, for about one that has ended: those not looked at for long are the likely ones. */
static void
tidy(struct sks_executor *executor)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct sks_list *first_alive = NULL, *link;
	int alive = 0;

	if (pool->is_tidying) /* an end makes room, and the question for room comes here again */
		return;
	pool->is_tidying = 1;
	while (alive < ALIVE_MOST && (link = pool->unseen.next) != &pool->unseen &&
	    link != first_alive) {
		if (reap(pool, child_of(link), WNOHANG))
			continue;
		sks_list_remove(link);
		sks_list_append(&pool->unseen, link);
		if (alive++ == 0)
			first_alive = link;
	}
	pool->is_tidying = 0;
}

/*
 * Before the fork, as a child that nobody looks after would keep its place for
 * ever. It stays for the next ones, and is gone once they all have been seen.
 */
static int
look_soon(struct process_executor *pool)
{
	return event_pending(&pool->look, EV_TIMEOUT, NULL) ? 0 : sks_loop_add(&pool->look, LOOK_MS);
}

/*
 * Of 64 signals hardly one is caught, and to ask for each would be most of a
 * child's start. So the parent asks once for each batch, as nobody can change the
 * answer in it. Where there are other threads somebody can; then the child asks.
 */
static void
find_suspects(struct process_executor *pool)
{
	int signo;

	if (pool->base.batch != 0 && pool->suspected_in == pool->base.batch)
		return;
	pool->suspected_in = 0;
	pool->suspects = ALL_SIGNALS;
	if (!IS_ALONE)
		return;
	for (signo = 1; signo < NSIG; signo++)
		if (!is_caught(signo))
			pool->suspects &= ~BIT_OF(signo);
	pool->suspected_in = pool->base.batch;
}

static int
start(struct sks_executor *executor, struct sks_call *call, int now)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	struct sks_process *child;
	sigset_t all, old;
	pid_t pid;
	int error;

	(void)now;
	if (look_soon(pool) == -1 || need_child(pool) == -1)
		return -1;
	if (stop != &pool->stop)
		stop = &pool->stop;
	((struct sks_process_watch *)call->room)->pidfd = -1;
	find_suspects(pool);
	(void)sks_errno_at();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = sks_sys_fork();
	if (pid == 0)
		run_child(executor, call, &old);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid == -1) {
		errno = error;
		return -1;
	}
	child = child_of(sks_list_pop(&pool->spare));
	child->call = call;
	child->pid = pid;
	child->is_old = 0;
	sks_list_append(&pool->unseen, &child->link);
	if (executor->hasty || call->service->shared->draining)
		watch(pool, child);
	if (call->ops->handed_over != NULL)
		call->ops->handed_over(call);
	return 0;
}

static void
signal_children(struct sks_list *children, int signo)
{
	struct sks_list *link, *after;

	sks_list_each (link, after, children)
		kill(child_of(link)->pid, signo);
}

static void
signal_all(struct sks_executor *executor, int signo)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);

	signal_children(&pool->unseen, signo);
	signal_children(&pool->watched, signo);
}

static void
drain(struct sks_executor *executor)
{
	static const uint64_t one = 1;

	(void)!write(sks_container_of(executor, struct process_executor, base)->drain_fd, &one,
	    sizeof(one));
	hurry(executor);
}

static void
reset(struct sks_executor *executor)
{
	uint64_t count;

	(void)!read(sks_container_of(executor, struct process_executor, base)->drain_fd, &count,
	    sizeof(count));
	sks_cancel_set(&sks_container_of(executor, struct process_executor, base)->cancel, 0);
}

/* The signal is for those that do not wait, or not for the library. */
static void
cancel(struct sks_executor *executor)
{
	sks_cancel_set(&sks_container_of(executor, struct process_executor, base)->cancel, 1);
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
	struct sks_list *some = sks_list_empty(&pool->unseen) ? &pool->watched : &pool->unseen;

	reap(pool, child_of(some->next), 0);
}

static void
free_executor(struct sks_executor *executor)
{
	struct process_executor *pool = sks_container_of(executor, struct process_executor, base);
	int i;

	event_del(&pool->look);
	free_spare(pool);
	for (i = 0; i < 2 && pool->bufs != NULL; i++)
		sks_buf_pool_drain(&pool->bufs[i]);
	sks_sys_free(pool->bufs);
	if (pool->drain_fd != -1)
		sks_sys_close(pool->drain_fd);
	if (pool->cancel.fd != -1)
		sks_sys_close(pool->cancel.fd);
	if (pool->stop.fd != -1)
		sks_sys_close(pool->stop.fd);
	sks_sys_free(pool);
}

static const struct sks_executor_ops process_ops = {
	.start = start,
	.tidy = tidy,
	.hurry = hurry,
	.drain = drain,
	.cancel = cancel,
	.kill = kill_children,
	.reset = reset,
	.abort = kill_children,
	.await = await,
	.rest = rest,
	.free = free_executor,
};

/*
 * Memory for the child's streams. Where malloc(3) goes on behind the pools, what
 * a short request and its answer take is in the same page.
 */
static int
stock(struct process_executor *pool)
{
	pool->bufs = sks_sys_memalign(PAGE, 2 * sizeof(*pool->bufs));
	if (pool->bufs == NULL)
		return -1;
	memset(pool->bufs, 0, 2 * sizeof(*pool->bufs));
	sks_buf_pool_stock(&pool->bufs[1], SKS_BUF_MIDDLE);
	sks_buf_pool_stock(&pool->bufs[0], SKS_BUF_LARGE);
	return 0;
}

struct sks_executor *
sks_process_executor_new(struct sks_loop *loop, const struct sks_service *service)
{
	struct process_executor *pool = sks_sys_memalign(PAGE, sizeof(*pool));
	size_t i;

	if (pool == NULL)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	sks_executor_init(&pool->base, &process_ops, loop, service);
	pool->base.is_resident = 1;
	pool->base.room = sizeof(struct sks_process_watch);
	pool->base.conns.most = CONNS_MOST;
	sks_list_init(&pool->unseen);
	sks_list_init(&pool->watched);
	sks_list_init(&pool->spare);
	for (i = 0; i < CHILDREN_FEW; i++)
		sks_list_append(&pool->spare, &pool->few[i].link);
	event_assign(&pool->look, loop->base, -1, EV_PERSIST, on_look, pool);
	pool->drain_fd = sks_sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pool->stop.fd = -1;
	if (sks_cancel_init(&pool->cancel) == -1 || sks_cancel_init(&pool->stop) == -1 ||
	    pool->drain_fd == -1 || stock(pool) == -1) {
		int error = errno;

		free_executor(&pool->base);
		errno = error;
		return NULL;
	}
	pool->stop.up = &pool->cancel;
	pool->stop.lent = 1;
	return &pool->base;
}
