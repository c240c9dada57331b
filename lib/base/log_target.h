/* SPDX-License-Identifier: MIT */
/*
 * log_target.h - where the lines of the log go: to the function of sks_set_log(), or else to the
 * output of sks_log_open(), which is standard error at first.
 */
#ifndef SKS_BASE_LOG_TARGET_H
#define SKS_BASE_LOG_TARGET_H

#include "base/log_format.h"
#include "base/log_limit.h"
#include "base/log_output.h"

/* Notes the time in the entry, and sends it where lines go. Any thread. */
void sks_log_emit(struct sks_log_entry *entry);

/* Returns the output for lines that no function takes. */
struct sks_log_output *sks_log_current_output(void);

/* The counts that this process and its forked children share, once sks_log_share() was called. */
struct sks_log_counts {
	struct sks_log_output_counts output; /* of standard error */
	struct sks_log_limit connects;       /* of lines on clients that could not connect */
};
extern struct sks_log_counts *_Atomic sks_log_counts;

/*
 * Any thread, before a fork. The shared memory stays to the end of the process: other threads may
 * be using it. Where there is none, each child goes on counting with a copy.
 */
void sks_log_share(void);

#endif
