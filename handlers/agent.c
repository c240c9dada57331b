/* SPDX-License-Identifier: MIT */
/*
 * agent: tells HAProxy how its server is, by the protocol of agent-check: one line for each
 * connection.
 *
 * It is meant for an address beside those of another handler, which is what
 * "socketserverd --agent ADDRESS" does. The lines are
 *
 *     ready up 75%    the share of the server that is free, from 1% to 100%
 *     drain           a shutdown is announced (lame_duck_ms): no new clients, please
 *     stopped         the server refuses new clients
 *     fail            there is no server that could be told of
 *
 * HAProxy multiplies the configured weight by the share. It is that of the free places of
 * max_connections, or that of the requests that may still run under max_running, whichever is
 * less. It is never 0, for then a pool whose servers are all full would have no server at all,
 * while clients of a full server only wait. The line begins with "ready", since HAProxy remembers
 * a "drain", also across the restart that ends it.
 */
#include <socketserver.h>

/* Returns how much of the limit is free, in percent, rounded up; 0 is no limit. */
static unsigned int
share(uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return 100;
	return used < limit ? (unsigned int)(((limit - used) * 100 + limit - 1) / limit) : 0;
}

/* The connection that asks is no load, so it is left out. */
static unsigned int
weight(const struct sks_server *server)
{
	struct sks_stats stats;
	unsigned int places, runs, least;

	sks_server_stats(server, &stats);
	places = share(stats.active + stats.parked + stats.lingering - 1, stats.max_connections);
	runs = share(stats.active - 1, stats.max_running);
	least = places < runs ? places : runs;
	return least > 0 ? least : 1;
}

static int
tell(struct sks_request *req)
{
	if (req->server == NULL)
		return sks_puts(req->wfile, "fail\n");
	if (sks_draining(req))
		return sks_puts(req->wfile, "stopped\n");
	if (!sks_server_is_ready(req->server))
		return sks_puts(req->wfile, "drain\n");
	return sks_printf(req->wfile, "ready up %u%%\n", weight(req->server));
}

SKS_PLUGIN(
    .name = "agent",
    .summary = "tells how busy its server is, for HAProxy (agent-check)",
    .handler = { .handle = tell },
    .serves = SKS_STREAMS);
