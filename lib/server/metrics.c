/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a server as OpenMetrics text.
 *
 * Each member of struct sks_stats has a row. Rows of one family, which differ by a label, stand
 * together, since the format wants it so: the first of them has the help.
 */
#include "server/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
};

static_assert(COUNT(metrics) == sizeof(struct sks_stats) / sizeof(uint64_t),
    "each member of struct sks_stats has a row");

/* The text of a row, which fits; its length. */
static size_t
format(const struct metric *m, const struct sks_stats *stats, char *text, size_t size)
{
	uint64_t value;
	int n = 0;

	memcpy(&value, (const char *)stats + m->at, sizeof(value));
	if (m->help != NULL)
		n = snprintf(text, size, "# TYPE socketserver_%s %s\n# HELP socketserver_%s %s\n",
		    m->family, m->type, m->family, m->help);
	n += snprintf(text + n, size - (size_t)n, "socketserver_%s%s%s %" PRIu64 "\n", m->family,
	    m->suffix, m->label, value);
	return (size_t)n;
}

int
sks_server_metrics(const struct sks_server *server,
    int (*write_text)(void *arg, const char *text, size_t n), void *arg)
{
	static const char end[] = "# EOF\n";
	struct sks_stats stats;
	char text[512];
	size_t i;
	int rc = 0;

	sks_server_stats(server, &stats);
	for (i = 0; rc == 0 && i < COUNT(metrics); i++)
		rc = write_text(arg, text, format(&metrics[i], &stats, text, sizeof(text)));
	return rc == 0 ? write_text(arg, end, strlen(end)) : rc;
}
