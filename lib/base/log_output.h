/* SPDX-License-Identifier: MIT */
/*
 * log_output.h - where the lines of a log go: standard error, a syslog or a file. A write never
 * waits for whoever reads; a line that is not taken is dropped and counted, and the next line that
 * is taken is told the count.
 *
 * Any number of threads may write at once, also while another one reopens the file, and so may
 * processes that were forked: the counts lie in memory that they share.
 */
#ifndef SKS_BASE_LOG_OUTPUT_H
#define SKS_BASE_LOG_OUTPUT_H

#include "base/log_line.h"

#include <stdatomic.h>
#include <stddef.h>

enum sks_log_place { SKS_LOG_STDERR, SKS_LOG_SYSLOG, SKS_LOG_FILE };

/* What the processes of an output share. */
struct sks_log_output_counts {
	atomic_ulong dropped;    /* lines that were not taken, and are not told yet */
	atomic_uint generation;  /* how often the file was reopened */
	atomic_int failing;      /* standard error was told that lines are not taken */
	atomic_int torn;         /* the file has a line without its end */
};

struct sks_log_output;

/* Makes the line that says how many were dropped, with its newline. */
typedef void sks_log_missing_fn(struct sks_log_line *line, const struct sks_log_output *output,
    unsigned long n);

struct sks_log_output {
	enum sks_log_place place;
	int fd;                   /* -1: standard error */
	char *path;               /* of the file or the socket of the syslog */
	sks_log_missing_fn *missing_line;
	atomic_uint generation;   /* of the file that fd is, in this process */
	struct sks_log_output_counts *_Atomic counts; /* in memory that children share */
};

/* An output that is standard error and needs not to be opened; the counts are the owner's. */
#define SKS_LOG_OUTPUT_STDERR(missing_line_, counts_) \
	{ .fd = -1, .missing_line = (missing_line_), .counts = (counts_) }

/*
 * Opens an output. A file is made with mode 0640 if there is none, and appended to; a FIFO needs no
 * reader. path is that of a file, or of the socket of the syslog, and not used for standard error.
 * A syslog that is away is no error: its lines are dropped until it comes.
 * Returns 0, or -1: as open(2), socket(2) and mmap(2).
 */
int sks_log_output_open(struct sks_log_output *output, enum sks_log_place place, const char *path,
    sks_log_missing_fn *missing_line);

/* Closes it. No thread may be writing. */
void sks_log_output_close(struct sks_log_output *output);

/*
 * Opens the file anew, by its name: the old one was renamed. No line is lost, and other processes
 * follow with their next line. Nothing to do for standard error and a syslog.
 * Returns 0, or -1 as open(2); then the old file goes on.
 */
int sks_log_output_reopen(struct sks_log_output *output);

/*
 * Writes a line of n bytes, the last of which is a newline. Returns 0, or -1 when it was dropped.
 * When a disk fills, and the like, standard error is told once. Keeps errno.
 */
int sks_log_output_write(struct sks_log_output *output, const char *line, size_t n);

#endif
