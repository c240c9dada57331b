#define _GNU_SOURCE 1
#include "measure.h"

#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* The part of /proc/PID/stat after the name, which may hold blanks and brackets itself. */
static const char *
stat_fields(pid_t pid, char *buf, size_t size)
{
	char path[64], *p;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if ((f = fopen(path, "re")) == NULL)
		return NULL;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	return (p = strrchr(buf, ')')) != NULL ? p + 1 : NULL;
}

static int64_t
children_ns(pid_t pid)
{
	unsigned long utime, stime;
	const char *fields;
	char buf[1024];

	if ((fields = stat_fields(pid, buf, sizeof(buf))) == NULL ||
	    sscanf(fields, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &utime,
	    &stime) != 2)
		errx(1, "process %d: no CPU time of its children in /proc", pid);
	return (int64_t)(utime + stime) * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));
}

int64_t
cpu_ns(pid_t pid, int children)
{
	struct timespec ts;
	clockid_t clock;
	int error;

	if ((error = clock_getcpuclockid(pid, &clock)) != 0) {
		errno = error;
		err(1, "CPU clock of process %d", pid);
	}
	if (clock_gettime(clock, &ts) == -1)
		err(1, "CPU time of process %d", pid);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec + (children ? children_ns(pid) : 0);
}

void
settle(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int64_t before, after;
	int tries = 0;

	after = cpu_ns(pid, 0);
	do {
		before = after;
		nanosleep(&pause, NULL);
		after = cpu_ns(pid, 0);
	} while (after != before && ++tries < 100);
}

int
is_running(pid_t pid)
{
	const char *fields;
	char buf[1024];

	return (fields = stat_fields(pid, buf, sizeof(buf))) != NULL && fields[1] != 'Z';
}

/* Adds the kB values of the named lines; -1 when none of them is there. */
static int64_t
kilobytes(pid_t pid, const char *file, const char *name, const char *other)
{
	char line[256], path[64];
	int64_t sum = -1, value;
	FILE *f;
	char *colon;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if ((f = fopen(path, "re")) == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL) {
		if ((colon = strchr(line, ':')) == NULL)
			continue;
		*colon = '\0';
		if ((strcmp(line, name) == 0 || (other != NULL && strcmp(line, other) == 0)) &&
		    sscanf(colon + 1, "%" SCNd64, &value) == 1)
			sum = (sum == -1 ? 0 : sum) + value * 1024;
	}
	fclose(f);
	if (sum == -1)
		errx(1, "%s: no line %s", path, name);
	return sum;
}

void
memory_of(pid_t pid, struct memory *memory)
{
	memory->private_dirty = kilobytes(pid, "smaps_rollup", "Private_Dirty", "Swap");
	memory->anonymous = kilobytes(pid, "smaps_rollup", "Pss_Anon", NULL);
	memory->resident = kilobytes(pid, "smaps_rollup", "Rss", NULL);
	memory->page_tables = kilobytes(pid, "status", "VmPTE", NULL);
}

int
open_files_of(pid_t pid)
{
	char path[64];
	struct stat st;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	if (stat(path, &st) == 0 && st.st_size > 0)     /* the count itself, since Linux 6.2 */
		return (int)st.st_size;
	if ((dir = opendir(path)) == NULL)
		err(1, "%s", path);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static size_t
step_of(uint64_t value)
{
	int shift;

	if (value < 64)
		return (size_t)value;
	shift = 57 - __builtin_clzll(value);            /* leaves 7 bits: 64 to 127 */
	return (size_t)shift * 64 + (size_t)(value >> shift);
}

void
histogram_add(struct histogram *h, int64_t value)
{
	h->count[step_of(value > 0 ? (uint64_t)value : 0)]++;
	h->total++;
}

int64_t
histogram_permille(const struct histogram *h, int permille)
{
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < HISTOGRAM_SIZE; i++)
		if ((seen += h->count[i]) * 1000 >= h->total * (uint64_t)permille && seen > 0)
			return i < 64 ? (int64_t)i : (int64_t)((i % 64 + 64) << (i / 64 - 1));
	return 0;
}
