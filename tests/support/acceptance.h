/* SPDX-License-Identifier: MIT */
/*
 * acceptance.h - a server under test: one mode, one transport, served by a
 * thread of its own. Its handlers and hooks are in handlers.h.
 *
 * Tests are loop tests over modes and transports, so that a new mode is one
 * line in acceptance.c.
 */
#ifndef SKS_TEST_ACCEPTANCE_H
#define SKS_TEST_ACCEPTANCE_H

#include "handlers.h"
#include "harness.h"
#include "peer.h"

#include <pthread.h>
#include <semaphore.h>
#include <socketserver.h>
#include <stdatomic.h>

struct acc_mode {
	const char *name;
	int mode;
	int workers;
	int one_at_a_time; /* a request waits until the one before has ended */
	int one_memory;    /* handlers see what other handlers wrote */
	int reuse_port;    /* each loop has a listener of its own, for TCP and UDP */
};

/* In acc_modes. Processes are the last: see EACH_MODE_IN_ONE_MEMORY. */
enum {
	ACC_FIBERS,
	ACC_SERIAL,
	ACC_THREADS,
	ACC_TWO_LOOPS,
	ACC_TWO_LISTENERS,
	ACC_PROCESSES,
	ACC_MODES
};
extern const struct acc_mode acc_modes[ACC_MODES];

/* The last two are addresses only: a Unix socket's name need not be a file. */
enum acc_transport {
	ACC_TCP,
	ACC_UNIX,
	ACC_UDP,
	ACC_UNIX_DGRAM,
	ACC_ABSTRACT,
	ACC_ABSTRACT_DGRAM,
	ACC_ADDRESSES
};

/* For TEST(): _i is a number for acc_tcp(), acc_streams(), acc_datagrams() or acc_all(). */
#define EACH_MODE      .times = ACC_MODES, .variant = acc_name_of_mode
#define EACH_STREAM    .times = ACC_STREAMS, .variant = acc_name_of_stream
#define EACH_DATAGRAM  .times = ACC_DATAGRAMS, .variant = acc_name_of_datagram
#define EACH_TRANSPORT .times = ACC_ALL, .variant = acc_name_of_transport

/*
 * Of those, without processes: for what handlers, or the host and its handlers, do in one memory.
 * A test that leaves processes out says why beside it.
 */
#define EACH_MODE_IN_ONE_MEMORY   .times = ACC_ONE_MEMORY(ACC_MODES), .variant = acc_name_of_mode
#define EACH_STREAM_IN_ONE_MEMORY .times = ACC_ONE_MEMORY(ACC_STREAMS), .variant = acc_name_of_stream

/* In one mode: _i is for acc_listen_address(). */
#define EACH_ADDRESS .times = ACC_ADDRESSES, .variant = acc_name_of_address

/* How many variants each has. */
#define ACC_ALL           (ACC_MODES * 4)
#define ACC_STREAMS       (ACC_MODES * 2)
#define ACC_DATAGRAMS     (ACC_MODES * 2)
#define ACC_ONE_MEMORY(n) ((n) / ACC_MODES * (ACC_MODES - 1))

const char *acc_name_of_mode(int i);
const char *acc_name_of_stream(int i);
const char *acc_name_of_datagram(int i);
const char *acc_name_of_transport(int i);
const char *acc_name_of_address(int i);

struct acc {
	const struct acc_mode *mode;
	enum acc_transport transport;
	struct sks_server *server;
	char address[160];
	pthread_t thread;
	int running;
	int rc, error; /* of the last sks_serve_forever() */
	atomic_int over; /* it has ended */
	sem_t started, ended;
};

/*
 * A server with this handler and options (NULL: none), with the mode set,
 * listening on the i-th mode and transport. It does not run yet.
 */
void acc_all(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options);
void acc_streams(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options);
void acc_datagrams(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options);
void acc_tcp(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options);

/*
 * On an address of the test's own; of one mode. acc_try: -1 and errno when it cannot be listened
 * on.
 */
void acc_on(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    const struct sks_options *options);
int acc_try(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    const struct sks_options *options);

/* The options of the i-th mode, with the mode set. */
struct sks_options acc_options(const struct acc_mode *mode, const struct sks_options *options);

/* An address to listen on: a port that is free, or in this test's own directory. */
const char *acc_listen_address(enum acc_transport transport);

/* acc_tcp() and acc_start(). */
void acc_serve(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options);

/*
 * sks_serve_forever() in a thread. Returns when the thread is about to call it; or when it serves,
 * or has ended.
 */
void acc_start(struct acc *acc);
void acc_start_serving(struct acc *acc);

/*
 * Waits for its end, which something else brings about; sets rc and error.
 * Fails after 30 s, or 150 where everything is slow: then it hangs.
 */
void acc_join(struct acc *acc);

/* Shuts down and joins; it must have ended with 0. */
void acc_stop(struct acc *acc);

/* Frees the server, having stopped it when it still runs. */
void acc_free(struct acc *acc);

int acc_is_stream(const struct acc *acc);

/* A new client, connected; for datagrams, with a name for replies. */
int acc_client(const struct acc *acc);

/* A line there and back on a connection, or a datagram, of its own: 1 when it came back. */
int acc_echoes(const struct acc *acc);

/* What the last acc_echoes() that returned 0 saw instead. */
extern char acc_echo_lacks[160];

/* A client says text, gets answer, and, where there are connections, its end. */
void acc_ask(const struct acc *acc, const char *text, const char *answer);

struct sks_stats acc_stats(const struct acc *acc);

/*
 * Are n connections between two exchanges? The host's statistics tell, except
 * of those that rest in a process of their own: there acc_script does.
 */
int acc_has_parked(const struct acc *acc, int n);

/* The fixture of each test: no_leaks, a kept log, an empty directory, a cleared record. */
void acc_setup(void);
void acc_teardown(void);
extern char acc_dir[];

#endif
