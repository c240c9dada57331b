/* SPDX-License-Identifier: MIT */
/*
 * A shutdown that is waited for.
 */
#include "server/server.h"

#include <errno.h>
#include <string.h>

/*
 * The caller is what the end of the run would wait for, or a callback of the host's base,
 * which libevent refuses to run in itself.
 */
static int
would_deadlock(const struct sks_server *server)
{
	const struct sks_loop *first = sks_server_first(server)->loop;

	return sks_worker_is_here(&server->service) ||
	    (sks_loop_is_here(first) &&
		(server->dispatching || sks_task_current()->fiber != NULL ||
		    event_base_loop(first->base, EVLOOP_NONBLOCK) == -1));
}

/* Under the lock: of several limits the shortest counts. */
static void
ask_for(struct sks_server *server, int ms)
{
	int asked = atomic_load(&server->drain_ms);

	if (ms == SKS_DEFAULT)
		ms = server->service.options.drain_ms;
	if (asked == SKS_DEFAULT || asked == SKS_OFF || (ms != SKS_OFF && ms < asked))
		atomic_store(&server->drain_ms, ms);
}

/*
 * Asks for the shutdown. Returns 0 when the run after `before` others has ended meanwhile: then it
 * would be the end of the next one. A run ends under the lock.
 */
static int
shut_down(struct sks_server *server, unsigned int before, int deadline_ms)
{
	int is_running;

	pthread_mutex_lock(&server->runs.lock);
	is_running = server->state != SKS_IDLE && server->runs.n == before;
	if (is_running) {
		ask_for(server, deadline_ms);
		sks_server_shutdown(server);
	}
	pthread_mutex_unlock(&server->runs.lock);
	return is_running;
}

static int
drain_here(struct sks_server *server, unsigned int before, int deadline_ms,
    struct sks_drain_report *report, size_t size)
{
	if (shut_down(server, before, deadline_ms))
		(void)sks_server_dispatch(server);
	return sks_runs_read(&server->runs, report, size);
}

/* On another thread, for which sks_server_free() waits from here on. */
static int
drain_there(struct sks_server *server, int deadline_ms, struct sks_drain_report *report,
    size_t size)
{
	unsigned int before = sks_runs_enter(&server->runs);

	if (shut_down(server, before, deadline_ms))
		sks_runs_wait(&server->runs, before);
	return sks_runs_leave(&server->runs, report, size);
}

int
sks_server_drain_abi(struct sks_server *server, int deadline_ms, struct sks_drain_report *report,
    size_t size)
{
	unsigned int before;
	int error, here;

	if (deadline_ms < 0 && deadline_ms != SKS_OFF && deadline_ms != SKS_DEFAULT) {
		errno = EINVAL;
		return -1;
	}
	if (sks_server_is_copy(server)) { /* it has never run */
		if (report != NULL)
			memset(report, 0, size);
		return 0;
	}
	if (server->state == SKS_IDLE) {
		(void)sks_runs_read(&server->runs, report, size);
		return 0;
	}
	here = sks_loop_is_here(sks_server_first(server)->loop);
	before = here ? server->runs.n : 0; /* would_deadlock() turns the base: the run may end */
	if (would_deadlock(server)) {
		errno = EDEADLK;
		return -1;
	}
	if (here)
		error = drain_here(server, before, deadline_ms, report, size);
	else
		error = drain_there(server, deadline_ms, report, size);
	errno = error;
	return error == 0 ? 0 : -1;
}
