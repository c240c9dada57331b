/* SPDX-License-Identifier: MIT */
/*
 * child.h - a child process that does something wrong on purpose: what it says, and how it dies.
 */
#ifndef SKS_TEST_CHILD_H
#define SKS_TEST_CHILD_H

struct child {
	void (*act)(void *); /* when it returns the child exits with 0 */
	void *arg;
	/* filled in: */
	char text[1024];     /* of its standard error */
	int status;          /* of waitpid(2) */
};

/* Returns when the child has ended. It leaves no core. */
void child_run(struct child *child);

/* What it has said, without what AddressSanitizer says of swapcontext(3) in a line of its own. */
const char *child_said(const struct child *child);

/* In the coverage build alone: before a signal kills this process, its counts are written down. */
void child_catch_death(void) __attribute__((weak));

int child_died_of(const struct child *child, int signo);
int child_exited_with(const struct child *child, int code);

#endif
