/* SPDX-License-Identifier: MIT */
/*
 * One client is taken from the kernel, also where there is no descriptor for it.
 */
#include "base/log.h"
#include "base/probe.h"
#include "base/sys.h"
#include "server/accept.h"
#include "server/connection.h"

#include <errno.h>
#include <netinet/tcp.h>

int
sks_accept_newcomer(struct sks_listener *l, struct sks_newcomer *client, int *error)
{
	socklen_t len = sizeof(client->peer);

	client->fd = sks_sys_accept4(l->fd, &client->peer.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	*error = errno;
	client->len = (socklen_t)sks_min(len, sizeof(client->peer));
	client->service = l->service;
	client->entry = l->entry;
	if (client->fd != -1)
		SKS_PROBE1(accept, client->fd);
	return client->fd;
}

void
sks_accept_log_left(const struct sks_listener *l, int error)
{
	struct tcp_info info; /* of a listener: how many wait */
	socklen_t len = sizeof(info);

	if (sks_sys_getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
		sks_log_about(NULL, SKS_LOG_WARN, error, "accept: %m; clients that wait on %s are reset: %u",
		    l->entry.address, info.tcpi_unacked);
	else
		sks_log_about(NULL, SKS_LOG_WARN, error, "accept: %m; clients that wait on %s are reset",
		    l->entry.address);
}

int
sks_accept_reject(struct sks_listener *l, int *error)
{
	struct sks_worker *worker = l->worker;
	struct sks_newcomer client;

	if ((*error != EMFILE && *error != ENFILE) || worker->reserve.fd == -1 || l->entry.is_tls)
		return 0;
	sks_reserve_spend(&worker->reserve);
	if (sks_accept_newcomer(l, &client, error) != -1) {
		sks_count_shared(worker->service, accepted, 1);
		sks_worker_take(worker);
		sks_connection_reject(worker, &client, SKS_REJECTED_FILES);
	}
	sks_reserve_refill(&worker->reserve);
	return client.fd != -1;
}
