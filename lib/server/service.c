/* SPDX-License-Identifier: MIT */
#include "server/service.h"

#include "base/sys.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define LINE_MAX_DEFAULT 8192
#define OUTPUT_DEFAULT 65536
#define DATAGRAM_DEFAULT 65536
#define STACK_DEFAULT (128 * 1024)
#define CONNECTIONS_DEFAULT 10000
#define WORKERS_MOST 1024

/*
 * A compound literal leaves padding dirty, and a newer library would take that
 * for members it knows. So there is none.
 */
static_assert(sizeof(struct sks_options) == 16 * sizeof(int) + 4 * sizeof(size_t) +
	    2 * sizeof(void *) + 4 * sizeof(void (*)(void)),
    "struct sks_options has no padding");
static_assert(sizeof(struct sks_handler) == 2 * sizeof(int) + 2 * sizeof(size_t) +
	    sizeof(char *) + 3 * sizeof(void (*)(void)),
    "struct sks_handler has no padding");

/* The rule of openat2(2): unknown members are fine while they are zero. */
static int
copy_known(void *to, size_t known, const void *from, size_t given)
{
	const unsigned char *p = from;
	size_t i;

	for (i = known; i < given; i++) {
		if (p[i] != 0) {
			errno = E2BIG;
			return -1;
		}
	}
	memset(to, 0, known);
	memcpy(to, from, sks_min(known, given));
	return 0;
}

static int
invalid(const char *member, const char *why)
{
	sks_logf("options.%s: %s", member, why);
	errno = EINVAL;
	return -1;
}

/* A time: 0 is the default, SKS_OFF none. */
static int
fill_time(int *ms, int fallback, const char *member)
{
	if (*ms < SKS_OFF)
		return invalid(member, "must be SKS_OFF, 0 or more milliseconds");
	if (*ms == 0)
		*ms = fallback;
	return 0;
}

static int
fill_count(int *n, int fallback, const char *member)
{
	if (*n < 0)
		return invalid(member, "must be 0 or more");
	if (*n == 0)
		*n = fallback;
	return 0;
}

static int
fill_size(size_t *n, size_t fallback, size_t least, size_t most, const char *member)
{
	if (*n == 0)
		*n = fallback;
	if (*n < least || *n > most)
		return invalid(member, "out of range");
	return 0;
}

static int
default_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 || files.rlim_cur / 2 > CONNECTIONS_DEFAULT)
		return CONNECTIONS_DEFAULT;
	return files.rlim_cur < 4 ? 1 : (int)(files.rlim_cur / 2);
}

static int
cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int
default_running(int mode)
{
	return mode == SKS_THREADS ? 256 : mode == SKS_PROCESSES ? 64 : INT_MAX;
}

static int
fill_defaults(struct sks_options *o)
{
	if (o->mode < SKS_FIBERS || o->mode > SKS_PROCESSES)
		return invalid("mode", "no such mode");
	if (o->workers == SKS_AUTO)
		o->workers = cores();
	if (fill_count(&o->workers, 1, "workers") == -1 ||
	    fill_count(&o->backlog, SOMAXCONN, "backlog") == -1 ||
	    fill_count(&o->max_connections, default_connections(), "max_connections") == -1 ||
	    fill_count(&o->max_running, default_running(o->mode), "max_running") == -1 ||
	    fill_time(&o->idle_ms, 60000, "idle_ms") == -1 ||
	    fill_time(&o->timeout_ms, 30000, "timeout_ms") == -1 ||
	    fill_time(&o->linger_ms, 5000, "linger_ms") == -1 ||
	    fill_time(&o->drain_ms, 10000, "drain_ms") == -1 ||
	    fill_time(&o->tick_ms, 1000, "tick_ms") == -1 ||
	    fill_time(&o->block_warn_ms, 100, "block_warn_ms") == -1 ||
	    fill_size(&o->max_line, LINE_MAX_DEFAULT, 2, 1 << 30, "max_line") == -1 ||
	    fill_size(&o->max_output, OUTPUT_DEFAULT, 1, SSIZE_MAX / 4, "max_output") == -1 ||
	    fill_size(&o->max_datagram, DATAGRAM_DEFAULT, 1, 65536, "max_datagram") == -1 ||
	    fill_size(&o->stack_size, STACK_DEFAULT, 16384, 1 << 30, "stack_size") == -1)
		return -1;
	if (o->unix_mode < 0 || o->unix_mode > 0777)
		return invalid("unix_mode", "must be a mode from 0 to 0777");
	if (o->workers > WORKERS_MOST)
		return invalid("workers", "more than 1024");
	if (o->mode == SKS_PROCESSES && o->workers > 1)
		return invalid("workers", "not with processes: fork would copy the other threads' locks");
	if (o->mode == SKS_SERIAL)
		o->max_running = o->workers;
	return 0;
}

static int
refuse_newer(void)
{
	sks_logf("handler or options of a newer version than this library's");
	errno = E2BIG;
	return -1;
}

int
sks_options_copy(struct sks_options *to, const struct sks_options *from, size_t size)
{
	static const struct sks_options none;

	if (from == NULL) {
		*to = none;
		return 0;
	}
	return copy_known(to, sizeof(*to), from, size) == -1 ? refuse_newer() : 0;
}

int
sks_service_init(struct sks_service *service, const struct sks_handler *handler,
    size_t handler_size, const struct sks_options *options, size_t options_size)
{
	struct sks_options *o = &service->options;
	struct sks_handler *h = &service->handler;

	if (copy_known(h, sizeof(*h), handler, handler_size) == -1)
		return refuse_newer();
	if (sks_options_copy(o, options, options_size) == -1)
		return -1;
	if (h->handle == NULL) {
		sks_logf("handler: handle is missing");
		errno = EINVAL;
		return -1;
	}
	if (h->state_size > 16 << 20) {
		sks_logf("handler: state_size is over 16 MiB");
		errno = EINVAL;
		return -1;
	}
	snprintf(service->name, sizeof(service->name), "%s", h->name != NULL ? h->name : "handler");
	h->name = service->name;
	if (fill_defaults(o) == -1)
		return -1;
	if (h->stack_size != 0)
		o->stack_size = h->stack_size;
	service->shared = sks_sys_mmap(NULL, sizeof(*service->shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (service->shared == MAP_FAILED) {
		service->shared = NULL;
		errno = ENOMEM;
		return -1;
	}
	service->times = (struct sks_times){
		.idle_ms = o->idle_ms,
		.read_ms = o->timeout_ms,
		.write_ms = o->timeout_ms,
	};
	return 0;
}

void
sks_service_end(struct sks_service *service)
{
	if (service->shared != NULL)
		(void)sks_sys_munmap(service->shared, sizeof(*service->shared));
	service->shared = NULL;
}
