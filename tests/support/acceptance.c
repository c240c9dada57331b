/* SPDX-License-Identifier: MIT */
#include "acceptance.h"

#include "base/sys.h"
#include "server/server.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct acc_mode acc_modes[] = {
	[ACC_FIBERS] = { "fibers", SKS_FIBERS, 0, 0, 1 },
	[ACC_SERIAL] = { "serial", SKS_SERIAL, 0, 1, 1 },
	[ACC_THREADS] = { "threads", SKS_THREADS, 0, 0, 1 },
	[ACC_TWO_LOOPS] = { "fibers on 2 loops", SKS_FIBERS, 2, 0, 1 },
	[ACC_TWO_LISTENERS] = { "fibers on 2 loops that listen", SKS_FIBERS, 2, 0, 1, 1 },
	[ACC_PROCESSES] = { "processes", SKS_PROCESSES, 0, 0, 0 },
};

char acc_dir[64];

/* -- names of variants -- */

const char *
acc_name_of_address(int i)
{
	static const char *const names[] = { "tcp", "unix", "udp", "unix-dgram", "abstract",
		"abstract dgram" };

	return names[i];
}

static const char *
join(int mode, enum acc_transport transport)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s, %s", acc_modes[mode].name,
	    acc_name_of_address((int)transport));
	return name;
}

static enum acc_transport
stream_of(int i)
{
	return i % 2 == 0 ? ACC_TCP : ACC_UNIX;
}

static enum acc_transport
datagram_of(int i)
{
	return i % 2 == 0 ? ACC_UDP : ACC_UNIX_DGRAM;
}

const char *
acc_name_of_mode(int i)
{
	return acc_modes[i].name;
}

const char *
acc_name_of_stream(int i)
{
	return join(i / 2, stream_of(i));
}

const char *
acc_name_of_datagram(int i)
{
	return join(i / 2, datagram_of(i));
}

const char *
acc_name_of_transport(int i)
{
	return join(i / 4, (enum acc_transport)(i % 4));
}

/* -- the fixture -- */

void
acc_setup(void)
{
	acc_record_setup();
	snprintf(acc_dir, sizeof(acc_dir), "/tmp/sks-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(acc_dir));
	no_leaks_setup();
	log_keep();
}

void
acc_teardown(void)
{
	log_forget();
	no_leaks_teardown();
	/* Fails when a socket file was left in it. */
	ck_assert_msg(rmdir(acc_dir) == 0, "rmdir %s: %s", acc_dir, strerror(errno));
	acc_record_teardown();
}

/* -- servers -- */

const char *
acc_listen_address(enum acc_transport transport)
{
	static char unix_stream[160], unix_dgram[160], abstract[64], abstract_dgram[64];

	switch (transport) {
	case ACC_TCP:
		return "127.0.0.1:0";
	case ACC_UDP:
		return "udp:127.0.0.1:0";
	case ACC_UNIX:
		snprintf(unix_stream, sizeof(unix_stream), "unix:%s/stream", acc_dir);
		return unix_stream;
	case ACC_UNIX_DGRAM:
		snprintf(unix_dgram, sizeof(unix_dgram), "unix-dgram:%s/dgram", acc_dir);
		return unix_dgram;
	case ACC_ABSTRACT:
		snprintf(abstract, sizeof(abstract), "unix:@sks-test.%d", (int)getpid());
		return abstract;
	default:
		snprintf(abstract_dgram, sizeof(abstract_dgram), "unix-dgram:@sks-test.%d",
		    (int)getpid());
		return abstract_dgram;
	}
}

struct sks_options
acc_options(const struct acc_mode *mode, const struct sks_options *options)
{
	struct sks_options o = options != NULL ? *options : (struct sks_options){ 0 };

	o.mode = mode->mode;
	o.workers = mode->workers;
	o.reuse_port |= mode->reuse_port;
	if (o.block_warn_ms == 0) /* a slow machine, or valgrind, is not what is tested */
		o.block_warn_ms = SKS_OFF;
	if (o.grace_ms == 0) /* or each test with a silent client would end a second later */
		o.grace_ms = 1;
	return o;
}

static enum acc_transport
transport_of(const char *address)
{
	static const char *const schemes[] = { [ACC_UNIX] = "unix:", [ACC_UDP] = "udp:",
		[ACC_UNIX_DGRAM] = "unix-dgram:" };
	int i;

	for (i = ACC_UNIX_DGRAM; i > ACC_TCP; i--)
		if (strncmp(address, schemes[i], strlen(schemes[i])) == 0)
			break;
	return (enum acc_transport)i;
}

int
acc_try(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	struct sks_options o = acc_options(&acc_modes[mode], options);

	memset(acc, 0, sizeof(*acc));
	acc->mode = &acc_modes[mode];
	acc->transport = transport_of(address);
	acc->server = acc_is_stream(acc) ? sks_tcp_server_new(address, handler, &o) :
					   sks_udp_server_new(address, handler, &o);
	if (acc->server == NULL)
		return -1;
	ck_assert_ptr_eq(sks_server_address(acc->server, 0, acc->address, sizeof(acc->address)),
	    acc->address);
	return 0;
}

void
acc_on(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    const struct sks_options *options)
{
	ck_assert_msg(acc_try(acc, mode, address, handler, options) == 0, "%s, %s: %s",
	    acc->mode->name, address, strerror(errno));
}

static void
open_rig(struct acc *acc, int mode, enum acc_transport transport,
    const struct sks_handler *handler, const struct sks_options *options)
{
	acc_on(acc, mode, acc_listen_address(transport), handler, options);
}

void
acc_all(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	open_rig(acc, i / 4, (enum acc_transport)(i % 4), handler, options);
}

void
acc_streams(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	open_rig(acc, i / 2, stream_of(i), handler, options);
}

void
acc_datagrams(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	open_rig(acc, i / 2, datagram_of(i), handler, options);
}

void
acc_tcp(struct acc *acc, int i, const struct sks_handler *handler,
    const struct sks_options *options)
{
	open_rig(acc, i, ACC_TCP, handler, options);
}

static void *
serve(void *arg)
{
	struct acc *acc = arg;

	/*
	 * ThreadSanitizer loses a signal that comes while a thread makes its list
	 * of delayed ones: at the first call that it knows to block, which this is.
	 */
	breathe();
	sem_post(&acc->started);
	acc->rc = sks_serve_forever(acc->server);
	acc->error = errno;
	atomic_store(&acc->over, 1);
	sem_post(&acc->ended);
	return NULL;
}

void
acc_start(struct acc *acc)
{
	sem_init(&acc->started, 0, 0);
	sem_init(&acc->ended, 0, 0);
	ck_assert_int_eq(pthread_create(&acc->thread, NULL, serve, acc), 0);
	acc->running = 1;
	atomic_store(&acc->over, 0);
	while (sem_wait(&acc->started) == -1)
		;
}

void
acc_serve(struct acc *acc, int i, const struct sks_handler *handler, const struct sks_options *options)
{
	acc_tcp(acc, i, handler, options);
	acc_start(acc);
}

/* Another loop that listens says that it accepts, and reads its next wake-up when it does. */
static void
await_worker(struct sks_worker *worker)
{
	unsigned long reads;

	ck_eventually(atomic_load(&worker->accepts));
	reads = sks_fault_calls("read");
	sks_loop_wake(worker->loop);
	ck_eventually(sks_fault_calls("read") > reads);
}

void
acc_start_serving(struct acc *acc)
{
	unsigned long reads = sks_fault_calls("read");
	int internet = acc->transport == ACC_TCP || acc->transport == ACC_UDP;
	int i, listeners = acc->mode->reuse_port && internet ? acc->mode->workers : 1;

	acc_start(acc);
	/* Its loop begins by reading its own wake-up. */
	ck_eventually(sks_fault_calls("read") > reads || atomic_load(&acc->over));
	for (i = 1; i < listeners; i++)
		await_worker(&acc->server->workers[i]);
}

void
acc_join(struct acc *acc)
{
	struct timespec until;
	int rc;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += is_slow() ? 150 : 30;
	while ((rc = sem_timedwait(&acc->ended, &until)) == -1 && errno == EINTR)
		;
	ck_assert_msg(rc == 0, "%s: the server does not end", acc->mode->name);
	ck_assert_int_eq(pthread_join(acc->thread, NULL), 0);
	sem_destroy(&acc->started);
	sem_destroy(&acc->ended);
	acc->running = 0;
}

void
acc_stop(struct acc *acc)
{
	sks_server_shutdown(acc->server);
	acc_join(acc);
	ck_assert_msg(acc->rc == 0, "serve_forever: %s", strerror(acc->error));
}

void
acc_free(struct acc *acc)
{
	if (acc->running)
		acc_stop(acc);
	sks_server_free(acc->server);
	acc->server = NULL;
}

int
acc_is_stream(const struct acc *acc)
{
	return acc->transport == ACC_TCP || acc->transport == ACC_UNIX;
}

int
acc_client(const struct acc *acc)
{
	return acc_is_stream(acc) ? peer_connect(acc->address) : peer_datagram(acc->address, NULL);
}

void
acc_ask(const struct acc *acc, const char *text, const char *answer)
{
	int fd = acc_client(acc);

	peer_puts(fd, text);
	peer_expect(fd, answer);
	if (acc_is_stream(acc))
		peer_expect_eof(fd);
	else
		close(fd);
}

char acc_echo_lacks[160];

int
acc_echoes(const struct acc *acc)
{
	static const char line[] = "there and back\n";
	char got[sizeof(line)] = "";
	size_t n = sizeof(line) - 1, received;
	int fd = acc_client(acc), error, same;
	ssize_t sent;

	errno = 0;
	sent = send(fd, line, n, MSG_NOSIGNAL);
	error = errno;
	received = sent == (ssize_t)n ? peer_receive(fd, got, n) : 0;
	same = sent == (ssize_t)n && received == n && memcmp(got, line, n) == 0;
	if (!same)
		snprintf(acc_echo_lacks, sizeof(acc_echo_lacks),
		    "send: %zd (%d), %zu bytes came (%d): %s", sent, error, received, errno, got);
	close(fd);
	return same;
}

struct sks_stats
acc_stats(const struct acc *acc)
{
	struct sks_stats stats;

	ck_assert_int_eq(sks_server_stats(acc->server, &stats), 0);
	return stats;
}

int
acc_has_parked(const struct acc *acc, int n)
{
	return acc->mode->one_memory ? acc_stats(acc).parked == (unsigned int)n :
				       atomic_load(&seen->resting) == n;
}
