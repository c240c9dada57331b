/* SPDX-License-Identifier: MIT */
/*
 * rig.h - streams and fibers without a server.
 */
#ifndef SKS_TEST_RIG_H
#define SKS_TEST_RIG_H

#include "suite.h"

#include "fiber/fiber.h"
#include "loop/loop.h"
#include "stream/stream.h"
#include "loop/wait.h"

#include <pthread.h>
#include <semaphore.h>
#include <socketserver.h>
#include <stdatomic.h>

/* -- fibers on a loop of their own -- */

struct rig_loop {
	struct sks_loop *loop;
	struct sks_fiber_pool *pool;
	int live; /* fibers that have not ended; the last one stops the loop */
};

void rig_loop_open(struct rig_loop *rig);
void rig_loop_close(struct rig_loop *rig);

/* A fiber that runs at the loop's next turn. */
struct sks_task *rig_go(struct rig_loop *rig, void (*run)(void *), void *arg);

/* Runs the loop until every fiber has ended. */
void rig_run(struct rig_loop *rig);

/* Runs it in this thread, or on a fiber of a loop of its own, which it knows as rig_here(). */
void rig_run_on(int fiber, void (*run)(void *), void *arg);
struct rig_loop *rig_here(void);

/* For TEST(): _i is an argument for rig_run_on(). */
#define ON_BOTH .times = 2, .variant = rig_name_of_task
const char *rig_name_of_task(int fiber);

/* A test whose whole body is run on a thread and on a fiber. */
#define TEST_ON_BOTH(name)                         \
	static void name##_body(void *);           \
	TEST(name, ON_BOTH)                        \
	{                                          \
		rig_run_on(_i, name##_body, NULL); \
	}                                          \
	static void name##_body(void *unused __attribute__((unused)))

/* -- a connection's streams, and the other end of it -- */

struct rig_link {
	int fd;
	int peer; /* non-blocking; the test's */
	struct sks_times times;
	struct sks_transport tr;
	struct sks_watch watch;
	struct sks_rfile r;
	struct sks_wfile w;
};

/* A socketpair, for this task: on the loop of rig_here(), or for a thread. */
void rig_link_open(struct rig_link *link);
/* A connection over TCP, likewise. */
void rig_link_open_tcp(struct rig_link *link);
/* Streams on a transport of the test's own, over a socket that can always be read and written. */
void rig_link_open_on(struct rig_link *link, const struct sks_transport_ops *ops);
void rig_link_close(struct rig_link *link);

/* The peer's side: all n bytes, which must fit the socket's buffer. */
void rig_say(struct rig_link *link, const void *bytes, size_t n);
/* What came, as much as is there; 0: nothing. */
size_t rig_hear(struct rig_link *link, void *buf, size_t n);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t rig_now(void);

#endif
