/* SPDX-License-Identifier: MIT */
/*
 * Calls in forked processes: for handlers that may crash, and for code that is
 * not safe beside other code. This is the parent's side; process_child.c has
 * the child's. A child serves its connection alone to the end.
 *
 * The parent reaps by pid and only its own children: the host may have children
 * too, and SIGCHLD is left alone. A pidfd makes the end of a child an event of
 * the loop. Descriptors are scarce, however, and a connection needs one before
 * it can have a child. So pidfds take at most three quarters of the descriptors
 * that the process may have. The children beyond them, and those for which
 * pidfd_open(2) fails, have none: a timer asks for them by waitid(2).
 *
 * What a connection costs is mostly pages: each one that the parent or the child writes to after
 * the fork is copied. So the parent has memory ready for the streams of a child, which uses its
 * copy of the loop's idle memory; malloc(3) in the child would walk through the heap. With that
 * a connection has 41 page faults instead of 52 and takes 1.74 times the CPU time of a bare fork
 * instead of 1.93: `sh tests/bench/run.sh --modes --only processes BUILD_DIR`.
 */
#include "base/fork.h"
#include "base/sys.h"
#include "loop/cancel.h"
#include "loop/wait.h"
#include "server/executor.h"
#include "server/outcome.h"
#include "server/process_child.h"
#include "stream/tls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define ASK_MS 50 /* between two looks at the children without a pidfd */

/* A child process, in the parent. */
struct sks_process {
	struct sks_call *call;
	pid_t pid;
	int pidfd;              /* -1: none, the timer asks */
	struct sks_outcome *outcome; /* what the child tells */
	struct sks_watch watch; /* of pidfd, which is readable when the child has ended */
};

struct process_executor {
	struct sks_executor base;
	struct sks_cancel draining; /* ends the waits of children between two exchanges */
	struct sks_cancel cancel;   /* ends the waits of all, also where signals are blocked */
	struct sks_cancel closing;  /* ends the waits of those whose handler is through */
	unsigned int ended_well;  /* children that are known to have left with 0 */
	struct event ask;         /* the timer */
	struct sks_outcomes outcomes;
};

static struct process_executor *
pool_of(struct sks_executor *executor)
{
	return sks_container_of(executor, struct process_executor, base);
}

static struct sks_process *
process_of(struct sks_list *link)
{
	return sks_list_entry(link, struct sks_call, link)->process;
}

/* -- the end of a child -- */

static void
free_process(struct process_executor *pool, struct sks_process *process)
{
	process->call->peer_wait = NULL; /* it was the outcome's */
	sks_outcome_give_back(&pool->outcomes, process->outcome);
	sks_sys_free(process);
}

static void
report_crash(const struct sks_call *call, int signo)
{
	struct sks_log_origin origin = sks_call_origin(call);

	sks_log_limited(&call->service->shared->errors, SKS_LOG_LINES,
	    &origin, SKS_LOG_ERROR, 0, "killed by signal %d (%s)", signo, strsignal(signo));
}

static void
report_loss(const struct sks_call *call)
{
	struct sks_log_origin origin = sks_call_origin(call);

	sks_log_limited(&call->service->shared->errors, SKS_LOG_LINES,
	    &origin, SKS_LOG_ERROR, 0,
	    "its process has failed or was killed (how is lost, as SIGCHLD is ignored)");
}

static void
stop_watching(struct sks_process *process)
{
	if (process->pidfd == -1)
		return;
	sks_watch_close(&process->watch);
	sks_sys_close(process->pidfd);
	process->pidfd = -1;
}

/*
 * When the host ignores SIGCHLD the kernel forgets how a child ended. Then the children say it:
 * each that leaves with 0 adds one to shared->ended_well. Where that is more than the parent has
 * counted, this one has ended well. Which of two children that end at once it was does not matter,
 * as only their number is reported.
 */
static void
guess_status(const struct sks_call *call, siginfo_t *info)
{
	struct process_executor *pool = pool_of(call->executor);

	info->si_code = CLD_EXITED;
	info->si_status = atomic_load(&call->service->shared->ended_well) == pool->ended_well;
	if (info->si_status != 0)
		report_loss(call);
}

static void
process_ended(struct sks_process *process, const siginfo_t *info)
{
	struct sks_call *call = process->call;
	int is_well = info->si_code == CLD_EXITED && info->si_status == 0;

	stop_watching(process);
	sks_outcome_hear(process->outcome, call, is_well);
	free_process(pool_of(call->executor), process);
	if (info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED)
		report_crash(call, info->si_status);
	if (!is_well) {
		call->failed = 1;
		sks_count(call->service, failed, 1);
	} else
		pool_of(call->executor)->ended_well++;
	sks_executor_done(call);
}

/* Options are those of waitid(2): WNOHANG, or 0 to wait. 1: the child has ended, and is gone. */
static int
reap(struct sks_process *process, int options)
{
	siginfo_t info;
	int rc;

	do {
		info.si_pid = 0;
		rc = sks_sys_waitid(P_PID, (id_t)process->pid, &info, WEXITED | options);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0 && info.si_pid == 0)
		return 0;
	if (rc == -1) /* ECHILD */
		guess_status(process->call, &info);
	process_ended(process, &info);
	return 1;
}

/* -- how the parent learns of it -- */

static void
on_readable(struct sks_watch *watch, enum sks_watch_event event)
{
	struct sks_process *process = sks_container_of(watch, struct sks_process, watch);

	(void)event;
	if (!reap(process, WNOHANG))
		(void)sks_watch_expect(watch, on_readable, SKS_NEVER); /* armed: it cannot fail */
}

/* Descriptors have the lowest free number: returns 1 when with this one only a quarter is left. */
static int
is_scarce(int fd)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY &&
	    (rlim_t)fd >= files.rlim_cur - files.rlim_cur / 4;
}

/* Where that is impossible the process has no pidfd afterwards. */
static void
watch(struct sks_process *process)
{
	process->pidfd = sks_sys_pidfd_open(process->pid, 0);
	if (process->pidfd == -1)
		return;
	sks_watch_init(&process->watch, &process->call->executor->loop->watches, process->pidfd);
	if (is_scarce(process->pidfd) ||
	    sks_watch_expect(&process->watch, on_readable, SKS_NEVER) == -1)
		stop_watching(process);
}

/* Returns 1 while a child has no pidfd. */
static int
has_unwatched(struct process_executor *pool)
{
	sks_list_each (link, &pool->base.active)
		if (process_of(link)->pidfd == -1)
			return 1;
	return 0;
}

static void
on_ask(evutil_socket_t fd, short what, void *arg)
{
	struct process_executor *pool = arg;

	(void)fd;
	(void)what;
	if (sks_loop_refuse_copy(pool->base.loop))
		return;
	sks_list_each (link, &pool->base.active)
		if (process_of(link)->pidfd == -1)
			(void)reap(process_of(link), WNOHANG);
	/*
	 * To reap a child may begin another call, so the children that are left are counted last.
	 */
	if (!has_unwatched(pool))
		event_del(&pool->ask);
}

/* The timer goes on until no child is without a pidfd. 0, or -1: no memory for it. */
static int
ask_soon(struct process_executor *pool)
{
	return event_pending(&pool->ask, EV_TIMEOUT, NULL) ? 0 : sks_event_add(&pool->ask, ASK_MS);
}

/* -- the operations -- */

static _Noreturn void
run_child(struct process_executor *pool, struct sks_call *call, struct sks_outcome *outcome,
    const sigset_t *mask)
{
	struct sks_task task;

	sks_fork_is_ours();
	pool->base.in_child(pool->base.arg, call);
	atomic_store(&outcome->has_left, 1);
	sks_tls_stop_looking(call->service->options.tls);
	sks_process_child_begin(&task, &pool->cancel, mask, &call->service->shared->ended_well);
	task.bufs = &pool->base.loop->bufs; /* the child's copy */
	task.origin = sks_call_origin(call);
	sks_executor_run(call, call->ops->run_resident);
	if (sks_process_child_is_own())
		sks_outcome_tell(outcome, call);
	sks_process_child_leave(call->failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static pid_t
fork_child(struct process_executor *pool, struct sks_call *call, struct sks_outcome *outcome)
{
	sigset_t all, old;
	pid_t pid;
	int error;

	sks_buf_pool_stock(&pool->base.loop->bufs, SKS_BUF_LARGE);
	sks_buf_pool_stock(&pool->base.loop->bufs, SKS_BUF_MIDDLE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = sks_sys_fork();
	if (pid == 0)
		run_child(pool, call, outcome, &old);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return pid;
}

/* A child that was not started yet. NULL: ENOMEM. */
static struct sks_process *
new_process(struct process_executor *pool, struct sks_call *call)
{
	struct sks_process *process = sks_sys_calloc(1, sizeof(*process));

	if (process == NULL)
		return NULL;
	process->call = call;
	process->outcome = sks_outcome_take(&pool->outcomes);
	if (process->outcome != NULL) {
		call->peer_wait = &process->outcome->peer_wait;
		return process;
	}
	sks_sys_free(process);
	errno = ENOMEM;
	return NULL;
}

/* The timer comes before the fork: without it the end of a child might never be noticed. */
static int
start(struct sks_executor *executor, struct sks_call *call)
{
	struct process_executor *pool = pool_of(executor);
	struct sks_process *process;
	int error;

	if (ask_soon(pool) == -1 || (process = new_process(pool, call)) == NULL)
		return -1;
	sks_tls_look_at_files(call->service->options.tls);
	process->pid = fork_child(pool, call, process->outcome);
	if (process->pid == -1) {
		error = errno;
		free_process(pool, process);
		errno = error;
		return -1;
	}
	call->process = process;
	watch(process);
	if (call->ops->handed_over != NULL)
		call->ops->handed_over(call);
	return 0;
}

static int
has_copies(const struct sks_executor *executor)
{
	sks_list_each (link, &executor->active)
		if (!atomic_load(&process_of(link)->outcome->has_left))
			return 1;
	return 0;
}

static void
reset(struct sks_executor *executor)
{
	struct process_executor *pool = pool_of(executor);

	sks_cancel_set(&pool->draining, 0);
	sks_cancel_set(&pool->cancel, 0);
	sks_cancel_set(&pool->closing, 0);
}

static void
signal_all(struct sks_executor *executor, int signo)
{
	sks_list_each (link, &executor->active)
		kill(process_of(link)->pid, signo);
}

static void
note_killed(struct sks_executor *executor)
{
	sks_list_each (link, &executor->active)
		sks_call_stop(sks_list_entry(link, struct sks_call, link), SKS_STOP_KILLED);
}

static void
stop(struct sks_executor *executor, enum sks_executor_stop how)
{
	struct process_executor *pool = pool_of(executor);

	switch (how) {
	case SKS_EXECUTOR_DRAIN:
		sks_cancel_set(&pool->draining, 1);
		break;
	case SKS_EXECUTOR_CANCEL:
		sks_cancel_set(&pool->cancel, 1);
		signal_all(executor, SIGTERM); /* for handlers that wait outside of the library */
		break;
	case SKS_EXECUTOR_CLOSE:
		sks_cancel_set(&pool->closing, 1);
		break;
	case SKS_EXECUTOR_KILL:
	case SKS_EXECUTOR_ABORT:
		note_killed(executor);
		signal_all(executor, SIGKILL);
		break;
	}
}

/* SIGTERM cancels its task, as process_child.c says. */
static void
evict(struct sks_executor *executor, struct sks_call *call)
{
	(void)executor;
	kill(call->process->pid, SIGTERM);
}

static void
await(struct sks_executor *executor)
{
	reap(process_of(executor->active.next), 0);
}

static void
forget(struct sks_executor *executor)
{
	sks_list_each (link, &executor->active) {
		struct sks_process *process = process_of(link);

		if (process == NULL) /* the host forked on another thread while this one started */
			continue;
		stop_watching(process);
		free_process(pool_of(executor), process);
	}
}

static void
free_executor(struct sks_executor *executor)
{
	struct process_executor *pool = pool_of(executor);

	sks_event_end(&pool->ask);
	sks_outcomes_free(&pool->outcomes);
	sks_cancel_end(&pool->draining);
	sks_cancel_end(&pool->cancel);
	sks_cancel_end(&pool->closing);
	sks_sys_free(pool);
}

static const struct sks_executor_ops process_ops = {
	.start = start,
	.stop = stop,
	.evict = evict,
	.reset = reset,
	.await = await,
	.has_copies = has_copies,
	.forget = forget,
	.free = free_executor,
};

struct sks_executor *
sks_process_executor_new(struct sks_loop *loop, const struct sks_service *service)
{
	struct process_executor *pool = sks_sys_calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	sks_log_share();
	sks_executor_init(&pool->base, &process_ops, loop, service);
	sks_event_assign(&pool->ask, loop->base, -1, EV_PERSIST, on_ask, pool);
	pool->base.draining = &pool->draining;
	pool->base.closing = &pool->closing;
	pool->draining.fd = pool->cancel.fd = pool->closing.fd = -1;
	if (sks_cancel_init(&pool->draining) == 0 && sks_cancel_init(&pool->cancel) == 0 &&
	    sks_cancel_init(&pool->closing) == 0)
		return &pool->base;
	sks_executor_free(&pool->base);
	return NULL;
}
