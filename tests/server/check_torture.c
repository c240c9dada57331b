/* SPDX-License-Identifier: MIT */
/*
 * check_torture.c - count, then fail. Each scenario is played again and again,
 * in a child of its own, and each time another use of a call fails: once, or
 * from then on. Allocations are the library's and libevent's. Nothing may
 * crash, hang or leak, and when the trouble is over the next client is served.
 *
 * Leaks are found by LeakSanitizer where there is one, otherwise by counting
 * malloc and free of this program, below. By default every third or
 * seventh use is tried; SKS_TORTURE=full tries all, =verbose tells how many.
 */
#include "base/sys.h"
#include "base/util.h"
#include "harness.h"
#include "rig.h"
#include "tools.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#if SKS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

FIXTURE(no_leaks_setup, no_leaks_teardown, .timeout_s = 3600);

#define HANG_SECONDS (is_slow() ? 150 : 60)
#define BEYOND 77 /* a child's exit: there is no k-th use */

/* -- the balance of memory, except of threads that say they are quiet -- */

static _Thread_local int quiet;
static atomic_long balance;

#if !SKS_ASAN && !SKS_TSAN
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

/* Valgrind puts its own over some of these, and the balance means nothing then. */
void *
malloc(size_t size)
{
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	if (!quiet && old == NULL)
		atomic_fetch_add(&balance, 1);
	return __libc_realloc(old, size);
}

int
posix_memalign(void **ptr, size_t align, size_t size)
{
	*ptr = __libc_memalign(align, size);
	if (*ptr == NULL)
		return ENOMEM;
	if (!quiet)
		atomic_fetch_add(&balance, 1);
	return 0;
}

void
free(void *ptr)
{
	if (!quiet && ptr != NULL)
		atomic_fetch_sub(&balance, 1);
	__libc_free(ptr);
}
#endif

/* -- handlers -- */

static int
write_much(struct sks_request *req)
{
	static char block[70000];
	int i;

	for (i = 0; i < 8; i++)
		if (sks_write(req->wfile, block, sizeof(block)) == -1)
			return -1;
	return 0;
}

static int
print_much(struct sks_request *req)
{
	int i;

	for (i = 0; i < 300; i++)
		if (sks_printf(req->wfile, "%d %s %200d\n", i, "lines of text and", i) == -1)
			return -1;
	return sks_printf(req->wfile, "%20000d\n", 1);
}

static int
copy_all(struct sks_request *req)
{
	return sks_copy(req->rfile, req->wfile, -1);
}

static int
use_all_reads(struct sks_request *req)
{
	char buf[100], *line;
	ssize_t n = 1;

	while (n > 0) {
		if (sks_peek(req->rfile, 2, &line) == -1 || sks_skipline(req->rfile) == -1 ||
		    sks_readn(req->rfile, buf, 3) == -1 ||
		    sks_readuntil(req->rfile, 'e', 0, &line) == -1)
			return -1;
		if (sks_gets(req->rfile) == NULL)
			break;
		n = sks_read(req->rfile, buf, sizeof(buf));
		if (n > 0 && sks_write(req->wfile, buf, (size_t)n) == -1)
			return -1;
	}
	return (int)n;
}

static int
sleep_and_echo(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return (int)n;
	if (sks_write(req->wfile, line, (size_t)n) == -1 || sks_sleep(1) == -1)
		return -1;
	sks_yield();
	return sks_wait_fd(req->fd, SKS_WRITE, 1000) == -1 ? -1 : 0;
}

/* What sequential code needs beside streams, each with an error for whatever fails. */
static int
send_two(void *arg)
{
	int i;

	for (i = 0; i < 2; i++)
		if (sks_channel_send(arg, &i) == -1)
			return -1;
	return 0;
}

static void
set_one(void *arg)
{
	*(int *)arg = 1;
}

static int
recv_two(struct sks_channel *channel)
{
	struct sks_child *child = sks_go(send_two, channel);
	int i, item, rc = 0, result = -1;

	if (child == NULL)
		return -1;
	for (i = 0; i < 2 && rc == 0; i++)
		rc = sks_channel_recv(channel, &item) == 1 ? 0 : -1;
	if (rc == -1 || sks_child_join(child, &result) == -1) {
		sks_child_cancel(child);
		(void)sks_child_join(child, NULL);
	}
	return rc == 0 && result == 0 ? 0 : -1;
}

static int
use_tasks(struct sks_request *req)
{
	struct sks_channel *channel = NULL;
	struct sks_timeout timeout;
	struct addrinfo *list = NULL;
	char line[16];
	ssize_t n = sks_read(req->rfile, line, sizeof(line));
	int one = 0, rc = -1;

	if (n <= 0)
		return (int)n;
	sks_timeout_begin(&timeout, 10000);
	if ((channel = sks_channel_new(sizeof(int), 1)) != NULL && recv_two(channel) == 0 &&
	    sks_offload(set_one, &one) == 0 && one == 1 &&
	    sks_getaddrinfo("localhost", "80", NULL, &list, 10000) == 0)
		rc = sks_write(req->wfile, line, (size_t)n);
	if (list != NULL)
		freeaddrinfo(list);
	sks_channel_free(channel);
	return rc;
}

/* A room of those who are connected: what one says, all others get by a post. */
static struct sks_request *room[8];
static struct sks_mutex *room_lock;

static int
enter_room(struct sks_request *req)
{
	int i;

	if (sks_mutex_lock(room_lock) == -1)
		return -1;
	for (i = 0; i < 8 && room[i] != NULL; i++)
		;
	if (i < 8)
		room[i] = req;
	return sks_mutex_unlock(room_lock);
}

static int
say_in_room(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);
	int i;

	if (n <= 0)
		return (int)n;
	if (sks_mutex_lock(room_lock) == -1)
		return -1;
	for (i = 0; i < 8; i++)
		if (room[i] != NULL && room[i] != req)
			(void)sks_post(room[i], line, (size_t)n);
	sks_mutex_unlock(room_lock);
	return sks_write(req->wfile, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

static void
leave_room(struct sks_request *req)
{
	int i;

	while (sks_mutex_lock(room_lock) == -1 && errno != EDEADLK)
		;
	for (i = 0; i < 8; i++)
		if (room[i] == req)
			room[i] = NULL;
	sks_mutex_unlock(room_lock);
}

/* setup and finish must pair off. */
static atomic_int set_up, finished;

static int
count_setup(struct sks_request *req)
{
	set_up++;
	memset(req->state, 1, 5000);
	return 0;
}

static void
count_finish(struct sks_request *req)
{
	finished++;
	(void)sks_puts(req->wfile, "bye\n");
}

/* -- clients, who take whatever comes, and wait in vain only for a moment -- */

static int is_lasting; /* the fault */

static void
be_impatient(int fd)
{
	struct timeval brief = { .tv_usec = 10000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
}

static int
visit(const char *address)
{
	int fd = rig_dial(address);

	if (fd != -1 && is_lasting)
		be_impatient(fd);
	return fd;
}

static void
try_line(int fd, const char *line)
{
	char got[100];

	(void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
	(void)rig_receive(fd, got, strlen(line));
}

static void
talk(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	try_line(fd, "one\n");
	try_line(fd, "two and three\n");
	close(fd);
}

/* An answer may never come to a datagram, or from a room. */
static void
talk_briefly(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	be_impatient(fd);
	try_line(fd, "one\n");
	try_line(fd, "two\n");
	close(fd);
}

static void
read_to_the_end(int fd)
{
	char drop[65536];

	while (recv(fd, drop, sizeof(drop), 0) > 0)
		;
}

static void
only_read(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	read_to_the_end(fd);
	close(fd);
}

static void
send_much(const char *address)
{
	static char block[100000];
	int fd = visit(address);

	if (fd == -1)
		return;
	memset(block, 'e', sizeof(block));
	block[3] = block[50] = block[sizeof(block) - 1] = '\n';
	(void)!send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	read_to_the_end(fd);
	close(fd);
}

static void
long_line(const char *address)
{
	static char line[60000], got[60000];
	int fd = visit(address);

	if (fd == -1)
		return;
	memset(line, 'l', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	(void)!send(fd, line, sizeof(line), MSG_NOSIGNAL);
	(void)rig_receive(fd, got, sizeof(got));
	close(fd);
}

static void
come_in_crowds(const char *address)
{
	int fds[70], i;
	char got[2];

	for (i = 0; i < 70; i++) {
		fds[i] = visit(address);
		if (fds[i] != -1)
			(void)!send(fds[i], "x\n", 2, MSG_NOSIGNAL);
	}
	for (i = 0; i < 70; i++) {
		if (fds[i] != -1) {
			(void)rig_receive(fds[i], got, 2);
			close(fds[i]);
		}
	}
}

static void
say_nothing(const char *address)
{
	int fd = visit(address);

	if (fd != -1)
		close(fd);
}

static void
reset(const char *address)
{
	static const struct linger now = { .l_onoff = 1 };
	int fd = visit(address);

	if (fd == -1)
		return;
	try_line(fd, "one\n");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void
chat(const char *address)
{
	int listener = visit(address);
	char got[8];

	if (listener != -1) {
		be_impatient(listener);
		try_line(listener, "here\n");
	}
	talk_briefly(address);
	if (listener != -1) {
		(void)rig_receive(listener, got, 8);
		close(listener);
	}
}

/* -- and one who must be served -- */

static int
is_greeted(const char *address)
{
	char got[13];
	int fd = rig_dial(address), same;

	if (fd == -1)
		return 0;
	same = rig_receive(fd, got, 13) == 13 && memcmp(got, "Hello World!\n", 13) == 0;
	close(fd);
	return same;
}

static int
gets_much(const char *address)
{
	static char got[560000];
	int fd = rig_dial(address), all;

	all = rig_receive(fd, got, sizeof(got)) == sizeof(got);
	close(fd);
	return all;
}

static int
gets_the_print(const char *address)
{
	static char got[100000];
	int fd = rig_dial(address);
	size_t n = rig_receive(fd, got, sizeof(got));

	close(fd);
	return n > 20001 && got[n - 1] == '\n' && got[n - 2] == '1';
}

static int
is_copied(const char *address)
{
	char got[10];
	int fd = rig_dial(address), same;

	same = send(fd, "copy me", 7, MSG_NOSIGNAL) == 7 && shutdown(fd, SHUT_WR) == 0 &&
	    rig_receive(fd, got, 10) == 7 && memcmp(got, "copy me", 7) == 0;
	close(fd);
	return same;
}

static int
is_read(const char *address)
{
	char got[10];
	int fd = rig_dial(address), same;

	same = send(fd, "skip\nabcxe\ngets\nrest", 20, MSG_NOSIGNAL) == 20 &&
	    shutdown(fd, SHUT_WR) == 0 && rig_receive(fd, got, 10) > 0;
	close(fd);
	return same;
}

/* -- scenarios -- */

struct scenario {
	const char *name;
	const char *listen; /* NULL: `alone` plays it, without a server and a client */
	struct sks_handler handler;
	struct sks_options options;
	void (*client)(const char *address);
	int (*served)(const char *address); /* NULL: rig_echoes */
	void (*alone)(void);
	int threads; /* whose own memory comes and goes as it likes */
	int hosted;  /* on the host's base */
};

static void serve_a_descriptor(void);
static void handle_some_bytes(void);
static void make_and_free(void);
static void listen_everywhere(void);
static void wait_for_a_request(void);
static void lock_from_fibers(void);

static char unix_address[64], unix_dgram_address[64], abstract_address[64];

static const struct scenario scenarios[] = {
	{ "tcp echo", "127.0.0.1:0", { .handle = rig_echo_lines }, .client = talk },
	{ "tcp keep", "127.0.0.1:0", { .handle = rig_echo_keep }, .client = talk },
	{ "client first", "127.0.0.1:0", { .handle = rig_echo_keep, .client_first = 1 }, .client = talk },
	{ "silent", "127.0.0.1:0", { .handle = rig_echo_keep, .client_first = 1 }, .client = say_nothing },
	{ "unix echo", unix_address, { .handle = rig_echo_lines }, .client = talk },
	{ "unix keep", abstract_address, { .handle = rig_echo_keep }, .client = talk },
	{ "udp echo", "udp:127.0.0.1:0", { .handle = rig_echo_lines }, .client = talk_briefly },
	{ "unix dgram", unix_dgram_address, { .handle = rig_echo_lines }, .client = talk_briefly },
	{ "hello", "127.0.0.1:0", { .handle = rig_hello }, .client = only_read, .served = is_greeted },
	{ "large write", "127.0.0.1:0", { .handle = write_much }, .client = only_read,
	    .served = gets_much },
	{ "many prints", "127.0.0.1:0", { .handle = print_much }, .client = only_read,
	    .served = gets_the_print },
	{ "copy", "127.0.0.1:0", { .handle = copy_all }, .client = send_much, .served = is_copied },
	{ "all reads", "127.0.0.1:0", { .handle = use_all_reads }, .client = send_much,
	    .served = is_read },
	{ "long line", "127.0.0.1:0", { .handle = rig_echo_lines }, { .max_line = 100000 },
	    .client = long_line },
	{ "sleep, yield, wait", "127.0.0.1:0", { .handle = sleep_and_echo }, .client = talk },
	{ "post", "127.0.0.1:0",
	    { .setup = enter_room, .handle = say_in_room, .finish = leave_room }, .client = chat },
	{ "setup and finish", "127.0.0.1:0",
	    { .setup = count_setup, .handle = rig_echo_keep, .finish = count_finish, .state_size = 5000 },
	    .client = talk },
	{ "crowd", "127.0.0.1:0", { .handle = rig_echo_lines }, .client = come_in_crowds },
	{ "reset", "127.0.0.1:0", { .handle = rig_echo_keep }, .client = reset },
	{ "serial", "127.0.0.1:0", { .handle = rig_echo_keep }, { .mode = SKS_SERIAL }, .client = talk },
	{ "hosted", "127.0.0.1:0", { .handle = rig_echo_lines }, .client = talk, .hosted = 1 },
	{ "threads", "127.0.0.1:0", { .handle = rig_echo_lines }, { .mode = SKS_THREADS },
	    .client = talk, .threads = 1 },
	{ "threads keep", "127.0.0.1:0", { .handle = rig_echo_keep, .client_first = 1 },
	    { .mode = SKS_THREADS }, .client = talk, .threads = 1 },
	{ "threads udp", "udp:127.0.0.1:0", { .handle = rig_echo_lines }, { .mode = SKS_THREADS },
	    .client = talk_briefly, .threads = 1 },
	{ "tasks", "127.0.0.1:0", { .handle = use_tasks }, .client = talk, .threads = 1 },
	{ "tasks on threads", "127.0.0.1:0", { .handle = use_tasks }, { .mode = SKS_THREADS },
	    .client = talk, .threads = 1 },
	{ "workers", "127.0.0.1:0", { .handle = rig_echo_lines }, { .workers = 2 }, .client = talk,
	    .threads = 1 },
	/* One line each: the child has the client's end too, and would never see it close. */
	{ "processes", "127.0.0.1:0", { .handle = sleep_and_echo },
	    { .mode = SKS_PROCESSES, .linger_ms = 1 }, .client = talk },
	{ "serve_fd", .alone = serve_a_descriptor },
	{ "handle_bytes", .alone = handle_some_bytes },
	{ "new and free", .alone = make_and_free },
	{ "listen", .alone = listen_everywhere },
	{ "handle_request", .alone = wait_for_a_request },
	{ "mutex and fibers", .alone = lock_from_fibers },
};

static const struct {
	const char *rule; /* %s is the k-th use: "3", or "3+" */
	int most;         /* beyond it nothing new can come */
} faults[] = {
	{ "malloc:ENOMEM:%s", 10000 },
	{ "mmap:ENOMEM:%s", 100 },
	{ "madvise:EINVAL:%s", 100 },
	{ "madvise:EINVAL:1+,mprotect:ENOMEM:%s", 100 },
	{ "eventfd:EMFILE:%s", 100 },
	{ "event_add:ENOMEM:%s", 200 },
	{ "event_add:ENOSPC:%s", 200 },
	{ "pthread_create:EAGAIN:%s", 50 },
	{ "fork:EAGAIN:%s", 50 },
	{ "pidfd_open:EMFILE:%s", 50 },
	{ "socketpair:EMFILE:%s", 50 },
	{ "socket:EMFILE:%s", 50 },
	{ "accept4:EMFILE:%s", 5 },
};

/* In the child: whatever is wrong ends it with a word. */
#define must(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,     \
			    strerror(errno));                                                   \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

static const struct scenario *now_playing;
static const char *rule_now; /* NULL: nothing fails */

static void
arm(void)
{
	sks_fault_clear();
	if (rule_now != NULL)
		must(sks_fault(rule_now) == 0);
}

/* Errors that a fault may well give; no others. */
static int
is_of_a_fault(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENOSPC || error == EAGAIN;
}

static atomic_ulong struck;

static void
disarm(void)
{
	struck += sks_fault_hits();
	sks_fault_clear();
}

static void
serve_a_descriptor(void)
{
	static const struct sks_handler handler = { .handle = rig_echo_keep, .state_size = 10 };
	char got[8];
	int fds[2], rc;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	must(send(fds[1], "one\ntwo\n", 8, 0) == 8 && shutdown(fds[1], SHUT_WR) == 0);
	arm();
	rc = sks_serve_fd(fds[0], &handler, NULL);
	must(rc == 0 || is_of_a_fault(errno));
	disarm();
	must(fcntl(fds[0], F_GETFD) == -1);
	must(rc == -1 || rig_receive(fds[1], got, 8) == 8);
	close(fds[1]);
}

static void
handle_some_bytes(void)
{
	static const struct sks_handler handler = { .handle = print_much, .state_size = 10 };
	char *out;
	size_t n;
	int rc;

	arm();
	rc = sks_handle_bytes(&handler, "input", 5, &out, &n);
	must(rc == 0 || errno == ENOMEM);
	disarm();
	must(rc == -1 || n > 20000);
	free(out);
}

static void
make_and_free(void)
{
	static const struct sks_options options[] = {
		{ .workers = 0 }, { .workers = 2 }, { .mode = SKS_THREADS }, { .mode = SKS_PROCESSES },
	};
	static const struct sks_handler handler = { .handle = rig_hello };
	size_t i;

	arm();
	for (i = 0; i < SKS_ARRAY_LEN(options); i++) {
		struct sks_server *server = sks_server_new(&handler, &options[i]);

		must(server != NULL || is_of_a_fault(errno));
		sks_server_free(server);
	}
	disarm();
}

static void
listen_everywhere(void)
{
	static const char *const addresses[] = {
		"127.0.0.1:0", ":0", "localhost:0", "udp::0", unix_address, unix_dgram_address,
		abstract_address, "[::1]:0", "nonsense",
	};
	static const struct sks_handler handler = { .handle = rig_hello };
	static const struct sks_options options = { .unix_mode = 0600 };
	struct sks_server *server;
	size_t i;

	arm();
	server = sks_server_new(&handler, &options);
	must(server != NULL || is_of_a_fault(errno));
	for (i = 0; server != NULL && i < SKS_ARRAY_LEN(addresses); i++)
		must(sks_server_listen(server, addresses[i]) == 0 || is_of_a_fault(errno) ||
		    errno == EINVAL || errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
	sks_server_free(server);
	disarm();
	must(access(unix_address + 5, F_OK) == -1);
}

static void
wait_for_a_request(void)
{
	static const struct sks_handler handler = { .handle = rig_hello };
	struct sks_options options = { .stop_signals = 1 };
	struct sks_server *server;
	int rc = -1;

	arm();
	server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	if (server != NULL)
		rc = sks_handle_request(server, 1);
	must(rc == -1 && (is_of_a_fault(errno) || errno == ETIMEDOUT));
	if (server != NULL) {
		sks_server_shutdown(server);
		rc = sks_serve_forever(server);
		must(rc == 0 || is_of_a_fault(errno));
	}
	sks_server_free(server);
	disarm();
}

static void
lock_and_sleep(void *arg)
{
	if (sks_mutex_lock(arg) == -1) {
		must(is_of_a_fault(errno));
		return;
	}
	(void)sks_sleep(1);
	sks_mutex_unlock(arg);
}

static void
lock_from_fibers(void)
{
	struct sks_mutex *mutex = sks_mutex_new();
	struct rig_loop rig;
	int i;

	must(mutex != NULL);
	rig_loop_open(&rig);
	for (i = 0; i < 3; i++)
		rig_go(&rig, lock_and_sleep, mutex);
	arm();
	rig_run(&rig);
	disarm();
	rig_loop_close(&rig);
	sks_mutex_free(mutex);
	arm();
	mutex = sks_mutex_new();
	must(mutex != NULL || errno == ENOMEM);
	disarm();
	sks_mutex_free(mutex);
}

/* -- a play with a server -- */

struct play {
	struct sks_server *server;
	struct event_base *base;
	char address[128];
	atomic_int over; /* the client has had its share of failures */
};

static void *
run_client(void *arg)
{
	struct play *play = arg;

	quiet = 1;
	now_playing->client(play->address);
	disarm();
	must((now_playing->served != NULL ? now_playing->served : rig_echoes)(play->address));
	play->over = 1;
	sks_server_shutdown(play->server);
	return NULL;
}

static void
find_address(struct play *play)
{
	char text[100];

	if (strncmp(now_playing->listen, "unix", 4) == 0) {
		snprintf(play->address, sizeof(play->address), "%s", now_playing->listen);
		return;
	}
	must(sks_server_address(play->server, 0, text, sizeof(text)) != NULL);
	snprintf(play->address, sizeof(play->address), "%s%s",
	    strncmp(now_playing->listen, "udp:", 4) == 0 ? "udp:" : "", text);
}

static void
stop_host(struct sks_server *server, void *data)
{
	(void)server;
	event_base_loopbreak(data);
}

static int
run_server(struct play *play)
{
	if (play->base == NULL)
		return sks_serve_forever(play->server);
	if (sks_server_start(play->server) == -1)
		return -1;
	while (sks_server_is_running(play->server))
		must(event_base_loop(play->base, 0) != -1);
	return 0;
}

static void
play_with_a_server(void)
{
	struct sks_options options = now_playing->options;
	struct play play = { .base = NULL };
	pthread_t client;

	set_up = finished = 0;
	room_lock = sks_mutex_new();
	must(room_lock != NULL);
	if (now_playing->hosted) {
		play.base = event_base_new();
		must(play.base != NULL);
		options.base = play.base;
		options.data = play.base;
		options.on_stop = stop_host;
	}
	play.server = sks_server_new(&now_playing->handler, &options);
	must(play.server != NULL);
	must(sks_server_listen(play.server, now_playing->listen) == 0);
	find_address(&play);
	arm();
	quiet = 1;
	must(pthread_create(&client, NULL, run_client, &play) == 0);
	quiet = 0;
	/* It may not be able to begin at first. */
	while (run_server(&play) == -1) {
		must(is_of_a_fault(errno));
		must(!play.over);
		disarm();
	}
	pthread_join(client, NULL);
	sks_server_free(play.server);
	if (play.base != NULL)
		event_base_free(play.base);
	sks_mutex_free(room_lock);
	must(set_up == finished);
}

static void
play(void)
{
	if (now_playing->alone != NULL)
		now_playing->alone();
	else
		play_with_a_server();
}

/* -- the tools -- */

static void
drop_line(const char *line, void *arg)
{
	(void)line;
	(void)arg;
}

static void
drop_event_line(int severity, const char *line)
{
	(void)severity;
	(void)line;
}

static void
free_event_memory(void *ptr)
{
	free(ptr);
}

static int
count_descriptors(void)
{
	int n;

	quiet = 1;
	n = open_descriptors();
	quiet = 0;
	return n;
}

/* The child: once as it should be, so that all is there that stays; then with the fault. */
static void
play_in_child(const char *rule)
{
	long before;
	int descriptors;

	signal(SIGALRM, SIG_DFL); /* not Check's, who would kill us all */
	alarm(HANG_SECONDS);
	sks_set_log(drop_line, NULL);
	event_set_log_callback(drop_event_line);
	event_set_mem_functions(sks_sys_malloc, sks_sys_realloc, free_event_memory);
	rule_now = NULL;
	play();
	descriptors = count_descriptors();
	rule_now = rule;
	is_lasting = rule[strlen(rule) - 1] == '+';
	struck = 0;
	before = balance;
	play();
	must(now_playing->threads || RUNNING_ON_VALGRIND || balance == before);
	must(count_descriptors() == descriptors);
#if SKS_ASAN
	must(__lsan_do_recoverable_leak_check() == 0);
#endif
	_exit(struck > 0 ? 0 : BEYOND);
}

/* 1: it struck and all was well. 0: there is no such use. */
static int
try_point(const struct scenario *scenario, const char *rule)
{
	int status;
	pid_t pid;

	now_playing = scenario;
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		play_in_child(rule);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == BEYOND))
		return WEXITSTATUS(status) == 0;
	fprintf(stderr, "%s, %s: status %#x\n", scenario->name, rule, status);
	ck_abort_msg("%s, %s: %s %d", scenario->name, rule,
	    WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hangs, signal" : "dies of signal" :
				  "exits with",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

/* Two uses beyond the last one, since threads may not come in the same order each time. */
static int
torture_with(const struct scenario *scenario, const char *format, int most, const char *from)
{
	const char *how = getenv("SKS_TORTURE");
	int full = how != NULL && strcmp(how, "full") == 0;
	int step = full ? 1 : is_slow() ? 17 : from[0] == '+' ? 7 : 3;
	int beyond = 0, points = 0, k;

	for (k = 1; k <= most && beyond < 2; k += step) {
		char use[20], rule[100];

		snprintf(use, sizeof(use), "%d%s", k, from);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(rule, sizeof(rule), format, use);
#pragma GCC diagnostic pop
		if (try_point(scenario, rule))
			points++;
		else
			beyond++;
	}
	return points;
}

TEST(whatever_fails_the_next_client_is_served, EACH_OF(scenarios))
{
	const struct scenario *scenario = &scenarios[_i];
	const char *how = getenv("SKS_TORTURE");
	int points = 0;
	size_t f;

	snprintf(unix_address, sizeof(unix_address), "unix:/tmp/sks-torture.%d", (int)getpid());
	snprintf(unix_dgram_address, sizeof(unix_dgram_address), "unix-dgram:/tmp/sks-torture.%dd",
	    (int)getpid());
	snprintf(abstract_address, sizeof(abstract_address), "unix:@sks-torture.%d", (int)getpid());
	for (f = 0; f < SKS_ARRAY_LEN(faults); f++) {
		points += torture_with(scenario, faults[f].rule, faults[f].most, "");
		points += torture_with(scenario, faults[f].rule, faults[f].most, "+");
	}
	if (how != NULL) {
		printf("%s: %d points\n", scenario->name, points);
		fflush(stdout);
	}
	ck_assert_int_ge(points, is_slow() ? 0 : 1);
}
