/* SPDX-License-Identifier: MIT */
/*
 * cancel.h - ends waits with ECANCELED: those of one fiber, or of many threads and
 * child processes at once.
 *
 * A task that is cancelled goes on: each wait of it fails, so that it comes to its end.
 */
#ifndef SKS_LOOP_CANCEL_H
#define SKS_LOOP_CANCEL_H

#include "fiber/task.h"

/* Cancels a fiber. On the thread of its loop. */
void sks_cancel_fiber(struct sks_task *task);

/*
 * Makes a cancel that is off, for all threads and children whose tasks have it as
 * task->cancel. 0, or -1: EMFILE, ENFILE, ENOMEM; fd is -1 then.
 */
int sks_cancel_init(struct sks_cancel *cancel);

/* Gives back what init has made, when no task has it any more. Does nothing where fd is -1. */
void sks_cancel_end(struct sks_cancel *cancel);

/*
 * Sets it on, which ends the waits, or off. From any thread and signal handler; keeps errno. In a
 * child process that has a copy the parent's waits go on.
 */
void sks_cancel_set(struct sks_cancel *cancel, int on);

#endif
