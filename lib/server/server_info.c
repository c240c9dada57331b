/* SPDX-License-Identifier: MIT */
/*
 * The questions about a server: its addresses, its descriptors, its statistics.
 */
#include "base/addr.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/scheme.h"
#include "base/sys.h"
#include "server/bind.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct sks_listener *
find(const struct sks_server *server, unsigned int i)
{
	sks_list_each (link, &sks_server_first(server)->listeners)
		if (sks_listener_of(link)->fd != -1 && i-- == 0)
			return sks_listener_of(link);
	errno = ENOENT;
	return NULL;
}

static char *
format_address(const struct sks_listener *l, char *buf, size_t size)
{
	struct sks_addr addr = { .len = sizeof(addr.u) };

	if (sks_sys_getsockname(l->fd, &addr.u.any, &addr.len) == -1)
		return NULL;
	return sks_addr_format(&addr.u.any, addr.len, buf, size);
}

char *
sks_server_address(const struct sks_server *server, unsigned int i, char *buf, size_t size)
{
	const struct sks_listener *l = find(server, i);

	return l != NULL ? format_address(l, buf, size) : NULL;
}

char *
sks_listener_format(const struct sks_listener *l, char *buf, size_t size)
{
	const struct sks_scheme *printed;
	char address[SKS_ADDR_TEXT];

	if (format_address(l, address, sizeof(address)) == NULL)
		return NULL;
	printed = sks_scheme_of(address);
	if (l->entry.is_tls || l->entry.is_proxy) /* before unix: or nothing */
		snprintf(buf, size, "%s%s%s", l->entry.is_proxy ? SKS_PROXY_PREFIX : "",
		    l->entry.is_tls ? SKS_TLS_PREFIX : "", address);
	else
		snprintf(buf, size, "%s%s", sks_scheme_of_socket(address, l->type)->prefix,
		    address + (printed != NULL ? strlen(printed->prefix) : 0));
	return buf;
}

char *
sks_server_listen_address(const struct sks_server *server, unsigned int i, char *buf, size_t size)
{
	const struct sks_listener *l = find(server, i);

	return l != NULL ? sks_listener_format(l, buf, size) : NULL;
}

const char *
sks_server_listener_name(const struct sks_server *server, unsigned int i)
{
	const struct sks_listener *l = find(server, i);

	return l != NULL ? l->service->handler.name : NULL;
}

int
sks_server_fileno(const struct sks_server *server, unsigned int i)
{
	const struct sks_listener *l = find(server, i);

	return l != NULL ? l->fd : -1;
}

static void
tell_limits(const struct sks_options *o, struct sks_stats *now)
{
	now->max_connections = (uint64_t)o->max_connections;
	now->max_running = o->max_running < INT_MAX ? (uint64_t)o->max_running : 0;
}

static void
add_up(const struct sks_server *server, struct sks_stats *now)
{
	int i;

	sks_counters_read(server->service.counters, server->service.shared, now);
	for (i = 0; i < server->service.options.workers; i++) {
		const struct sks_worker *worker = &server->workers[i];

		now->active += (uint64_t)(atomic_load(&worker->executor->running) +
		    atomic_load(&worker->executor->waiting));
		now->parked += (uint64_t)atomic_load(&worker->parked_count);
		now->lingering += (uint64_t)atomic_load(&worker->lingering_count);
	}
}

int
sks_server_stats_abi(const struct sks_server *server, struct sks_stats *stats, size_t size)
{
	struct sks_stats now = { 0 };

	if (!sks_server_is_copy(server)) /* else it has done nothing yet */
		add_up(server, &now);
	tell_limits(&server->service.options, &now);
	/* A newer caller's further counters are zero: this library does not count them. */
	memset(stats, 0, size);
	memcpy(stats, &now, sks_min(size, sizeof(now)));
	return 0;
}

#define TEXT(n) #n
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *
sks_version(void)
{
	return VERSION(SKS_VERSION_MAJOR, SKS_VERSION_MINOR, SKS_VERSION_PATCH);
}
