/* SPDX-License-Identifier: MIT */
/*
 * A state as the worker sees it: which list a connection is in, and which of
 * its numbers counts it.
 */
#include "base/clock.h"
#include "server/connection.h"

static int
is_lingering(enum sks_connection_state state)
{
	return state == SKS_CONNECTION_FLUSHING || state == SKS_CONNECTION_DRAINING;
}

/*
 * While it is parked it waits for input, and while it drains for its peer's end. While it is
 * flushed its outbox notes the waits.
 */
static int
is_peers_turn(enum sks_connection_state state)
{
	return state == SKS_CONNECTION_PARKED || state == SKS_CONNECTION_DRAINING;
}

static void
count(struct sks_worker *worker, enum sks_connection_state state, int change)
{
	if (state == SKS_CONNECTION_PARKED)
		atomic_fetch_add(&worker->parked_count, change);
	else if (is_lingering(state))
		atomic_fetch_add(&worker->lingering_count, change);
}

void
sks_connection_set_state(struct sks_connection *c, enum sks_connection_state state)
{
	struct sks_worker *worker = c->worker;

	count(worker, c->state, -1);
	count(worker, state, 1);
	if (c->state == SKS_CONNECTION_PARKED || is_lingering(c->state))
		sks_list_remove(&c->call.link);
	if (state == SKS_CONNECTION_PARKED)
		sks_list_append(&worker->parked, &c->call.link);
	else if (is_lingering(state))
		sks_list_append(&worker->lingering, &c->call.link);
	if (c->state == SKS_CONNECTION_PARKED) {
		sks_watch_forget(&c->watch);
		c->watch.preread = NULL;
	}
	sks_peer_wait_note(&c->peer_wait, is_peers_turn(state) ? sks_clock_coarse_ms() : 0);
	c->state = state;
}
