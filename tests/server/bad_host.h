/* SPDX-License-Identifier: MIT */
/*
 * bad_host.h - a program with a server whose handler misbehaves, in a process of its own, the host,
 * which may die of it. All it says, its log included, comes to the test by its standard error.
 *
 * A word of a client makes its handler misbehave: error, wait, time-out, block, spin, crash, abort,
 * overflow, exit, quick-exit, leak. "thread" asks for the number of its thread; any other line
 * comes back.
 */
#ifndef SKS_TEST_BAD_HOST_H
#define SKS_TEST_BAD_HOST_H

#include "acceptance.h"

#define EXIT_OF_HANDLER 7

struct host {
	pid_t pid;
	int mode;     /* of acc_modes */
	int out;       /* what it says */
	int gate;      /* a byte lets a handler go that blocks */
	char address[128];
	char said[65536];
	size_t len;    /* of said */
	size_t heard;  /* of that, looked at by hears() */
	int status;    /* once it has ended */
};

/* The options' block_warn_ms: the default, or longer where good handlers are slow, too. */
int warn_ms(void);

/* In this mode; prepare is called in the process first, NULL: nothing is. */
void start_host(struct host *host, int mode, void (*prepare)(void));

/* For start_host(), with handlers that never end: the shutdown waits for nothing. */
void be_impatient(void);

/* Wait for the end of the host; the second stops it by SIGTERM, the third kills it. */
void join_host(struct host *host);
void stop_host(struct host *host);
void kill_host(struct host *host);

/* Waits until it says this; what it says next comes after it. */
void hears(struct host *host, const char *text);

/* Waits until it and all of its children have ended. */
void hears_the_end(struct host *host);

int times_said(const struct host *host, const char *text);

int died_of(const struct host *host, int signo);
int ended_with(const struct host *host, int code);

#define ck_died_of(host, signo)                                                                \
	ck_assert_msg(died_of(host, signo), "%s: status %#x, said: %s", acc_modes[(host)->mode].name, \
	    (unsigned int)(host)->status, (host)->said)
#define ck_ended_with(host, code)                                                              \
	ck_assert_msg(ended_with(host, code), "%s: status %#x, said: %s",                       \
	    acc_modes[(host)->mode].name, (unsigned int)(host)->status, (host)->said)

/* -- its clients -- */

int new_client(struct host *host);
void is_served(int fd);

/* The others do not notice: a client that is there is served, and one that comes. */
void others_go_on(struct host *host, int good);

/* The whole process is gone, and how. */
void all_die_of(struct host *host, int good, int bad, int signo);

/* One child has died, as the parent's log has it, and nobody else. The host is stopped. */
void one_dies_of(struct host *host, int good, int bad, const char *how);

#endif
