/* SPDX-License-Identifier: MIT */
/*
 * streams.h - what the suites of rfile and wfile share: lines to expect, and bytes in number.
 */
#ifndef SKS_TEST_STREAMS_H
#define SKS_TEST_STREAMS_H

#include "harness.h"
#include "rig.h"

#define TEXT(s) (s), sizeof(s) - 1

/* The checked fixture of these suites: leaks, and big. */
void streams_setup(void);
void streams_teardown(void);

/* 16 MiB in which no byte's place can be mistaken, once need_big() was called. */
#define BIG ((size_t)16 << 20)
extern char *big;
void need_big(void);

void expect_line(struct rig_link *l, const char *want, size_t n);
void expect_end(struct rig_link *l);

/* The peer that reads this much of big, and looks at each byte: a fiber, or a thread. */
struct reader {
	struct rig_link *l;
	size_t want;
};
void read_and_compare(void *reader);
void *read_on_thread(void *reader);

/* Of a transport of the test's own: writes go nowhere, and nothing is to be closed. */
ssize_t swallow(struct sks_transport *tr, const struct iovec *iov, int n);
void do_nothing(struct sks_transport *tr);

#endif
