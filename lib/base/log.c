/* SPDX-License-Identifier: MIT */
/*
 * log.c - lines to standard error or to the user's function.
 *
 * There is no lock here. A line may be logged in a child that was forked while
 * another thread logged, by a fiber whose log function waits, and by a log
 * function itself; a mutex would deadlock each of them.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_line.h"
#include "base/log_output.h"
#include "base/standard_error.h"
#include "base/sys.h"

#include <errno.h>
#include <socketserver/request.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE 1024 /* bytes at most, without the newline */

static const char prefix[] = "socketserver: ";
#define PREFIX_LEN (sizeof(prefix) - 1)

typedef void write_line_fn(const char *line, void *arg);

/* The function and its arg belong together; an odd version: they are being changed. */
static pthread_mutex_t setter = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint version;
static _Atomic(write_line_fn *) user_write;
static _Atomic(void *) user_arg;

static struct sks_log_counts own_counts;
struct sks_log_counts *_Atomic sks_log_counts = &own_counts;

static size_t
missing_line(char line[SKS_LOG_LINE_SIZE], unsigned long n)
{
	return (size_t)snprintf(line, SKS_LOG_LINE_SIZE, "%s%lu lines dropped\n", prefix, n);
}

static struct sks_log_output standard = SKS_LOG_OUTPUT_STDERR(missing_line, &own_counts.output);

void
sks_log_share(void)
{
	struct sks_log_counts *shared, *own = &own_counts;

	if (atomic_load(&sks_log_counts) != own)
		return;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	if (shared == MAP_FAILED)
		return;
	if (!atomic_compare_exchange_strong(&sks_log_counts, &own, shared)) {
		munmap(shared, sizeof(*shared));
		return;
	}
	atomic_store(&standard.counts, &shared->output);
	atomic_fetch_add(&shared->output.dropped, atomic_exchange(&own_counts.output.dropped, 0));
}

void
sks_log_set(void (*write_line)(const char *line, void *arg), void *arg)
{
	pthread_mutex_lock(&setter);
	atomic_fetch_add(&version, 1);
	atomic_store(&user_write, write_line);
	atomic_store(&user_arg, arg);
	atomic_fetch_add(&version, 1);
	pthread_mutex_unlock(&setter);
}

/* The user's function and its arg; NULL is standard error. */
static write_line_fn *
user_sink(void **arg)
{
	write_line_fn *write_line;
	unsigned int before;
	int tries;

	/* Not for ever: a child may have been forked in the middle of a change. */
	for (tries = 0; tries < 1000; tries++) {
		before = atomic_load(&version);
		write_line = atomic_load(&user_write);
		*arg = atomic_load(&user_arg);
		if (before % 2 == 0 && atomic_load(&version) == before)
			return write_line;
	}
	return NULL;
}

static void
emit(const char *text)
{
	char line[PREFIX_LEN + LINE_SIZE + 1];
	write_line_fn *write_line;
	size_t n;
	void *arg;

	if ((write_line = user_sink(&arg)) != NULL) {
		sks_escape(text, strlen(text), line, LINE_SIZE + 1);
		write_line(line, arg);
		return;
	}
	if (sks_stderr_is_spared())
		return;
	memcpy(line, prefix, PREFIX_LEN);
	n = PREFIX_LEN + sks_escape(text, strlen(text), line + PREFIX_LEN, LINE_SIZE - PREFIX_LEN + 1);
	line[n++] = '\n';
	(void)sks_log_output_write(&standard, line, n);
}

void
sks_logf(const char *format, ...)
{
	char text[LINE_SIZE + 1] = "";
	int saved = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	emit(text);
	errno = saved;
}

/* A window: the lines asked for in the lower bits, the second in the others. */
#define LINES_BITS 24
#define LINES_MASK ((UINT64_C(1) << LINES_BITS) - 1)

int
sks_log_limit_allows(struct sks_log_limit *limit, unsigned int most, unsigned int *missing)
{
	uint64_t now = (uint64_t)(sks_clock_ms() / 1000) << LINES_BITS;
	uint64_t old = atomic_load(&limit->window), new;
	unsigned int lines;

	do {
		lines = (unsigned int)(old & LINES_MASK);
		if ((old & ~LINES_MASK) != now)
			new = now | 1;
		else
			new = lines < LINES_MASK ? old + 1 : old;
	} while (!atomic_compare_exchange_weak(&limit->window, &old, new));
	*missing = 0;
	if ((old & ~LINES_MASK) == now)
		return lines < most;
	if (lines > most)
		*missing = lines - most;
	return 1;
}

void
sks_log_with_dropped(unsigned int n, const char *format, ...)
{
	char text[LINE_SIZE + 1] = "";
	int saved = errno;
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	length = strlen(text);
	/* At the end of this line: a line of its own would be one too many. */
	if (n > 0)
		snprintf(text + length, sizeof(text) - length, " (and %u more before it)", n);
	emit(text);
	errno = saved;
}
