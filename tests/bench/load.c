/*
 * Load for any echo server over TCP, and what it costs the server.
 *
 * Four loads: rounds over open connections (the default), the same at a fixed rate (--rate),
 * connections that are only held (--hold), connections that come, say one line and go (--connect).
 * Each counts what the server's
 * process spent between two points where nothing is under way: all replies are in and the server
 * sleeps. So the count of messages is exact, and so is the CPU time, which the kernel knows to the
 * tick only while a process runs. A fixed time with a snapshot at each end was the alternative; it
 * is wrong by a tick and by what is in flight.
 *
 * Every reply is compared with what was sent; lines differ by connection, place and round. The
 * first difference, early end or silence ends the program with one line and exit code 1.
 */

#define _GNU_SOURCE 1
#include "load.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct load_options opt = {
	.size = 64, .connections = 64, .pipeline = 1, .concurrency = 32,
	.warmup = -1, .spin = 1,
};

/* ---- --free-port ---- */

/*
 * One below those that the kernel gives by itself (ip_local_port_range): nobody gets it by chance
 * before the server that it is for.
 */
static void
print_free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int i, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	srand((unsigned int)now.tv_nsec ^ (unsigned int)getpid());
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < 100; i++) {
		sin.sin_port = htons((uint16_t)(20000 + rand() % 12000));
		if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0) {
			printf("%d\n", ntohs(sin.sin_port));
			return;
		}
	}
	err(1, "free port");
}

/* ---- command line ---- */

static const char usage_text[] =
"usage: load HOST PORT --messages M | --seconds S [options]    rounds over open connections\n"
"       load HOST PORT --rate R --seconds S [options]          R messages are due in a second\n"
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
"  --idle N           N more connections, which have said a line and stay silent\n"
"  --udp              datagrams\n"
"--rate: a message that waits for an earlier one is late from the time when it was due\n"
"--connect:\n"
"  --seconds S        for so long; M is then what the warm-up is a tenth of\n"
"  --reset            end each connection by a reset, not by an orderly end\n"
"  --hello            send nothing: the server says Hello World! and ends\n"
"--connect, --hold and --idle:\n"
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
	O_PARTIAL, O_CONNECT, O_CONCURRENCY, O_CHILDREN, O_SLEEP, O_RESET, O_READY, O_FREE_PORT, O_HELP,
	O_RATE, O_IDLE, O_UDP, O_HELLO };

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
	{ "reset", no_argument, NULL, O_RESET },
	{ "ready", no_argument, NULL, O_READY },
	{ "free-port", no_argument, NULL, O_FREE_PORT },
	{ "help", no_argument, NULL, O_HELP },
	{ "rate", required_argument, NULL, O_RATE },
	{ "idle", required_argument, NULL, O_IDLE },
	{ "udp", no_argument, NULL, O_UDP },
	{ "hello", no_argument, NULL, O_HELLO },
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
		case O_RESET:       opt.reset = 1; break;
		case O_RATE:        opt.rate = number(name, optarg, 1, NS_PER_S); break;
		case O_IDLE:        opt.idle = (int)number(name, optarg, 0, 1000000); break;
		case O_UDP:         opt.udp = 1; break;
		case O_HELLO:       opt.hello = 1; break;
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
	    (opt.seconds > 0 && opt.connects == 0);

	if (opt.port == NULL || modes != 1) {
		fputs(usage_text, stderr);
		exit(2);
	}
	if (opt.hold != 0 && opt.pid == 0)
		errx(2, "--hold needs --pid");
	if ((opt.hold != 0 || opt.idle != 0) && opt.size * (size_t)opt.pipeline > sizeof(scratch) / 2)
		errx(2, "--hold and --idle: --size at most %zu", sizeof(scratch) / 2);
	if ((opt.hold != 0 || opt.connects != 0) && opt.pipeline != 1)
		errx(2, "--pipeline is for rounds only");
	if ((opt.reset || opt.hello) && opt.connects == 0)
		errx(2, "--reset and --hello are for --connect only");
	if (opt.rate != 0 && (opt.seconds <= 0 || opt.connects != 0))
		errx(2, "--rate needs --seconds, and no --connect");
	if (opt.udp && (opt.connects != 0 || opt.hold != 0 || opt.pipeline != 1))
		errx(2, "--udp is for rounds and --rate, a line in each datagram");
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
	block_size = opt.hello ? strlen(HELLO) : opt.size * (size_t)opt.pipeline;
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	resolve();
	wait_ready();
	if (opt.hold != 0)
		load_hold();
	else if (opt.connects != 0)
		load_connects();
	else if (opt.rate != 0)
		load_rate();
	else if (!ready)
		load_rounds();
	if (fflush(stdout) != 0)
		err(1, "stdout");
	return 0;
}
