/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a server as OpenMetrics text.
 *
 * Each member of struct sks_stats has a row. Rows of one family, which differ by a label, stand
 * together, since the format wants it so: the first of them has the help. What is not in the
 * statistics (reasons of ends, histograms, tasks) comes behind them.
 */
#include "server/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct metric {
	size_t at;          /* of the member in struct sks_stats */
	const char *type;   /* counter or gauge */
	const char *suffix; /* of the name, as the type wants it */
	const char *family; /* the name, without "socketserver_" and suffix */
	const char *label;  /* with its braces; "": none */
	const char *help;   /* NULL: that of the row before */
};

#define COUNTER(member) offsetof(struct sks_stats, member), "counter", "_total"
#define GAUGE(member)   offsetof(struct sks_stats, member), "gauge", ""

static const struct metric metrics[] = {
	{ GAUGE(active), "requests", "{state=\"active\"}",
	    "Requests that are open: in their handler or waiting for their turn (active), between "
	    "two exchanges (parked), being closed (lingering)." },
	{ GAUGE(parked), "requests", "{state=\"parked\"}", NULL },
	{ GAUGE(lingering), "requests", "{state=\"lingering\"}", NULL },
	{ COUNTER(accepted), "connections_accepted", "", "Connections that were accepted." },
	{ COUNTER(finished), "requests_finished", "",
	    "Requests that have ended, datagrams included." },
	{ COUNTER(failed), "requests_failed", "",
	    "Requests that have ended by an error of the handler." },
	{ COUNTER(refused), "requests_refused", "",
	    "Requests that were refused by verify or a limit, or for lack of memory, or were gone "
	    "before they were served." },
	{ COUNTER(rejected_peer), "requests_rejected", "{cause=\"max_per_peer\"}",
	    "Requests that were refused, by cause; those that were gone have none." },
	{ COUNTER(rejected_rate), "requests_rejected", "{cause=\"rate_per_peer\"}", NULL },
	{ COUNTER(rejected_files), "requests_rejected", "{cause=\"files\"}", NULL },
	{ COUNTER(rejected_verify), "requests_rejected", "{cause=\"verify\"}", NULL },
	{ COUNTER(rejected_memory), "requests_rejected", "{cause=\"memory\"}", NULL },
	{ COUNTER(datagrams), "datagrams_received", "", "Datagrams that were received." },
	{ COUNTER(truncated), "datagrams_truncated", "",
	    "Datagrams that were cut to max_datagram." },
	{ COUNTER(dropped), "datagrams_dropped", "",
	    "Datagrams that were not served: refused, cut, or lost by the kernel." },
	{ COUNTER(blocked), "loop_blocked", "",
	    "How often a handler kept its loop for block_warn_ms." },
	{ COUNTER(bytes_in), "received_bytes", "", "Bytes that came, without headers." },
	{ COUNTER(bytes_out), "sent_bytes", "", "Bytes that were sent, without headers." },
	{ COUNTER(handshakes), "tls_handshakes", "{result=\"ok\"}",
	    "TLS handshakes that have ended." },
	{ COUNTER(handshakes_failed), "tls_handshakes", "{result=\"failed\"}", NULL },
	{ GAUGE(buffered), "buffer_bytes", "",
	    "Bytes of buffers that the process has, where a server of it has max_memory." },
	{ COUNTER(too_slow), "connections_too_slow", "",
	    "Connections that were cut, as their peers were slower than min_rate." },
	{ COUNTER(evicted), "connections_evicted", "",
	    "Connections that were ended to make room, by make_room_ms." },
	{ GAUGE(max_connections), "requests_limit", "{option=\"max_connections\"}",
	    "How many requests may be open (max_connections) and in their handler (max_running; "
	    "0: no limit)." },
	{ GAUGE(max_running), "requests_limit", "{option=\"max_running\"}", NULL },
};

static_assert(SKS_ARRAY_LEN(metrics) == sizeof(struct sks_stats) / sizeof(uint64_t),
    "each member of struct sks_stats has a row");

/* Where the text goes. */
struct sink {
	int (*write_text)(void *arg, const char *text, size_t n);
	void *arg;
	int rc; /* what write_text has returned; it is not called behind one that is not 0 */
};

static void put(struct sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct sink *sink, const char *format, ...)
{
	char text[512];
	va_list args;
	int n;

	if (sink->rc != 0)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->rc = sink->write_text(sink->arg, text, sks_min((size_t)n, sizeof(text) - 1));
}

static void
put_head(struct sink *sink, const char *family, const char *type, const char *help)
{
	put(sink, "# TYPE socketserver_%s %s\n# HELP socketserver_%s %s\n", family, type, family,
	    help);
}

static void
put_stats(struct sink *sink, const struct sks_server *server)
{
	struct sks_stats stats;
	uint64_t value;
	size_t i;

	sks_server_stats(server, &stats);
	for (i = 0; i < SKS_ARRAY_LEN(metrics); i++) {
		const struct metric *m = &metrics[i];

		if (m->help != NULL)
			put_head(sink, m->family, m->type, m->help);
		memcpy(&value, (const char *)&stats + m->at, sizeof(value));
		put(sink, "socketserver_%s%s%s %" PRIu64 "\n", m->family, m->suffix, m->label,
		    value);
	}
}

static void
put_ended(struct sink *sink, const struct sks_shared *shared)
{
	int i;

	put_head(sink, "requests_ended", "counter",
	    "Requests that have ended, by the reason as sks_end_reason() tells it.");
	for (i = SKS_ENDED_NOT + 1; i < SKS_ENDED_REASONS; i++)
		put(sink, "socketserver_requests_ended_total{reason=\"%s\"} %" PRIu64 "\n",
		    sks_end_reason_name(i), atomic_load(&shared->ended[i]));
}

/* The classes of this format contain those below them. */
static void
put_histogram(struct sink *sink, const char *family, const char *help,
    const struct sks_histogram *h)
{
#define BOUND(ns, text) text,
	static const char *const bounds[] = { SKS_HISTOGRAM_BOUNDS(BOUND) "+Inf" };
#undef BOUND
	uint64_t n = 0, sum = atomic_load(&h->sum_ns);
	size_t i;

	put_head(sink, family, "histogram", help);
	for (i = 0; i < SKS_ARRAY_LEN(bounds); i++) {
		n += atomic_load(&h->n[i]);
		put(sink, "socketserver_%s_bucket{le=\"%s\"} %" PRIu64 "\n", family, bounds[i], n);
	}
	put(sink, "socketserver_%s_count %" PRIu64 "\n", family, n);
	put(sink, "socketserver_%s_sum %" PRIu64 ".%06" PRIu64 "\n", family, sum / 1000000000,
	    sum % 1000000000 / 1000);
}

/* What the loops of a server have in all. */
struct loops {
	int running, waiting;
	size_t idle, idle_bytes;
	struct sks_histogram turns;
};

/* Of another thread: each number is right by itself. */
static void
sum_up(struct loops *all, const struct sks_server *server)
{
	int i;

	for (i = 0; !sks_server_is_copy(server) && i < server->service.options.workers; i++) {
		const struct sks_worker *worker = &server->workers[i];

		all->running += atomic_load(&worker->executor->running);
		all->waiting += atomic_load(&worker->executor->waiting);
		all->idle += sks_executor_idle(worker->executor);
		all->idle_bytes += sks_buf_pool_idle(&worker->loop->bufs);
		sks_histogram_merge(&all->turns, &worker->loop->watches.turns);
	}
}

static void
put_loops(struct sink *sink, const struct loops *all)
{
	put_head(sink, "tasks", "gauge",
	    "Requests that have a fiber, thread or process (running) or wait for one (waiting), and "
	    "fibers and threads that are kept for the next requests (idle).");
	put(sink, "socketserver_tasks{state=\"running\"} %d\n", all->running);
	put(sink, "socketserver_tasks{state=\"waiting\"} %d\n", all->waiting);
	put(sink, "socketserver_tasks{state=\"idle\"} %zu\n", all->idle);
	put_head(sink, "idle_buffer_bytes", "gauge",
	    "Bytes of buffers that no connection has, and that loops keep for the next ones.");
	put(sink, "socketserver_idle_buffer_bytes %zu\n", all->idle_bytes);
	put_histogram(sink, "loop_turn_seconds",
	    "How long loops took for the connections that had input at once, to some milliseconds, "
	    "since the metrics were first asked for.", &all->turns);
}

int
sks_server_metrics(const struct sks_server *server,
    int (*write_text)(void *arg, const char *text, size_t n), void *arg)
{
	static const struct sks_shared nothing; /* a copy has done nothing yet */
	int is_copy = sks_server_is_copy(server);
	const struct sks_shared *shared = is_copy ? &nothing : server->service.shared;
	struct sink sink = { .write_text = write_text, .arg = arg };
	struct loops all = { .idle = 0 };

	if (!is_copy)
		atomic_store(&server->service.shared->is_timed, 1);
	put_stats(&sink, server);
	put_ended(&sink, shared);
	put_histogram(&sink, "exchange_seconds",
	    "How long calls of handle took, with their waits, since the metrics were first asked for.",
	    &shared->exchanges);
	sum_up(&all, server);
	put_loops(&sink, &all);
	put(&sink, "# EOF\n");
	return sink.rc;
}
