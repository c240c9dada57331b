/* SPDX-License-Identifier: MIT */
/*
 * The child's side of processes mode.
 *
 * A child is a copy of the whole process, and most of it is not its own. It must not touch the
 * loop: parent and child have one epoll set, so an event that the child added or deleted would
 * be added or deleted in the parent, too. The child waits by poll(2), as a thread does.
 *
 * Signals that the host catches get their defaults: the host's signal handlers know nothing of
 * a child. Each child asks for all 64, a twentieth of the CPU time of a connection: a list that
 * the parent kept would be wrong as soon as a hook or another thread catches one more. SIGINT,
 * SIGTERM and SIGHUP cancel the task instead: the signal handler makes an eventfd readable that
 * every wait of the task polls.
 *
 * The child leaves by _exit(2), also when the handler calls exit(3) or quick_exit(3): the functions
 * that the host has registered for its end, and the text in its stdio buffers, are the host's.
 */
#include "server/process_child.h"

#include "base/clock.h"
#include "base/fork.h"
#include "base/sys.h"
#include "loop/cancel.h"
#include "loop/wait.h"

#include <stdio.h>
#include <stdio_ext.h>

/* Cancels the one task of this process. */
static struct sks_cancel stop;

static const struct sks_peer_wait *_Atomic last_wait; /* NULL: the handler is not through */

static atomic_uint *well; /* counts the children that leave with 0 */

static unsigned int forks; /* sks_forks of this process; one that the handler forks has more */

/* Once the handler is through, only an eviction ends the waits for the peer. */
static void
on_stop_signal(int signo)
{
	const struct sks_peer_wait *wait = last_wait;

	(void)signo;
	if (wait == NULL || sks_peer_wait_is_evicted(wait))
		sks_cancel_set(&stop, 1);
}

/* Without a descriptor to end the waits by, a signal to stop ends the process. */
static void
set_stop_signals(int has_stop)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = has_stop ? on_stop_signal : SIG_DFL }, before;
	size_t i;

	/*
	 * A signal that the host ignores stays ignored, but for the one that its own server sends.
	 */
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &before) == 0 &&
		    (before.sa_handler != SIG_IGN || signals[i] == SIGTERM))
			sigaction(signals[i], &action, NULL);
}

static void
reset_signals(int has_stop, const sigset_t *mask)
{
	struct sigaction action;
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		if (sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
		    action.sa_handler != SIG_IGN)
			signal(signo, SIG_DFL);
	set_stop_signals(has_stop);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

int
sks_process_child_is_own(void)
{
	return forks == sks_forks;
}

void
sks_process_child_leave(int status)
{
	if (__fpending(stdout) > 0)
		fflush(stdout);
	if (status == 0 && sks_process_child_is_own())
		atomic_fetch_add(well, 1);
	_exit(status);
}

/*
 * A function of at_quick_exit(3) does not learn the status, and a handler that leaves so has
 * failed.
 */
static void
leave_at_quick_exit(void)
{
	_exit(EXIT_FAILURE);
}

/*
 * Has exit(3) and quick_exit(3) end this process at once: what is registered last is run first, so
 * it runs before the functions of the host, and it does not return.
 */
#ifdef SKS_HAVE_ON_EXIT
static void
leave_at_exit(int status, void *arg)
{
	(void)arg;
	sks_process_child_leave(status);
}

static void
catch_exit(void)
{
	on_exit(leave_at_exit, NULL);
}
#else
/* musl: a function of atexit(3) does not learn the status, and a handler that leaves has failed. */
static void
leave_at_exit(void)
{
	sks_process_child_leave(EXIT_FAILURE);
}

static void
catch_exit(void)
{
	atexit(leave_at_exit);
}
#endif

void
sks_process_child_begin(struct sks_task *task, const struct sks_cancel *cancel_all,
    const sigset_t *mask, atomic_uint *ended_well)
{
	int has_stop = sks_cancel_init(&stop) == 0;

	well = ended_well;
	forks = sks_forks;
	if (__fpending(stdout) > 0) /* or stdout and its lock would be two pages to copy */
		__fpurge(stdout);   /* the host writes its text itself */
	catch_exit();
	at_quick_exit(leave_at_quick_exit);
	stop.up = cancel_all;
	sks_task_init(task);
	task->cancel = &stop;
	sks_task_now = task;
	reset_signals(has_stop, mask);
}

void
sks_process_child_end_handler(struct sks_task *task, const struct sks_cancel *closing,
    const struct sks_peer_wait *wait)
{
	last_wait = wait;
	sks_cancel_set(&stop, 0);
	stop.up = closing;
	task->cancel = &stop;
	if (sks_peer_wait_is_evicted(wait)) /* its signal may have come before */
		sks_cancel_set(&stop, 1);
}

int
sks_process_child_is_here(void)
{
	return well != NULL;
}

int
sks_process_child_rest(int fd, int drain_fd, int64_t deadline)
{
	struct pollfd p[2 + SKS_CANCEL_MOST] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = drain_fd, .events = POLLIN },
	};

	return sks_wait_thread_set(p, 2, deadline) > 0 && p[0].revents != 0;
}
