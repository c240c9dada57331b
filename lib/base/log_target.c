/* SPDX-License-Identifier: MIT */
/*
 * log_target.c - lines to the user's function, or else to where sks_log_open() says.
 *
 * There is no lock where a line is logged. It may be logged in a child that was forked while
 * another thread logged, by a fiber whose log function waits, and by a log
 * function itself; a mutex would deadlock each of them.
 */
#include "base/log_target.h"

#include "base/addr.h"
#include "base/standard_error.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SYSLOG_PATH "/dev/log"

/* -- the user's function -- */

typedef void write_line_fn(const struct sks_log_record *record, void *arg);

/* The function and its arg belong together; an odd version: they are being changed. */
static pthread_mutex_t setter = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint version;
static _Atomic(write_line_fn *) user_write;
static _Atomic(void *) user_arg;

void
sks_set_log(write_line_fn *write_line, void *arg)
{
	pthread_mutex_lock(&setter);
	atomic_fetch_add(&version, 1);
	atomic_store(&user_write, write_line);
	atomic_store(&user_arg, arg);
	atomic_fetch_add(&version, 1);
	pthread_mutex_unlock(&setter);
}

/* The user's function and its arg; NULL: there is none. */
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

/* -- the output -- */

struct target {
	struct sks_log_output output;
	struct sks_log_style style;
};

static void
take_time(struct sks_log_entry *entry)
{
	sks_sys_clock_gettime(CLOCK_MONOTONIC, &entry->monotonic);
	sks_sys_clock_gettime(CLOCK_REALTIME, &entry->wall);
}

static void
missing_line(struct sks_log_line *line, const struct sks_log_output *output, unsigned long n)
{
	const struct target *target = sks_container_of(output, const struct target, output);
	struct sks_log_entry entry = { .level = SKS_LOG_WARN };
	char text[40];

	take_time(&entry);
	snprintf(text, sizeof(text), "%lu lines dropped", n);
	entry.text = text;
	sks_log_format(line, &target->style, &entry);
}

static struct sks_log_counts own_counts;
struct sks_log_counts *_Atomic sks_log_counts = &own_counts;

static struct target at_start = {
	.output = SKS_LOG_OUTPUT_STDERR(missing_line, &own_counts.output)
};
static struct target *_Atomic current = &at_start;

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
	atomic_store(&at_start.output.counts, &shared->output);
	atomic_fetch_add(&shared->output.dropped, atomic_exchange(&own_counts.output.dropped, 0));
}

/* What people write for a place other than a file. */
static const struct place {
	const char *name;
	enum sks_log_place place;
	enum sks_log_head head;
} places[] = {
	{ "stderr", SKS_LOG_STDERR, SKS_LOG_HEAD_NAME },
	{ "journal", SKS_LOG_STDERR, SKS_LOG_HEAD_LEVEL },
	{ "syslog", SKS_LOG_SYSLOG, SKS_LOG_HEAD_SYSLOG },
};

/* Finds the place, and the path in it, which may be empty. */
static struct place
find_place(const char *where, const char **path)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(places); i++) {
		if (strcmp(where, places[i].name) == 0) {
			*path = SYSLOG_PATH;
			return places[i];
		}
	}
	*path = where;
	if (strncmp(where, "syslog:", 7) == 0) {
		*path = where + 7;
		return places[2];
	}
	return (struct place){ .place = SKS_LOG_FILE, .head = SKS_LOG_HEAD_TIME };
}

static void
close_target(struct target *old)
{
	if (old == &at_start)
		return;
	sks_log_output_close(&old->output);
	sks_sys_free(old);
}

int
sks_log_open(const char *where, const char *format)
{
	const char *path;
	struct place place = find_place(where, &path);
	struct target *new = &at_start;
	int json = format != NULL && strcmp(format, "json") == 0;

	if (*path == '\0' || (format != NULL && !json && strcmp(format, "text") != 0)) {
		errno = EINVAL;
		return -1;
	}
	if (json || place.head != SKS_LOG_HEAD_NAME) {
		new = sks_sys_malloc(sizeof(*new));
		if (new == NULL)
			return -1;
		if (sks_log_output_open(&new->output, place.place, path, missing_line) == -1) {
			sks_sys_free(new);
			return -1;
		}
		new->style = (struct sks_log_style){ .head = place.head, .json = json };
	}
	close_target(atomic_exchange(&current, new));
	return 0;
}

struct sks_log_output *
sks_log_current_output(void)
{
	return &atomic_load(&current)->output;
}

/* -- lines on their way -- */

/* Calls the user's function. Not inlined: the stack of a fiber is small, and this line is large. */
__attribute__((noinline)) static void
hand_over(const struct sks_log_entry *entry, write_line_fn *write_line, void *arg)
{
	struct sks_log_line line = { .used = 0 };
	struct sks_log_record record = { .level = entry->level, .error = entry->error,
		.monotonic = entry->monotonic, .wall = entry->wall,
		.handler = entry->origin.handler };
	char peer[SKS_ADDR_TEXT];

	record.peer = sks_log_format_peer(&entry->origin, peer, sizeof(peer));
	sks_log_format_origin(&line, &entry->origin);
	record.line = line.text;
	record.text = line.text + line.used;
	sks_log_line_escaped(&line, entry->text, strlen(entry->text));
	write_line(&record, arg);
}

/* Not inlined, for the same reason: the caller has the text on its stack. */
__attribute__((noinline)) void
sks_log_emit(struct sks_log_entry *entry)
{
	struct target *to = atomic_load(&current);
	struct sks_log_line line;
	write_line_fn *write_line;
	void *arg;

	take_time(entry);
	if ((write_line = user_sink(&arg)) != NULL) {
		hand_over(entry, write_line, arg);
		return;
	}
	if (to->output.place == SKS_LOG_STDERR && sks_stderr_is_spared())
		return;
	sks_log_format(&line, &to->style, entry);
	(void)sks_log_output_write(&to->output, line.text, line.used);
}
