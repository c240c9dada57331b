/* SPDX-License-Identifier: MIT */
/*
 * The shared page of a server, and its statistics.
 */
#include "server/counters.h"

#include "base/memory.h"
#include "base/sys.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define COUNTERS (sizeof(struct sks_stats) / sizeof(uint64_t))

static_assert(sizeof(struct sks_stats) == sizeof(struct sks_counters),
    "each member of struct sks_stats is a uint64_t");

struct sks_shared *
sks_shared_new(void)
{
	void *page = sks_sys_mmap(NULL, sizeof(struct sks_shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page != MAP_FAILED)
		return page;
	errno = ENOMEM;
	return NULL;
}

void
sks_shared_free(struct sks_shared *shared)
{
	if (shared != NULL)
		(void)sks_sys_munmap(shared, sizeof(*shared));
}

void
sks_counters_read(const struct sks_counters *own, const struct sks_shared *shared,
    struct sks_stats *stats)
{
	uint64_t n[COUNTERS];
	size_t i;

	for (i = 0; i < COUNTERS; i++)
		n[i] = atomic_load(&own->n[i]) + atomic_load(&shared->counters.n[i]);
	memcpy(stats, n, sizeof(n));
	stats->bytes_in = atomic_load(&shared->traffic.in);
	stats->bytes_out = atomic_load(&shared->traffic.out);
	stats->buffered = sks_memory_held();
}
