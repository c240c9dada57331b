/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - how often something took how long, in fixed classes: for graphs, which want counts
 * that only grow.
 */
#ifndef SKS_BASE_HISTOGRAM_H
#define SKS_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* X(nanoseconds that a class reaches to, the same in seconds). One more class has all above. */
#define SKS_HISTOGRAM_BOUNDS(X) \
	X(100000, "0.0001") \
	X(1000000, "0.001") \
	X(5000000, "0.005") \
	X(25000000, "0.025") \
	X(100000000, "0.1") \
	X(500000000, "0.5") \
	X(2500000000, "2.5") \
	X(10000000000, "10.0") \
	X(60000000000, "60.0")

#define SKS_HISTOGRAM_ONE_MORE(ns, text) +1
#define SKS_HISTOGRAM_CLASSES (1 SKS_HISTOGRAM_BOUNDS(SKS_HISTOGRAM_ONE_MORE))

struct sks_histogram {
	_Atomic uint64_t n[SKS_HISTOGRAM_CLASSES];
	_Atomic uint64_t sum_ns;
};

static inline size_t
sks_histogram_class(uint64_t ns)
{
#define SKS_HISTOGRAM_BOUND(bound, text) UINT64_C(bound),
	static const uint64_t bounds[] = { SKS_HISTOGRAM_BOUNDS(SKS_HISTOGRAM_BOUND) };
#undef SKS_HISTOGRAM_BOUND
	size_t i = 0;

	while (i < sizeof(bounds) / sizeof(bounds[0]) && ns > bounds[i])
		i++;
	return i;
}

/* Any thread, and any process that shares the memory. A negative time counts as 0. */
static inline void
sks_histogram_add(struct sks_histogram *h, int64_t ns)
{
	uint64_t took = ns > 0 ? (uint64_t)ns : 0;

	atomic_fetch_add_explicit(&h->n[sks_histogram_class(took)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, took, memory_order_relaxed);
}

/* Adds all of another one, which others may be adding to. */
static inline void
sks_histogram_merge(struct sks_histogram *h, const struct sks_histogram *other)
{
	size_t i;

	for (i = 0; i < SKS_HISTOGRAM_CLASSES; i++)
		atomic_fetch_add(&h->n[i], atomic_load(&other->n[i]));
	atomic_fetch_add(&h->sum_ns, atomic_load(&other->sum_ns));
}

#endif
