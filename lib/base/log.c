/* SPDX-License-Identifier: MIT */
/*
 * log.c - lines to standard error or to the user's function.
 *
 * A log that waits stops the loop and all its clients with it, and a standard
 * error that nobody reads is a common accident. O_NONBLOCK would help, but it
 * belongs to the open file, which the shell and other processes share. So each
 * line is one write of at most 1 KiB, made only when poll(2) says that there
 * is room: a pipe that is writable takes PIPE_BUF (4 KiB) at once. Another
 * process can still fill the pipe between the two calls; then this one waits.
 *
 * There is no lock here. A line may be logged in a child that was forked while
 * another thread logged, by a fiber whose log function waits, and by a log
 * function itself; a mutex would deadlock each of them.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/sigpipe.h"
#include "base/sys.h"

#include <errno.h>
#include <socketserver/request.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
	if (atomic_compare_exchange_strong(&sks_log_counts, &own, shared))
		atomic_fetch_add(&shared->dropped, atomic_exchange(&own_counts.dropped, 0));
	else
		munmap(shared, sizeof(*shared));
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

/* The socket that is spared, as the kernel numbers it; 0: none. */
static _Atomic uint64_t spared_dev, spared_ino;

void
sks_log_spare(int fd)
{
	struct stat here, there;

	if (fstat(fd, &here) == -1 || fstat(STDERR_FILENO, &there) == -1 ||
	    here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return;
	atomic_store(&spared_dev, here.st_dev);
	atomic_store(&spared_ino, here.st_ino);
}

int
sks_log_is_spared(void)
{
	struct stat now;

	return atomic_load(&spared_ino) != 0 && fstat(STDERR_FILENO, &now) == 0 &&
	    now.st_ino == atomic_load(&spared_ino) && now.st_dev == atomic_load(&spared_dev);
}

/* Returns 1 when there is room for a line. A closed or broken standard error has none. */
static int
stderr_has_room(void)
{
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };

	return sks_sys_poll(&to, 1, 0) == 1 && to.revents == POLLOUT;
}

/* The pipe may have broken since the poll. */
static ssize_t
write_without_sigpipe(const char *line, size_t n)
{
	struct sks_sigpipe hold;
	ssize_t done;

	sks_sigpipe_hold(&hold);
	done = sks_sys_write(STDERR_FILENO, line, n);
	sks_sigpipe_release(&hold, done == -1 && errno == EPIPE);
	return done;
}

static int
write_stderr(const char *line, size_t n)
{
	return stderr_has_room() && write_without_sigpipe(line, n) != -1 ? 0 : -1;
}

/* The line that says how many are missing, if any are. */
static int
tell_dropped(void)
{
	struct sks_log_counts *counts = atomic_load(&sks_log_counts);
	unsigned long missing = atomic_exchange(&counts->dropped, 0);
	char line[80];
	int n;

	if (missing == 0)
		return 0;
	n = snprintf(line, sizeof(line), "%s%lu lines dropped\n", prefix, missing);
	if (write_stderr(line, (size_t)n) == 0)
		return 0;
	atomic_fetch_add(&counts->dropped, missing);
	return -1;
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
	if (sks_log_is_spared())
		return;
	memcpy(line, prefix, PREFIX_LEN);
	n = PREFIX_LEN + sks_escape(text, strlen(text), line + PREFIX_LEN, LINE_SIZE - PREFIX_LEN + 1);
	line[n++] = '\n';
	if (tell_dropped() == -1 || write_stderr(line, n) == -1)
		atomic_fetch_add(&atomic_load(&sks_log_counts)->dropped, 1);
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
