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
	int i;

	for (i = 1; i < server->service.options.workers; i++)
		if (server->workers[i].has_thread && sks_loop_is_here(server->workers[i].loop))
			return 1;
	return sks_loop_is_here(first) &&
	    (server->dispatching || sks_task_current()->fiber != NULL ||
		event_base_loop(first->base, EVLOOP_NONBLOCK) == -1);
}

int
sks_server_drain_abi(struct sks_server *server, int deadline_ms, struct sks_drain_report *report,
    size_t size)
{
	unsigned int before;
	int error;

	if (deadline_ms < 0 && deadline_ms != SKS_OFF && deadline_ms != SKS_DEFAULT) {
		errno = EINVAL;
		return -1;
	}
	if (sks_server_is_copy(server)) { /* it has never run */
		if (report != NULL)
			memset(report, 0, size);
		return 0;
	}
	before = sks_runs_count(&server->runs);
	if (server->state == SKS_IDLE) {
		(void)sks_runs_read(&server->runs, report, size);
		return 0;
	}
	if (would_deadlock(server)) {
		errno = EDEADLK;
		return -1;
	}
	atomic_store(&server->drain_ms, deadline_ms);
	sks_server_shutdown(server);
	if (sks_loop_is_here(sks_server_first(server)->loop)) {
		(void)sks_server_dispatch(server);
		error = sks_runs_read(&server->runs, report, size);
	} else
		error = sks_runs_wait(&server->runs, before, report, size);
	errno = error;
	return error == 0 ? 0 : -1;
}
