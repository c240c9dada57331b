/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "base/addr.h"
#include "base/sys.h"
#include "base/util.h"
#include "base/tools.h"
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static void *
do_nothing(void *arg)
{
	return arg;
}

void
rig_setup(void)
{
	pthread_t first;

	if (SKS_TSAN) {
		ck_assert_int_eq(pthread_create(&first, NULL, do_nothing, NULL), 0);
		pthread_join(first, NULL);
	}
	no_leaks_setup();
}

/* -- fibers on a loop of their own -- */

struct start {
	struct rig_loop *rig;
	void (*run)(void *);
	void *arg;
};

static _Thread_local struct rig_loop *here;

struct rig_loop *
rig_here(void)
{
	return here;
}

static void
run_fiber(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	start.run(start.arg);
	if (--start.rig->live == 0)
		sks_loop_stop(start.rig->loop);
}

void
rig_loop_open(struct rig_loop *rig)
{
	*rig = (struct rig_loop){ .loop = sks_loop_new(NULL), .pool = sks_fiber_pool_new(0) };
	ck_assert(rig->loop != NULL && rig->pool != NULL);
	sks_loop_enter(rig->loop);
	ck_assert_int_eq(sks_loop_open(rig->loop), 0);
	here = rig;
}

void
rig_loop_close(struct rig_loop *rig)
{
	here = NULL;
	sks_fiber_pool_free(rig->pool);
	sks_loop_free(rig->loop);
}

struct sks_task *
rig_go(struct rig_loop *rig, void (*run)(void *), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	struct sks_fiber *fiber;

	ck_assert_ptr_nonnull(start);
	*start = (struct start){ rig, run, arg };
	fiber = sks_fiber_start(rig->pool, run_fiber, start);
	ck_assert_ptr_nonnull(fiber);
	fiber->task.loop = rig->loop;
	rig->live++;
	sks_loop_ready(rig->loop, &fiber->task);
	return &fiber->task;
}

void
rig_run(struct rig_loop *rig)
{
	ck_assert_int_eq(sks_loop_run(rig->loop), 0);
	ck_assert_int_eq(rig->live, 0);
}

void
rig_run_on(int fiber, void (*run)(void *), void *arg)
{
	struct rig_loop rig;

	if (!fiber) {
		run(arg);
		return;
	}
	rig_loop_open(&rig);
	rig_go(&rig, run, arg);
	rig_run(&rig);
	rig_loop_close(&rig);
}

const char *
rig_name_of_task(int fiber)
{
	return fiber ? "fiber" : "thread";
}

/* -- a connection's streams -- */

static void
attach(struct rig_link *link, const struct sks_transport_ops *ops)
{
	link->times = (struct sks_times){ .idle_ms = -1, .read_ms = -1, .write_ms = -1 };
	link->tr = (struct sks_transport){ .ops = ops, .fd = link->fd };
	if (here != NULL) {
		sks_watch_init(&link->watch, &here->loop->watches, link->fd);
	}
	sks_rfile_init(&link->r, &link->tr, &link->times, &link->times, 8192);
	sks_wfile_init(&link->w, &link->tr, &link->times, &link->times, 65536);
	link->r.twin = &link->w;
	if (here != NULL)
		link->r.watch = &link->watch;
	if (here != NULL)
		link->r.pool = link->w.pool = &here->loop->bufs;
}

void
rig_link_open_on(struct rig_link *link, const struct sks_transport_ops *ops)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*link = (struct rig_link){ .fd = fds[0], .peer = fds[1] };
	attach(link, ops);
	if (ops != &sks_plain_transport)
		ck_assert_int_eq(send(link->peer, "x", 1, 0), 1);
}

void
rig_link_open(struct rig_link *link)
{
	rig_link_open_on(link, &sks_plain_transport);
}

void
rig_link_open_tcp(struct rig_link *link)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*link = (struct rig_link){ .fd = -1 };
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	link->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(link->peer, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(fcntl(link->peer, F_SETFL, O_NONBLOCK), 0);
	link->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ne(link->fd, -1);
	close(listener);
	attach(link, &sks_plain_transport);
}

void
rig_link_close(struct rig_link *link)
{
	sks_rfile_restore(&link->r);
	sks_rfile_close(&link->r);
	sks_wfile_close(&link->w);
	if (link->r.watch != NULL)
		sks_watch_close(&link->watch);
	close(link->fd);
	if (link->peer != -1)
		close(link->peer);
}

void
rig_say(struct rig_link *link, const void *bytes, size_t n)
{
	ck_assert_int_eq(send(link->peer, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

size_t
rig_hear(struct rig_link *link, void *buf, size_t n)
{
	ssize_t got = recv(link->peer, buf, n, MSG_DONTWAIT);

	return got > 0 ? (size_t)got : 0;
}

/* -- a server on a thread of its own -- */

static int
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What sks_server_address() tells, with the scheme that was listened on. */
static void
note_addresses(struct rig_server *rig)
{
	char text[SKS_ADDR_TEXT];
	unsigned int i;

	for (i = 0; i < 4 && rig->listen[i] != NULL; i++) {
		const char *asked = rig->listen[i];

		ck_assert_ptr_nonnull(sks_server_address(rig->server, i, text, sizeof(text)));
		snprintf(rig->address[i], sizeof(rig->address[i]), "%s%.100s",
		    begins(asked, "udp:") ? "udp:" : "", begins(asked, "unix") ? asked : text);
	}
}

static int
make_server(struct rig_server *rig)
{
	struct sks_options options = rig->options;
	int i;

	if (options.block_warn_ms == 0) /* a slow machine, or valgrind, is not what is tested */
		options.block_warn_ms = SKS_OFF;
	rig->server = sks_server_new(&rig->handler, &options);
	if (rig->server == NULL) {
		rig->error = errno;
		return -1;
	}
	for (i = 0; i < 4 && rig->listen[i] != NULL; i++) {
		if (sks_server_listen(rig->server, rig->listen[i]) == -1) {
			rig->error = errno;
			sks_server_free(rig->server);
			rig->server = NULL;
			return -1;
		}
	}
	note_addresses(rig);
	return 0;
}

static void *
run_server(void *arg)
{
	struct rig_server *rig = arg;
	int rc = make_server(rig);

	sem_post(&rig->ready);
	if (rc == -1)
		return NULL;
	rig->result = sks_serve_forever(rig->server);
	rig->error = errno;
	atomic_store(&rig->ended, 1);
	sks_server_stats(rig->server, &rig->stats);
	return NULL;
}

int
rig_server_start(struct rig_server *rig)
{
	unsigned long reads = sks_fault_calls("read");

	rig->server = NULL;
	rig->error = 0;
	atomic_store(&rig->ended, 0);
	ck_assert_int_eq(sem_init(&rig->ready, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&rig->thread, NULL, run_server, rig), 0);
	while (sem_wait(&rig->ready) == -1)
		;
	if (rig->server != NULL) {
		/* Its loop begins by reading its own wake-up: from then on it serves. */
		ck_eventually(sks_fault_calls("read") > reads || atomic_load(&rig->ended));
		return 0;
	}
	pthread_join(rig->thread, NULL);
	sem_destroy(&rig->ready);
	errno = rig->error;
	return -1;
}

void
rig_server_join(struct rig_server *rig)
{
	pthread_join(rig->thread, NULL);
	sks_server_free(rig->server);
	sem_destroy(&rig->ready);
}

void
rig_server_stop(struct rig_server *rig)
{
	sks_server_shutdown(rig->server);
	rig_server_join(rig);
}

/* -- its clients -- */

static int
dial(int family, int type, const struct sockaddr *addr, socklen_t len)
{
	static const struct sockaddr_un any_name = { .sun_family = AF_UNIX };
	int fd = socket(family, type | SOCK_CLOEXEC, 0), error;

	if (fd == -1)
		return -1;
	if ((family != AF_UNIX || type != SOCK_DGRAM ||
		bind(fd, (const struct sockaddr *)&any_name, sizeof(sa_family_t)) == 0) &&
	    connect(fd, addr, len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
dial_unix(const char *name, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t n = strlen(name);

	ck_assert_uint_lt(n, sizeof(addr.sun_path));
	memcpy(addr.sun_path, name, n + 1);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	else
		n++;
	return dial(AF_UNIX, type, (struct sockaddr *)&addr,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

int
rig_dial(const char *address)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (begins(address, "unix:"))
		return dial_unix(address + 5, SOCK_STREAM);
	if (begins(address, "unix-dgram:"))
		return dial_unix(address + 11, SOCK_DGRAM);
	addr.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	return dial(AF_INET, begins(address, "udp:") ? SOCK_DGRAM : SOCK_STREAM,
	    (struct sockaddr *)&addr, sizeof(addr));
}

static int
is_dgram(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return type == SOCK_DGRAM;
}

size_t
rig_receive(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = recv(fd, (char *)buf + done, n - done, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
		if (is_dgram(fd))
			break;
	}
	return done;
}

int
rig_echoes(const char *address)
{
	static const char line[] = "there and back\n";
	char got[sizeof(line)];
	size_t n = sizeof(line) - 1;
	int fd = rig_dial(address), same;

	if (fd == -1)
		return 0;
	same = send(fd, line, n, MSG_NOSIGNAL) == (ssize_t)n && rig_receive(fd, got, n) == n &&
	    memcmp(got, line, n) == 0;
	close(fd);
	return same;
}

int
rig_echo_lines(struct sks_request *req)
{
	char *line;
	ssize_t n;

	while ((n = sks_readline(req->rfile, &line)) > 0)
		if (sks_write(req->wfile, line, (size_t)n) == -1)
			return -1;
	return sks_end(req->rfile);
}

int
rig_echo_keep(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return sks_end(req->rfile);
	return sks_write(req->wfile, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

int
rig_hello(struct sks_request *req)
{
	return sks_puts(req->wfile, "Hello World!\n");
}

int64_t
rig_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
