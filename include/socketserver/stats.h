/* SPDX-License-Identifier: MIT */
/*
 * socketserver/stats.h - what a server counts: sks_server_stats(), sks_server_drain().
 */
#ifndef SOCKETSERVER_STATS_H
#define SOCKETSERVER_STATS_H

#include <socketserver/export.h>
#include <stdint.h>

SKS_BEGIN_DECLS

/*
 * What became of the requests that were there when a server stopped, and of those that came
 * from its backlog.
 */
struct sks_drain_report {
	uint64_t ended;     /* they have ended by themselves */
	uint64_t parked;    /* connections that were parked, and closed */
	uint64_t cancelled; /* they were cancelled when drain_ms were over */
	uint64_t reset;     /* connections whose peers did not take what was left for them, or did
	                       not close, within linger_ms */
	uint64_t killed;    /* child processes that did not end */
	uint64_t running;   /* handlers that have not ended, and go on */
};

/* What a server has done since it was made, and what it does now. */
struct sks_stats {
	uint64_t accepted;  /* connections that were accepted */
	uint64_t active;    /* requests in their handler now, or waiting for their turn; with
	                       SKS_PROCESSES, those between two exchanges too */
	uint64_t parked;    /* connections between two exchanges now, or silent so far */
	uint64_t lingering; /* connections whose handler has ended, being flushed and closed now */
	uint64_t finished;  /* requests that have ended, datagrams included. Those in processes
	                       are counted when the next request comes, or within 0.1 s */
	uint64_t failed;    /* of those, by an error of setup or handle */
	uint64_t refused;   /* by verify, or for lack of memory, or gone before they were served */
	uint64_t datagrams; /* datagrams that were received */
	uint64_t truncated; /* datagrams that were cut to max_datagram */
	uint64_t dropped;   /* datagrams that were not served: refused, cut, or lost by the
	                       kernel */
	uint64_t blocked;   /* how often a handler kept its loop for block_warn_ms */
	uint64_t bytes_in;  /* bytes that connections and datagrams have brought, without headers */
	uint64_t bytes_out; /* bytes that were sent, likewise */
	uint64_t rejected_peer; /* connections beyond max_per_peer; they count in refused, too */
	uint64_t rejected_rate; /* connections beyond rate_per_peer; likewise */
	uint64_t handshakes; /* of TLS, that went well */
	uint64_t handshakes_failed; /* of TLS; those of "tls:" addresses were not served, and
	                               count as refused, too (in processes: as finished) */
	uint64_t too_slow;  /* connections that were cut by min_rate; they count in finished, too */
	uint64_t rejected_files;  /* connections for which no descriptor was free; they count in
	                             refused, too */
	uint64_t rejected_verify; /* requests that verify has refused; likewise */
	uint64_t rejected_memory; /* requests for which there was no memory; likewise, datagrams in
	                             dropped */
	uint64_t buffered;  /* bytes of buffers that the process has now; 0 where no server of it
	                       has max_memory */
	uint64_t max_connections; /* of the options, or the default */
	uint64_t max_running;     /* likewise; 0: no limit */
	uint64_t evicted;         /* connections that were ended by make_room_ms; they count in
	                             finished, too, if a handler was called, else in refused */
};

SKS_END_DECLS

#endif
