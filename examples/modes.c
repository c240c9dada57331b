/* SPDX-License-Identifier: MIT */
/*
 * modes: the same handler under every mode, each on a port of its own. It
 * answers with what ran it: the process, the thread, and where its stack lies.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <socketserver.h>
#include <socketserver/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	struct sks_options options;
} modes[] = {
	{ "serial", { .mode = SKS_SERIAL } },
	{ "fibers", { .mode = SKS_FIBERS } },
	{ "threads", { .mode = SKS_THREADS } },
	{ "processes", { .mode = SKS_PROCESSES } },
	{ "fibers on 2 loops", { .mode = SKS_FIBERS, .workers = 2 } },
};

#define MODES ((int)(sizeof(modes) / sizeof(modes[0])))
#define FIRST_PORT 23001

static int
tell(struct sks_request *req)
{
	int here;

	return sks_printf(req->wfile, "process %d, thread %d, stack at %p\n", (int)getpid(),
	    (int)gettid(), (void *)&here);
}

static int
serve(int i, const char *host, int port)
{
	struct sks_handler handler = { .name = modes[i].name, .handle = tell };
	struct sks_options options = modes[i].options;
	struct sks_server *server;
	char address[300];
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	options.stop_signals = 1;
	snprintf(address, sizeof(address), "%s:%d", host, port);
	server = sks_tcp_server_new(address, &handler, &options);
	if (server == NULL)
		return 1; /* the library has said why */
	printf("modes: %s: listening on tcp:%s\n", modes[i].name,
	    sks_server_address(server, 0, address, sizeof(address)));
	fflush(stdout);
	rc = sks_serve_forever(server);
	sks_server_free(server);
	return rc == 0 ? 0 : 1;
}

static pid_t servers[MODES];

static void
stop_all(int signo)
{
	int i;

	(void)signo;
	for (i = 0; i < MODES; i++)
		if (servers[i] > 0)
			kill(servers[i], SIGTERM);
}

/* A shell has SIGINT ignored for what runs in the background; then it stays so. */
static void
catch_signal(int signo)
{
	struct sigaction action = { .sa_handler = stop_all }, before;

	if (sigaction(signo, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(signo, &action, NULL);
}

/* One that cannot serve takes the others with it. */
static int
wait_for_all(void)
{
	int status, failed = 0;

	for (;;) {
		if (wait(&status) == -1) {
			if (errno == EINTR)
				continue;
			return failed;
		}
		if (status != 0) {
			failed = 1;
			stop_all(SIGTERM);
		}
	}
}

int
main(int argc, char **argv)
{
	const char *host = "localhost";
	int i, port = FIRST_PORT;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("usage: modes [HOST [PORT]]\n\nThe same handler under every mode, on HOST (%s) and "
		       "%d ports from PORT (%d) on,\nwhere 0 is any free ones: ask it with echo_client or "
		       "nc. SIGINT or SIGTERM ends it.\n", host, MODES, port);
		return 0;
	}
	if (argc > 3 || (argc > 1 && argv[1][0] == '-'))
		errx(2, "usage: modes [HOST [PORT]]");
	if (argc > 1)
		host = argv[1];
	if (argc > 2) {
		char *end;
		long n = strtol(argv[2], &end, 10);

		if (*end != '\0' || end == argv[2] || n < 0 || n > 65535 - MODES)
			errx(2, "'%s' is not a port from 0 to %d", argv[2], 65535 - MODES);
		port = (int)n;
	}
	sks_process_reset_signals();
	for (i = 0; i < MODES; i++) {
		servers[i] = fork();
		if (servers[i] == -1)
			err(1, "fork");
		if (servers[i] == 0)
			exit(serve(i, host, port == 0 ? 0 : port + i));
	}
	catch_signal(SIGTERM);
	catch_signal(SIGINT);
	return wait_for_all();
}
