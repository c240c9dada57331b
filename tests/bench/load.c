/*
 * Load for any echo server over TCP, and what it costs the server.
 *
 * Three loads: rounds over open connections (the default), connections that are only held
 * (--hold), connections that come, say one line and go (--connect). Each counts what the server's
 * process spent between two points where nothing is under way: all replies are in and the server
 * sleeps. So the count of messages is exact, and so is the CPU time, which the kernel knows to the
 * tick only while a process runs. A fixed time with a snapshot at each end was the alternative; it
 * is wrong by a tick and by what is in flight.
 *
 * Every reply is compared with what was sent; lines differ by connection, place and round. The
 * first difference, early end or silence ends the program with one line and exit code 1.
 */

#define _GNU_SOURCE 1
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define NS_PER_S        INT64_C(1000000000)
#define SILENCE_NS      (10 * NS_PER_S)         /* a server silent for so long is stuck */
#define READY_NS        (10 * NS_PER_S)         /* one not listening by then never will */
#define EVENTS          512
#define PER_SOURCE      20000                   /* connections from one of our addresses */
#define SOURCES         200                     /* 127.0.0.1 to 127.0.0.200 */

static struct {
	const char *host, *port;
	pid_t pid;
	int children;                   /* count reaped children too */
	int spin;                       /* never sleep: the server then pays for no wake-ups */
	size_t size;                    /* of a line, newline included */
	int connections, pipeline, concurrency;
	int hold, speak, partial;
	int64_t messages, warmup, connects;
	double seconds;
} opt = {
	.size = 64, .connections = 64, .pipeline = 1, .concurrency = 32,
	.warmup = -1, .spin = 1,
};

struct conn {
	int fd;
	int number;
	int wants_out;                  /* EPOLLOUT is on */
	int ending;                     /* --connect: the reply is in, the end is not yet */
	unsigned round;
	size_t sent, got;
	int64_t since;
	char *block;                    /* the lines of the round under way */
};

static struct sockaddr_storage server_address;
static socklen_t server_address_len;
static int ep = -1;
static size_t block_size;
static struct histogram latencies;
static char scratch[65536];

/* ---- connections ---- */

static void
resolve(void)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int error;

	if ((error = getaddrinfo(opt.host, opt.port, &hints, &list)) != 0)
		errx(1, "%s port %s: %s", opt.host, opt.port, gai_strerror(error));
	memcpy(&server_address, list->ai_addr, list->ai_addrlen);
	server_address_len = list->ai_addrlen;
	freeaddrinfo(list);
}

/* Ports run out for each pair of addresses, so on loopback more addresses are more connections. */
static int
bind_source(int fd, int source)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)&server_address;
	struct sockaddr_in from = { .sin_family = AF_INET };
	const int on = 1;

	if (source == 0 || to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return 0;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)(source % SOURCES));
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == -1)
		return -1;
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

/* A blocking socket: on loopback connect waits for the kernel only, never for the server. */
static int
try_connect(int source)
{
	const struct timeval limit = { .tv_sec = SILENCE_NS / NS_PER_S };
	const int on = 1;
	int error, fd;

	if ((fd = socket(server_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (bind_source(fd, source) == -1)
		err(1, "source address");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == -1)
		err(1, "socket options");
	if (connect(fd, (struct sockaddr *)&server_address, server_address_len) == -1) {
		error = errno;
		close(fd);
		errno = error == EINPROGRESS ? ETIMEDOUT : error;
		return -1;
	}
	return fd;
}

static int
connect_or_die(int source)
{
	int fd;

	if ((fd = try_connect(source)) == -1)
		err(1, "connect to %s port %s", opt.host, opt.port);
	return fd;
}

/* Until the server listens, as long as it lives. */
static void
wait_ready(void)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	const int64_t end = now_ns() + READY_NS;
	int fd;

	while ((fd = try_connect(0)) == -1) {
		if (errno != ECONNREFUSED || now_ns() > end)
			err(1, "connect to %s port %s", opt.host, opt.port);
		if (opt.pid != 0 && !is_running(opt.pid))
			errx(1, "the server, process %d, has ended", opt.pid);
		nanosleep(&pause, NULL);
	}
	close(fd);
}

static void
raise_open_files(int64_t needed)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "open files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "open files");
	if (limit.rlim_max != RLIM_INFINITY && (int64_t)limit.rlim_max < needed + 16)
		errx(1, "%" PRId64 " connections need %" PRId64 " open files, the limit is %" PRIu64,
		    needed, needed + 16, (uint64_t)limit.rlim_max);
}

static void *
zeroed(size_t count, size_t size)
{
	void *p;

	if ((p = calloc(count, size)) == NULL)
		err(1, "memory");
	return p;
}

static void
interest(const struct conn *c, int operation, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = NULL } };

	ev.data.ptr = (void *)(uintptr_t)c;
	if (epoll_ctl(ep, operation, c->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

/* ---- lines ---- */

/* Printable, and different for each connection and each line of the block as far as it fits. */
static void
fill_block(char *block, int number)
{
	char mark[32];
	size_t i, len;
	int line;

	for (line = 0; line < opt.pipeline; line++, block += opt.size) {
		for (i = 0; i < opt.size; i++)
			block[i] = (char)('!' + (i + (size_t)line * 7 + (size_t)number * 13) % 94);
		len = (size_t)snprintf(mark, sizeof(mark), "%d.%d ", number, line);
		if (len + 2 <= opt.size)
			memcpy(block, mark, len);
		block[opt.size - 1] = '\n';
	}
}

static void
stamp_round(char *block, unsigned round)
{
	int line;

	if (opt.size >= 2)
		for (line = 1; line <= opt.pipeline; line++)
			block[(size_t)line * opt.size - 2] = (char)('A' + round % 26);
}

static void
send_some(struct conn *c)
{
	ssize_t n;

	n = send(c->fd, c->block + c->sent, block_size - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			err(1, "connection %d: send", c->number);
		n = 0;
	}
	c->sent += (size_t)n;
	if (c->wants_out != (c->sent < block_size)) {
		c->wants_out = !c->wants_out;
		interest(c, EPOLL_CTL_MOD, c->wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

static void
start_round(struct conn *c, int64_t now)
{
	stamp_round(c->block, c->round++);
	c->sent = c->got = 0;
	c->since = now;
	send_some(c);
}

static void
check_reply(const struct conn *c, const char *p, size_t n)
{
	if (n > c->sent - c->got)
		errx(1, "connection %d: %zu bytes came back for %zu sent", c->number, c->got + n,
		    c->sent);
	if (memcmp(p, c->block + c->got, n) != 0)
		errx(1, "connection %d: the reply differs from what was sent, after round %u",
		    c->number, c->round - 1);
}

/* One recv. Returns 0 at the end of input, which only --connect expects. */
static int
receive_some(struct conn *c)
{
	ssize_t n;

	if ((n = recv(c->fd, scratch, sizeof(scratch), MSG_DONTWAIT)) == -1) {
		if (errno != EAGAIN && errno != EINTR)
			err(1, "connection %d: recv", c->number);
		return 1;
	}
	if (n == 0) {
		if (!c->ending)
			errx(1, "connection %d: the server ended it after %zu of %zu bytes",
			    c->number, c->got, block_size);
		return 0;
	}
	check_reply(c, scratch, (size_t)n);
	c->got += (size_t)n;
	return 1;
}

/* ---- the loop, shared by rounds and --connect ---- */

struct run {
	int64_t left;                   /* not yet begun; INT64_MAX: until the time is up */
	int64_t until;
	int64_t done;
	int under_way;
};

/* Takes the next unit of work: 0 when there is none. */
static int
take(struct run *run, int64_t now)
{
	if (run->left == 0 || (run->until != 0 && now >= run->until))
		return 0;
	if (run->left != INT64_MAX)
		run->left--;
	run->under_way++;
	return 1;
}

static int
wait_events(struct epoll_event *events)
{
	const int64_t end = now_ns() + SILENCE_NS;
	int n;

	do {
		n = epoll_wait(ep, events, EVENTS, opt.spin ? 0 : (int)(SILENCE_NS / 1000000));
		if (n == -1 && errno != EINTR)
			err(1, "epoll_wait");
		if (n <= 0 && now_ns() >= end)
			errx(1, "no reply for %d seconds", (int)(SILENCE_NS / NS_PER_S));
	} while (n <= 0);
	return n;
}

static void
drive(struct run *run, void (*ready)(struct run *, struct conn *, uint32_t))
{
	struct epoll_event events[EVENTS];
	int i, n;

	while (run->under_way > 0) {
		n = wait_events(events);
		for (i = 0; i < n; i++)
			ready(run, events[i].data.ptr, events[i].events);
	}
}

struct cost {
	int64_t wall, cpu, done;
};

static void
report(const char *unit, const struct cost *cost)
{
	const double seconds = (double)cost->wall / (double)NS_PER_S;

	printf("%ss=%" PRId64 "\nseconds=%.6f\n%ss_per_second=%.0f\n", unit, cost->done, seconds,
	    unit, (double)cost->done / seconds);
	if (opt.pid != 0)
		printf("server_cpu_ns_per_%s=%.1f\nserver_busy_percent=%.1f\n", unit,
		    (double)cost->cpu / (double)cost->done,
		    (double)cost->cpu * 100.0 / (double)cost->wall);
	printf("p50_ns=%" PRId64 "\np99_ns=%" PRId64 "\nerrors=0\n",
	    histogram_percentile(&latencies, 50), histogram_percentile(&latencies, 99));
}

/* Runs one phase between two points of rest; in --seconds of it, 0: as long as the work lasts. */
static struct cost
timed(int64_t work, double seconds, int64_t (*phase)(struct run *))
{
	struct run run = { .left = seconds > 0 ? INT64_MAX : work };
	struct cost cost = { 0 };
	int64_t start;

	memset(&latencies, 0, sizeof(latencies));
	if (opt.pid != 0) {
		settle(opt.pid);
		cost.cpu = -cpu_ns(opt.pid, opt.children);
	}
	start = now_ns();
	if (seconds > 0)
		run.until = start + (int64_t)(seconds * (double)NS_PER_S);
	cost.done = phase(&run);
	cost.wall = now_ns() - start;
	if (opt.pid != 0) {
		settle(opt.pid);
		cost.cpu += cpu_ns(opt.pid, opt.children);
	}
	return cost;
}

/* ---- rounds: the default ---- */

static struct conn *conns;

static void
round_ready(struct run *run, struct conn *c, uint32_t events)
{
	int64_t now;

	if (events & ~(uint32_t)EPOLLOUT)
		receive_some(c);
	if (c->wants_out)
		send_some(c);
	if (c->got < block_size)
		return;
	now = now_ns();
	histogram_add(&latencies, now - c->since);
	run->done++;
	run->under_way--;
	if (take(run, now))
		start_round(c, now);
}

static int64_t
rounds(struct run *run)
{
	int64_t now;
	int i;

	for (i = 0; i < opt.connections && take(run, now = now_ns()); i++)
		start_round(&conns[i], now);
	drive(run, round_ready);
	return run->done;
}

static void
open_conns(void)
{
	int i;

	raise_open_files(opt.connections);
	conns = zeroed((size_t)opt.connections, sizeof(*conns));
	for (i = 0; i < opt.connections; i++) {
		conns[i].number = i;
		conns[i].fd = connect_or_die(i / PER_SOURCE);
		conns[i].block = zeroed(1, block_size);
		fill_block(conns[i].block, i);
		interest(&conns[i], EPOLL_CTL_ADD, EPOLLIN);
	}
}

static int64_t
rounds_for(int64_t messages)
{
	return (messages + opt.pipeline - 1) / opt.pipeline;
}

static void
load_rounds(void)
{
	struct cost cost;

	if (opt.warmup == -1)
		opt.warmup = opt.messages / 10 + (int64_t)opt.connections * opt.pipeline * 4;
	open_conns();
	timed(rounds_for(opt.warmup), 0, rounds);
	cost = timed(rounds_for(opt.messages), opt.seconds, rounds);
	cost.done *= opt.pipeline;
	report("message", &cost);
}

/* ---- --connect ---- */

/* Its conns are slots; each connection comes from the next address, so that ports last. */
static void
open_slot(struct conn *c, int64_t now)
{
	static int opened;

	c->fd = connect_or_die(opened++ % SOURCES);
	c->ending = c->wants_out = 0;
	interest(c, EPOLL_CTL_ADD, EPOLLIN);
	start_round(c, now);
}

/* The server has ended its side too before the connection counts: what it costs is then all in. */
static void
slot_ready(struct run *run, struct conn *c, uint32_t events)
{
	int64_t now;

	if (events & ~(uint32_t)EPOLLOUT && !receive_some(c)) {
		close(c->fd);
		now = now_ns();
		histogram_add(&latencies, now - c->since);
		run->done++;
		run->under_way--;
		if (take(run, now))
			open_slot(c, now);
		return;
	}
	if (c->wants_out)
		send_some(c);
	if (c->got == block_size && !c->ending) {
		c->ending = 1;
		if (shutdown(c->fd, SHUT_WR) == -1)
			err(1, "shutdown");
	}
}

static int64_t
connects(struct run *run)
{
	int64_t now;
	int i;

	for (i = 0; i < opt.concurrency && take(run, now = now_ns()); i++)
		open_slot(&conns[i], now);
	drive(run, slot_ready);
	return run->done;
}

static void
load_connects(void)
{
	struct cost cost;
	int i;

	if (opt.warmup == -1)
		opt.warmup = opt.connects / 10 + opt.concurrency;
	raise_open_files(opt.concurrency);
	conns = zeroed((size_t)opt.concurrency, sizeof(*conns));
	for (i = 0; i < opt.concurrency; i++) {
		conns[i].number = i;
		conns[i].block = zeroed(1, block_size);
		fill_block(conns[i].block, i);
	}
	timed(opt.warmup, 0, connects);
	cost = timed(opt.connects, 0, connects);
	report("connection", &cost);
}

/* ---- --hold ---- */

static void
send_part(int fd, int number, const char *p, size_t n)
{
	ssize_t sent;

	if ((sent = send(fd, p, n, MSG_NOSIGNAL)) != (ssize_t)n)
		err(1, "connection %d: send", number);
}

static void
expect(int fd, int number, const char *p)
{
	ssize_t n;

	n = recv(fd, scratch, block_size, MSG_WAITALL);
	if (n == -1)
		err(1, "connection %d: no reply", number);
	if (n != (ssize_t)block_size)
		errx(1, "connection %d: the server ended it", number);
	if (memcmp(scratch, p, block_size) != 0)
		errx(1, "connection %d: the reply differs from what was sent", number);
}

/* In turns of --concurrency: so many lines are with the server at once, however many are held. */
static void
speak(const int *fds, int first, int count, size_t from)
{
	int begin, end, i;

	for (begin = first; begin < first + count; begin = end) {
		end = begin + opt.concurrency;
		if (end > first + count)
			end = first + count;
		for (i = begin; i < end; i++) {
			fill_block(scratch, i);
			send_part(fds[i], i, scratch + from, block_size - from);
		}
		for (i = begin; i < end; i++) {
			char *line = scratch + sizeof(scratch) / 2;

			fill_block(line, i);
			expect(fds[i], i, line);
		}
	}
}

static void
open_held(int *fds, int first, int count)
{
	int i, n;

	for (; count > 0; first += n, count -= n) {
		n = count < opt.concurrency ? count : opt.concurrency;
		for (i = first; i < first + n; i++)
			fds[i] = connect_or_die(i / PER_SOURCE);
		if (opt.speak)
			speak(fds, first, n, 0);
		for (i = first; opt.partial && i < first + n; i++) {
			fill_block(scratch, i);
			send_part(fds[i], i, scratch, block_size / 2);
		}
	}
}

/* The backlog may still hold some: measured is what the server has really taken. */
static void
wait_accepted(int needed)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	const int64_t end = now_ns() + 3 * SILENCE_NS;
	int have;

	while ((have = open_files_of(opt.pid)) < needed) {
		if (now_ns() > end)
			errx(1, "the server took %d connections too few of %d", needed - have,
			    opt.hold);
		nanosleep(&pause, NULL);
	}
}

static void
report_held(const struct memory *before, const struct memory *after)
{
	const double n = opt.hold;

	printf("connections=%d\nmemory_before=%" PRId64 "\nmemory_after=%" PRId64 "\n", opt.hold,
	    before->private_dirty, after->private_dirty);
	printf("bytes_per_connection=%.1f\n",
	    (double)(after->private_dirty - before->private_dirty) / n);
	printf("pss_anon_per_connection=%.1f\n",
	    (double)(after->anonymous - before->anonymous) / n);
	printf("rss_per_connection=%.1f\n", (double)(after->resident - before->resident) / n);
	printf("page_table_before=%" PRId64 "\npage_table_after=%" PRId64 "\n", before->page_tables,
	    after->page_tables);
	printf("page_table_bytes_per_connection=%.1f\n",
	    (double)(after->page_tables - before->page_tables) / n);
}

/* One connection more comes before the count, so that what a server sets up once is not in it. */
static void
load_hold(void)
{
	struct memory before, after;
	int *fds, base;

	raise_open_files(opt.hold + 1);
	fds = zeroed((size_t)opt.hold + 1, sizeof(*fds));
	settle(opt.pid);
	base = open_files_of(opt.pid);
	open_held(fds, 0, 1);
	wait_accepted(base + 1);
	settle(opt.pid);
	memory_of(opt.pid, &before);

	open_held(fds, 1, opt.hold);
	wait_accepted(base + 1 + opt.hold);
	settle(opt.pid);
	memory_of(opt.pid, &after);
	report_held(&before, &after);

	if (opt.speak || opt.partial) {                 /* and each of them is still served */
		speak(fds, 0, opt.hold + 1, opt.partial ? block_size / 2 : 0);
		settle(opt.pid);
		memory_of(opt.pid, &after);
		printf("memory_after_speaking_again=%" PRId64 "\n", after.private_dirty);
	}
	printf("errors=0\n");
	free(fds);
}

/* ---- --free-port ---- */

static void
print_free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "free port");
	printf("%d\n", ntohs(sin.sin_port));
}

/* ---- command line ---- */

static const char usage_text[] =
"usage: load HOST PORT --messages M | --seconds S [options]    rounds over open connections\n"
"       load HOST PORT --connect M [options]                   one line on each, then it goes\n"
"       load HOST PORT --hold N --pid PID [options]            open connections: their memory\n"
"       load HOST PORT --ready [--pid PID]                     wait until it listens\n"
"       load --free-port                                       print one\n"
"  --pid PID          the server: count its CPU time\n"
"  --children         with that of the children it has reaped (told to 10 ms)\n"
"  --size BYTES       of a line, newline included (64)\n"
"  --warmup M         messages or connections before the count begins (a tenth)\n"
"  --sleep            sleep when there is nothing to read, rather than spin\n"
"rounds:\n"
"  --connections N    (64)\n"
"  --pipeline K       lines in one send (1)\n"
"--connect and --hold:\n"
"  --concurrency C    connections, or lines, under way at once (32)\n"
"--hold:\n"
"  --speak            send a line on each and read it back\n"
"  --partial          then send half a line and no more\n";

static int64_t
number(const char *name, const char *text, int64_t min, int64_t max)
{
	char *end;
	int64_t n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
		errx(2, "--%s %s: not a number from %" PRId64 " to %" PRId64, name, text, min, max);
	return n;
}

static double
duration(const char *text)
{
	char *end;
	double n;

	n = strtod(text, &end);
	if (end == text || *end != '\0' || !(n > 0 && n < 1e6))
		errx(2, "--seconds %s: not a time", text);
	return n;
}

enum { O_CONNECTIONS, O_SIZE, O_PIPELINE, O_SECONDS, O_MESSAGES, O_PID, O_WARMUP, O_HOLD, O_SPEAK,
	O_PARTIAL, O_CONNECT, O_CONCURRENCY, O_CHILDREN, O_SLEEP, O_READY, O_FREE_PORT, O_HELP };

static const struct option options[] = {
	{ "connections", required_argument, NULL, O_CONNECTIONS },
	{ "size", required_argument, NULL, O_SIZE },
	{ "pipeline", required_argument, NULL, O_PIPELINE },
	{ "seconds", required_argument, NULL, O_SECONDS },
	{ "messages", required_argument, NULL, O_MESSAGES },
	{ "pid", required_argument, NULL, O_PID },
	{ "warmup", required_argument, NULL, O_WARMUP },
	{ "hold", required_argument, NULL, O_HOLD },
	{ "speak", no_argument, NULL, O_SPEAK },
	{ "partial", no_argument, NULL, O_PARTIAL },
	{ "connect", required_argument, NULL, O_CONNECT },
	{ "concurrency", required_argument, NULL, O_CONCURRENCY },
	{ "children", no_argument, NULL, O_CHILDREN },
	{ "sleep", no_argument, NULL, O_SLEEP },
	{ "ready", no_argument, NULL, O_READY },
	{ "free-port", no_argument, NULL, O_FREE_PORT },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static void
parse(int argc, char **argv, int *ready, int *free_port)
{
	const char *name;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == '?')
			exit(2);
		name = options[o].name;
		switch (o) {
		case O_CONNECTIONS: opt.connections = (int)number(name, optarg, 1, 1000000); break;
		case O_SIZE:        opt.size = (size_t)number(name, optarg, 1, 1 << 24); break;
		case O_PIPELINE:    opt.pipeline = (int)number(name, optarg, 1, 100000); break;
		case O_SECONDS:     opt.seconds = duration(optarg); break;
		case O_MESSAGES:    opt.messages = number(name, optarg, 1, INT64_MAX / 2); break;
		case O_PID:         opt.pid = (pid_t)number(name, optarg, 1, INT_MAX); break;
		case O_WARMUP:      opt.warmup = number(name, optarg, 0, INT64_MAX / 2); break;
		case O_HOLD:        opt.hold = (int)number(name, optarg, 1, 1000000); break;
		case O_SPEAK:       opt.speak = 1; break;
		case O_PARTIAL:     opt.partial = 1; break;
		case O_CONNECT:     opt.connects = number(name, optarg, 1, INT64_MAX / 2); break;
		case O_CONCURRENCY: opt.concurrency = (int)number(name, optarg, 1, 100000); break;
		case O_CHILDREN:    opt.children = 1; break;
		case O_SLEEP:       opt.spin = 0; break;
		case O_READY:       *ready = 1; break;
		case O_FREE_PORT:   *free_port = 1; break;
		case O_HELP:        fputs(usage_text, stdout); exit(0);
		}
	}
	opt.host = argv[optind];
	opt.port = argc - optind == 2 ? argv[optind + 1] : NULL;
}

static void
check(int ready)
{
	const int modes = ready + (opt.hold != 0) + (opt.connects != 0) + (opt.messages != 0) +
	    (opt.seconds > 0);

	if (opt.port == NULL || modes != 1) {
		fputs(usage_text, stderr);
		exit(2);
	}
	if (opt.hold != 0 && opt.pid == 0)
		errx(2, "--hold needs --pid");
	if (opt.hold != 0 && opt.size > sizeof(scratch) / 2)
		errx(2, "--hold: --size at most %zu", sizeof(scratch) / 2);
	if ((opt.hold != 0 || opt.connects != 0) && opt.pipeline != 1)
		errx(2, "--pipeline is for rounds only");
	if (opt.partial && opt.size < 2)
		errx(2, "--partial needs --size 2 or more");
}

int
main(int argc, char **argv)
{
	int free_port = 0, ready = 0;

	parse(argc, argv, &ready, &free_port);
	if (free_port) {
		print_free_port();
		return 0;
	}
	check(ready);
	block_size = opt.size * (size_t)opt.pipeline;
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	resolve();
	wait_ready();
	if (opt.hold != 0)
		load_hold();
	else if (opt.connects != 0)
		load_connects();
	else if (!ready)
		load_rounds();
	if (fflush(stdout) != 0)
		err(1, "stdout");
	return 0;
}
