/* SPDX-License-Identifier: MIT */
/*
 * The report of what became of the requests of a server that stops, and the wait for it.
 *
 * Each request that ends while the server drains is counted by what has ended it
 * (sks_call_count_end()), on whichever loop it is.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void
sks_runs_init(struct sks_runs *runs)
{
	pthread_mutex_init(&runs->lock, NULL);
	sks_cond_init(&runs->over);
}

void
sks_runs_end(struct sks_runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	while (runs->waiting > 0)
		pthread_cond_wait(&runs->over, &runs->lock);
	pthread_mutex_unlock(&runs->lock);
	pthread_cond_destroy(&runs->over);
	pthread_mutex_destroy(&runs->lock);
}

void
sks_runs_tell(struct sks_runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	runs->n++;
	pthread_cond_broadcast(&runs->over);
	pthread_mutex_unlock(&runs->lock);
}

void
sks_server_begin_report(struct sks_server *server)
{
	int i;

	server->drained_from = sks_clock_ms();
	for (i = 0; i < SKS_STOPS; i++)
		atomic_store(&server->service.shared->stopped[i], 0);
}

static struct sks_drain_report
report_of(const struct sks_server *server)
{
	const struct sks_shared *shared = server->service.shared;

	return (struct sks_drain_report){
		.ended = atomic_load(&shared->stopped[SKS_STOP_NOTHING]),
		.parked = atomic_load(&shared->stopped[SKS_STOP_PARKED]),
		.cancelled = atomic_load(&shared->stopped[SKS_STOP_CANCELLED]),
		.reset = atomic_load(&shared->stopped[SKS_STOP_RESET]),
		.killed = atomic_load(&shared->stopped[SKS_STOP_KILLED]),
		.running = (uint64_t)atomic_load(&shared->places),
	};
}

static uint64_t
cut_off(const struct sks_drain_report *r)
{
	return r->cancelled + r->reset + r->killed + r->running;
}

/*
 * A line is logged where a request was cut off. A server with stop_signals, which stops for good,
 * also logs that all of them have ended by themselves.
 */
static int
is_worth_a_line(const struct sks_server *server, const struct sks_drain_report *r)
{
	return cut_off(r) > 0 || (server->service.options.stop_signals && r->ended + r->parked > 0);
}

static void
log_report(const struct sks_server *server, const struct sks_drain_report *r)
{
	if (!is_worth_a_line(server, r))
		return;
	sks_log_about(SKS_LOG_HANDLER(server->service.handler.name),
	    cut_off(r) > 0 ? SKS_LOG_WARN : SKS_LOG_INFO, 0,
	    "drained in %" PRId64 " ms: %" PRIu64 " ended, %" PRIu64 " closed while parked, "
	    "%" PRIu64 " cancelled, %" PRIu64 " reset, %" PRIu64 " killed, %" PRIu64 " go on",
	    sks_clock_ms() - server->drained_from, r->ended, r->parked, r->cancelled, r->reset,
	    r->killed, r->running);
}

void
sks_server_end_report(struct sks_server *server, int error)
{
	struct sks_runs *runs = &server->runs;
	struct sks_drain_report report = { 0 };

	if (server->drained_from != 0)
		report = report_of(server);
	if (!server->service.shared->freeing)
		log_report(server, &report);
	pthread_mutex_lock(&runs->lock);
	runs->report = report;
	runs->result = error;
	pthread_mutex_unlock(&runs->lock);
}

unsigned int
sks_runs_enter(struct sks_runs *runs)
{
	unsigned int n;

	pthread_mutex_lock(&runs->lock);
	runs->waiting++;
	n = runs->n;
	pthread_mutex_unlock(&runs->lock);
	return n;
}

/*
 * Under the lock. Copies the last report, and returns how that run has ended. The struct of a newer
 * caller may be longer: its further members are 0.
 */
static int
read_last(const struct sks_runs *runs, struct sks_drain_report *report, size_t size)
{
	if (report != NULL) {
		memset(report, 0, size);
		memcpy(report, &runs->report, sks_min(size, sizeof(runs->report)));
	}
	return runs->result;
}

int
sks_runs_read(struct sks_runs *runs, struct sks_drain_report *report, size_t size)
{
	int error;

	pthread_mutex_lock(&runs->lock);
	error = read_last(runs, report, size);
	pthread_mutex_unlock(&runs->lock);
	return error;
}

void
sks_runs_wait(struct sks_runs *runs, unsigned int before)
{
	pthread_mutex_lock(&runs->lock);
	while (runs->n == before)
		pthread_cond_wait(&runs->over, &runs->lock);
	pthread_mutex_unlock(&runs->lock);
}

int
sks_runs_leave(struct sks_runs *runs, struct sks_drain_report *report, size_t size)
{
	int error;

	pthread_mutex_lock(&runs->lock);
	error = read_last(runs, report, size);
	runs->waiting--; /* from here on the server may be freed */
	pthread_cond_broadcast(&runs->over);
	pthread_mutex_unlock(&runs->lock);
	return error;
}
