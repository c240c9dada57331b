/* SPDX-License-Identifier: MIT */
#include "bad_host.h"

#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

SIGNALS_KILL;

/* -- in the host -- */

static int gate_in_host; /* what a blocked handler reads */
static volatile int always = 1;
static int *volatile nowhere = (int *)64; /* not NULL, which UBSan would see */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One write, so one line also among those of other processes. */
static void
say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	(void)!write(STDERR_FILENO, line, (size_t)n);
}

static __attribute__((noinline)) int
recurse(int n)
{
	volatile char frame[500];

	frame[0] = 1;
	__asm__ volatile("" : : "r"(frame) : "memory");
	return always ? recurse(n + 1) + frame[0] : 0;
}

static void
leak(struct sks_request *req)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sks_printf(req->wfile, "%s\n", fd != -1 ? "leaked" : strerror(errno));
}

/* Outside of the library: the test opens the gate. */
static void
block(void)
{
	char c;

	say("blocks\n");
	while (read(gate_in_host, &c, 1) == -1 && errno == EINTR)
		;
}

static int
wait_for_more(struct sks_request *req, int ms)
{
	char *line;

	sks_deadline(req, ms);
	say("waits\n");
	return sks_readline(req->rfile, &line) == -1 ? -1 : SKS_DONE;
}

/* A word for each misdeed; a line of another word comes back. */
static int
misbehave(struct sks_request *req)
{
	char *word = sks_gets(req->rfile);

	if (word == NULL)
		return sks_end(req->rfile);
	if (strcmp(word, "error") == 0) {
		errno = EPROTO;
		return -1;
	} else if (strcmp(word, "wait") == 0) {
		return wait_for_more(req, SKS_OFF);
	} else if (strcmp(word, "time-out") == 0) {
		return wait_for_more(req, 1);
	} else if (strcmp(word, "block") == 0) {
		block();
	} else if (strcmp(word, "spin") == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a child, should the test fail */
		say("spins\n");
		while (always)
			;
	} else if (strcmp(word, "crash") == 0) {
		*nowhere = 1;
	} else if (strcmp(word, "abort") == 0) {
		abort();
	} else if (strcmp(word, "overflow") == 0) {
		return recurse(0);
	} else if (strcmp(word, "exit") == 0) {
		exit(EXIT_OF_HANDLER);
	} else if (strcmp(word, "quick-exit") == 0) {
		quick_exit(EXIT_OF_HANDLER);
	} else if (strcmp(word, "leak") == 0) {
		leak(req);
		return SKS_KEEP;
	} else if (strcmp(word, "thread") == 0) {
		sks_printf(req->wfile, "%d\n", (int)gettid());
		return SKS_KEEP;
	}
	sks_printf(req->wfile, "%s\n", word);
	return SKS_KEEP;
}

static const struct sks_handler bad_handler = { .name = "bad", .handle = misbehave, .client_first = 1 };

static void
say_goodbye(void)
{
	say("atexit\n");
}

static void
say_quick_goodbye(void)
{
	say("at_quick_exit\n");
}

int
warn_ms(void)
{
	return is_slow() ? 1000 : 0; /* then good handlers are slow, too */
}

static struct sks_server *server_in_host;

static void
stop_server(int signo)
{
	(void)signo;
	sks_server_shutdown(server_in_host);
}

/* For handlers that never end. */
static int is_impatient;

void
be_impatient(void)
{
	is_impatient = 1;
}

/* A program with a server, as programs are: SIGTERM ends it. */
static int
run_host(const struct acc_mode *mode)
{
	struct sks_options options = acc_options(mode, &(struct sks_options){ .idle_ms = SKS_OFF });
	struct sks_stats stats;
	char address[128];
	int rc, error;

	options.block_warn_ms = warn_ms();
	if (is_impatient)
		options.drain_ms = options.linger_ms = 1;
	atexit(say_goodbye);
	at_quick_exit(say_quick_goodbye);
	(void)sks_fiber_report_overflow();
	server_in_host = sks_tcp_server_new("127.0.0.1:0", &bad_handler, &options);
	if (server_in_host == NULL)
		return 1;
	signal(SIGTERM, stop_server);
	say("address %s\n", sks_server_address(server_in_host, 0, address, sizeof(address)));
	rc = sks_serve_forever(server_in_host);
	error = errno;
	sks_server_stats(server_in_host, &stats);
	say("served %d %s\n", rc, rc == 0 ? "" : strerror(error));
	say("failed %d blocked %d\n", (int)stats.failed, (int)stats.blocked);
	if (rc == -1)
		_exit(2); /* freeing would wait for what does not end */
	sks_server_free(server_in_host);
	return 0;
}

/* -- hearing it -- */

/* What it says next; 0: it has ended, with all its children. */
static int
hear_more(struct host *host)
{
	struct pollfd p = { .fd = host->out, .events = POLLIN };
	ssize_t n;

	if (host->out == -1)
		return 0;
	ck_assert_uint_lt(host->len, sizeof(host->said) - 1);
	ck_assert_msg(poll(&p, 1, PEER_DEADLINE_MS) == 1, "it says no more than: %s", host->said);
	n = read(host->out, host->said + host->len, sizeof(host->said) - 1 - host->len);
	ck_assert_int_ge(n, 0);
	host->len += (size_t)n;
	host->said[host->len] = '\0';
	return n > 0;
}

void
hears(struct host *host, const char *text)
{
	char *at;

	while ((at = strstr(host->said + host->heard, text)) == NULL)
		ck_assert_msg(hear_more(host), "it never said \"%s\", but: %s", text, host->said);
	host->heard = (size_t)(at - host->said) + strlen(text);
}

int
times_said(const struct host *host, const char *text)
{
	const char *at = host->said;
	int n = 0;

	while ((at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

void
hears_the_end(struct host *host)
{
	while (hear_more(host))
		;
}

/* -- its life -- */

void
start_host(struct host *host, int mode, void (*prepare)(void))
{
	int out[2], gate[2];
	char *end;

	*host = (struct host){ .mode = mode };
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	host->pid = fork();
	ck_assert_int_ne(host->pid, -1);
	if (host->pid == 0) {
		VALGRIND_DISABLE_ERROR_REPORTING; /* what it does is wrong on purpose */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		close(gate[1]);
		gate_in_host = gate[0];
		if (prepare != NULL)
			prepare();
		exit(run_host(&acc_modes[mode]));
	}
	close(out[1]);
	close(gate[0]);
	host->out = out[0];
	host->gate = gate[1];
	hears(host, "address ");
	while ((end = strchr(host->said + host->heard, '\n')) == NULL)
		hear_more(host);
	snprintf(host->address, sizeof(host->address), "%.*s",
	    (int)(end - host->said - (long)host->heard), host->said + host->heard);
}

void
join_host(struct host *host)
{
	ck_assert_int_eq(waitpid(host->pid, &host->status, 0), host->pid);
	hears_the_end(host);
	close(host->out);
	close(host->gate);
	host->out = -1;
}

void
stop_host(struct host *host)
{
	kill(host->pid, SIGTERM);
	join_host(host);
}

void
kill_host(struct host *host)
{
	kill(host->pid, SIGKILL);
	join_host(host);
}

int
died_of(const struct host *host, int signo)
{
	return WIFSIGNALED(host->status) && WTERMSIG(host->status) == signo;
}

int
ended_with(const struct host *host, int code)
{
	return WIFEXITED(host->status) && WEXITSTATUS(host->status) == code;
}

/* -- its clients -- */

void
is_served(int fd)
{
	peer_puts(fd, "good\n");
	peer_expect(fd, "good\n");
}

int
new_client(struct host *host)
{
	int fd = peer_connect(host->address);

	is_served(fd);
	return fd;
}

void
others_go_on(struct host *host, int good)
{
	is_served(good);
	close(new_client(host));
}

void
all_die_of(struct host *host, int good, int bad, int signo)
{
	join_host(host);
	ck_died_of(host, signo);
	ck_assert_int_eq(times_said(host, "atexit"), 0);
	peer_expect_gone(good);
	peer_expect_gone(bad);
}

void
one_dies_of(struct host *host, int good, int bad, const char *how)
{
	char line[100];

	peer_expect_gone(bad);
	snprintf(line, sizeof(line), "killed by signal %s\n", how);
	hears(host, "bad: 127.0.0.1:");
	hears(host, line);
	others_go_on(host, good);
	close(good);
	stop_host(host);
	hears(host, "failed 1 ");
	ck_ended_with(host, 0);
}
