/* What the load generator reads off the clock and off the server's process. */

#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <sys/types.h>

#include <stdint.h>

int64_t now_ns(void);

/*
 * CPU time of the process in ns, its ended threads included; with children also that of the
 * children it has reaped, which the kernel tells to 10 ms only. Leaves with one line on error.
 */
int64_t cpu_ns(pid_t pid, int children);

/*
 * Waits until the process stops using CPU: a running process's time is known only to the last
 * tick, a sleeping one's to the nanosecond. Gives up after a second: some servers never rest.
 */
void settle(pid_t pid);

struct memory {
	int64_t private_dirty;          /* with what is swapped out: what the process alone costs */
	int64_t anonymous;              /* Pss_Anon */
	int64_t resident;               /* Rss: with shared and file pages */
	int64_t page_tables;            /* VmPTE, in none of the above */
};

void memory_of(pid_t pid, struct memory *memory);
int open_files_of(pid_t pid);
int is_running(pid_t pid);

/* Latencies: 64 steps for each power of two, so that a percentile is right to 1.6 %. */
#define HISTOGRAM_SIZE (60 * 64)

struct histogram {
	uint64_t total;
	uint64_t count[HISTOGRAM_SIZE];
};

void histogram_add(struct histogram *h, int64_t value);
/* The value that so many of a thousand do not exceed. */
int64_t histogram_permille(const struct histogram *h, int permille);

#endif
