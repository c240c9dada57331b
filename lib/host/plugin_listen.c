/* SPDX-License-Identifier: MIT */
/*
 * Listens for a plugin: only on kinds of sockets that it serves, also inherited ones, and also
 * on a server of another handler.
 */
#include "host/activation.h"
#include "host/module.h"

#include "base/endpoint.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/options.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SYSTEMD "systemd:"

static int
check_type(const struct sks_module *m, int type, const char *address)
{
	int kind = type == SOCK_DGRAM ? SKS_DATAGRAMS : SKS_STREAMS;

	if (m->plugin.serves & kind)
		return 0;
	return sks_fail(SKS_LOG_HANDLER(m->plugin.name), EINVAL,
	    "listen on %s: it does not serve %s", address,
	    kind == SKS_DATAGRAMS ? "datagrams" : "streams");
}

/* Checks the kind of socket. If the descriptor is wrong, listening on it will tell. */
static int
check_fd(int fd, const char *address, void *arg)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (sks_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		return 0;
	return check_type(arg, type, address);
}

/* If the address is wrong, listening on it will tell. */
static int
check_address(struct sks_module *m, const char *address)
{
	struct sks_endpoint ep;
	const char *why;

	if (sks_endpoint_parse(&ep, address, &why) == -1)
		return 0;
	return ep.scheme->kind == SKS_DESCRIPTOR ? check_fd(ep.fd, address, m) :
						   check_type(m, ep.scheme->type, address);
}

/* On "systemd:NAME", with the prefixes that stand before it: they are for each of its sockets. */
static int
listen_passed(struct sks_module *m, struct sks_server *server, const char *address)
{
	const char *scheme = sks_endpoint_skip_prefixes(address);
	char name[300];

	if (snprintf(name, sizeof(name), "%.*s%s", (int)(scheme - address), address,
		scheme + strlen(SYSTEMD)) >= (int)sizeof(name))
		return sks_fail(SKS_LOG_HANDLER(m->plugin.name), ENAMETOOLONG,
		    "listen on %.64s...: the name is too long", address);
	return sks_activation_listen(server, name, check_fd, m);
}

int
sks_module_listen(struct sks_module *m, struct sks_server *server, const char *address)
{
	if (strncmp(sks_endpoint_skip_prefixes(address), SYSTEMD, strlen(SYSTEMD)) == 0)
		return listen_passed(m, server, address);
	if (check_address(m, address) == -1)
		return -1;
	return sks_server_listen(server, address);
}

int
sks_module_listen_with(struct sks_module *m, struct sks_server *server, const char *address)
{
	const struct sks_plugin *p = &m->plugin;
	int mode = server->service.options.mode;

	if (sks_mode_check(p->name, mode, p->refuses, p->refuses_why) == -1 ||
	    check_address(m, address) == -1 || sks_module_init(m) == -1)
		return -1;
	return sks_server_listen_with_abi(server, address, &p->handler, sizeof(p->handler),
	    m->data);
}
