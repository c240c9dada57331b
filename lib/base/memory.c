/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

atomic_int sks_memory_is_counted;
_Atomic int64_t sks_memory_bytes;

size_t
sks_memory_held(void)
{
	int64_t n = atomic_load_explicit(&sks_memory_bytes, memory_order_relaxed);

	return n > 0 ? (size_t)n : 0;
}

void
sks_memory_bound_init(struct sks_memory_bound *bound, size_t most)
{
	bound->most = most;
	atomic_init(&bound->is_full, 0);
	atomic_store(&sks_memory_is_counted, 1);
}

int
sks_memory_look(struct sks_memory_bound *bound)
{
	size_t held = sks_memory_held();

	if (held >= bound->most)
		atomic_store_explicit(&bound->is_full, 1, memory_order_relaxed);
	else if (held < bound->most - bound->most / 8)
		atomic_store_explicit(&bound->is_full, 0, memory_order_relaxed);
	return atomic_load_explicit(&bound->is_full, memory_order_relaxed);
}
