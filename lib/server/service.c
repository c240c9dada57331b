/* SPDX-License-Identifier: MIT */
#include "server/service.h"

#include "base/known.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/options.h"
#include "server/peers.h"
#include "stream/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUICK_STOP_LINGER_MS 100 /* at most, after a second stop signal */

/* See options.c. */
static_assert(sizeof(struct sks_handler) == 2 * sizeof(int) + 2 * sizeof(size_t) +
	    sizeof(char *) + 3 * sizeof(void (*)(void)),
    "struct sks_handler has no padding");

/* Copies the caller's handler. Returns 0, or -1 after one line in the log. */
static int
take_handler(struct sks_service *service, const struct sks_handler *handler, size_t size)
{
	struct sks_handler *h = &service->handler;

	if (sks_copy_known(h, sizeof(*h), handler, size, "handler") == -1)
		return -1;
	if (h->handle == NULL)
		return sks_fail(NULL, EINVAL, "handler: handle is missing");
	if (h->state_size > 16 << 20)
		return sks_fail(NULL, EINVAL, "handler: state_size is over 16 MiB");
	snprintf(service->name, sizeof(service->name), "%s", h->name != NULL ? h->name : "handler");
	h->name = service->name;
	return 0;
}

int
sks_service_begin_counts(struct sks_service *service)
{
	const struct sks_options *o = &service->options;

	service->shared = sks_shared_new();
	if (service->shared == NULL)
		return -1;
	if (o->max_per_peer > 0 || o->rate_per_peer > 0) {
		service->peers = sks_peers_new(o);
		if (service->peers == NULL)
			return -1;
	}
	return 0;
}

void
sks_service_end_counts(struct sks_service *service)
{
	sks_peers_free(service->peers);
	service->peers = NULL;
	sks_shared_free(service->shared);
	service->shared = NULL;
}

int
sks_service_init(struct sks_service *service, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size)
{
	struct sks_options *o = &service->options;
	struct sks_handler *h = &service->handler;
	const char *why;

	service->counters = &service->own_counters;
	service->proxies = &service->own_proxies;
	if (take_handler(service, handler, handler_size) == -1 ||
	    sks_copy_known(o, sizeof(*o), options, options_size, "options") == -1)
		return -1;
	sks_tls_hold(o->tls);
	if (o->tls != NULL && sks_tls_role(o->tls) != SKS_TLS_SERVER)
		return sks_fail(NULL, EINVAL,
		    "options.tls: must be a configuration of SKS_TLS_SERVER");
	if (sks_options_fill(o) == -1)
		return -1;
	if (sks_networks_parse(&service->own_proxies, o->proxy_from, &why) == -1)
		return sks_fail(NULL, errno, "options.proxy_from: %s: %s", o->proxy_from, why);
	if (h->stack_size != 0)
		o->stack_size = h->stack_size;
	if (sks_service_begin_counts(service) == -1)
		return -1;
	if (o->max_memory > 0) {
		sks_memory_bound_init(&service->own_memory, o->max_memory);
		service->memory = &service->own_memory;
	}
	service->times = (struct sks_times){
		.idle_ms = o->idle_ms,
		.read_ms = o->timeout_ms,
		.write_ms = o->timeout_ms,
		.min_rate = (int)o->min_rate,
	};
	return 0;
}

void
sks_service_share_counts(struct sks_service *service, const struct sks_service *of)
{
	service->counters = of->counters;
	service->shared = of->shared;
	service->peers = of->peers;
	service->memory = of->memory;
}

struct sks_service *
sks_service_beside(const struct sks_service *service, const struct sks_handler *handler,
    size_t handler_size, void *data)
{
	struct sks_service *s = sks_sys_calloc(1, sizeof(*s));
	int error;

	if (s == NULL) {
		sks_fail(NULL, errno, "handler: %m");
		return NULL;
	}
	s->options = service->options;
	s->options.data = data;
	s->times = service->times;
	s->server = service->server;
	s->proxies = service->proxies;
	sks_service_share_counts(s, service);
	if (take_handler(s, handler, handler_size) == 0 &&
	    sks_mode_check(s->name, s->options.mode, s->handler.refuses, NULL) == 0 &&
	    (s->handler.stack_size <= s->options.stack_size ||
		sks_fail(NULL, EINVAL, "handler: stack_size is over that of the server") == 0))
		return s;
	error = errno;
	sks_sys_free(s);
	errno = error;
	return NULL;
}

int
sks_service_linger_ms(const struct sks_service *service)
{
	int ms = service->options.linger_ms;

	if (atomic_load(&service->shared->freeing))
		return 0;
	if (atomic_load(&service->shared->stop) < 2)
		return ms;
	return ms == SKS_OFF || ms > QUICK_STOP_LINGER_MS ? QUICK_STOP_LINGER_MS : ms;
}

void
sks_service_end(struct sks_service *service)
{
	sks_service_end_counts(service);
	sks_networks_free(&service->own_proxies);
	sks_tls_free(service->options.tls);
	service->options.tls = NULL;
}
