/* SPDX-License-Identifier: MIT */
/*
 * handlers.h - handlers and hooks that many suites use, and a record of what they have seen.
 *
 * The record lies in memory shared with children, and handlers are told what to do by their
 * clients, so that the same test goes for fibers, threads and processes.
 */
#ifndef SKS_TEST_HANDLERS_H
#define SKS_TEST_HANDLERS_H

#include <socketserver.h>
#include <stdatomic.h>

/*
 * ck_assert() for a handler that runs in processes mode: where the condition does not hold Check's
 * own takes a lock, for which the child would wait for ever if another thread held it at the fork.
 */
#define acc_require(condition) \
	((condition) ? (void)0 : acc_stop_failed(__FILE__, __LINE__, #condition))
void acc_stop_failed(const char *file, int line, const char *condition);

/* What has been seen since the test began. */
struct acc_record {
	atomic_int setups, handles, finishes;
	atomic_int errors, last_error; /* on_error's */
	atomic_int verified, ticks, stops;
	atomic_int resting;            /* acc_script's exchanges that returned SKS_KEEP, last of all */
	atomic_int waited;             /* errno of a wait that failed ("w" below) */
	atomic_int note;               /* for the test's own use */
};
extern struct acc_record *seen;

/* For the fixture of acceptance.h: the record, cleared. */
void acc_record_setup(void);
void acc_record_teardown(void);

/*
 * Lines are written back: until the end; one in each exchange, SKS_KEEP. And one that only speaks.
 */
int acc_echo_lines(struct sks_request *req);
int acc_echo_keep(struct sks_request *req);
int acc_hello(struct sks_request *req);

/* Heeds nothing until seen->note is set. */
int acc_be_stubborn(struct sks_request *req);

/* A StreamRequestHandler of Python's test: reads a line and writes it back. */
int acc_echo_line(struct sks_request *req);

/*
 * Does what the lines of its client say, until one that ends it:
 *     e...  writes the line back
 *     d     returns SKS_DONE
 *     k     returns SKS_KEEP
 *     f     returns -1 with errno EPROTO
 *     s     shuts the server down, and goes on
 *     q     writes "draining 0" or "draining 1"
 *     w     writes "waiting", then waits for ever; notes the errno, returns SKS_DONE
 *     c     writes how often it was called on this connection (state)
 * Also returns when the input ends; counts setups, handles and finishes.
 */
extern const struct sks_handler acc_script;

/* finish of acc_script, and one that also says "bye". */
void acc_finish(struct sks_request *req);
void acc_finish_bye(struct sks_request *req);
int acc_setup_counted(struct sks_request *req);

/* Has the kernel keep little of what is sent and comes, so that both sides soon have to wait. */
#define ACC_SMALL 32768
void acc_make_small(int fd);
int acc_setup_small(struct sks_request *req);

/* on_tick, on_error and verify hooks that count. */
void acc_count_tick(struct sks_server *server, void *data);
void acc_on_error(struct sks_request *req, int error);
int acc_refuse(struct sks_request *req);

#endif
