/* SPDX-License-Identifier: MIT */
/*
 * prefork_server: what the program listens on is served by several processes. One that crashes
 * takes its own clients with it, and is replaced.
 */
#include <err.h>
#include <signal.h>
#include <socketserver.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "logs.h"
#include "options.h"
#include "serve.h"

#define PROCESSES 4

static int
echo(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL)
		sks_printf(req->wfile, "%d: %s\n", (int)getpid(), line);
	return sks_end(req->rfile);
}

/* The child inherits signals that are blocked; stop_signals lets them through while it serves. */
static pid_t
start(struct sks_server *server)
{
	pid_t pid = fork();

	if (pid == -1)
		err(EXIT_FAILURE, "fork");
	if (pid == 0) {
		if (sks_serve_forever(server) == -1)
			err(EXIT_FAILURE, "serve");
		sks_server_free(server);
		exit(EXIT_SUCCESS);
	}
	return pid;
}

/* Replaces those that a signal has killed. 0: one has ended by itself, as it could not serve. */
static int
look_after(struct sks_server *server, pid_t *pids)
{
	int i, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!WIFSIGNALED(status))
			return 0;
		warnx("process %d: killed by signal %d", (int)pid, WTERMSIG(status));
		for (i = 0; i < PROCESSES; i++)
			if (pids[i] == pid)
				pids[i] = start(server);
	}
	return 1;
}

/* Until a signal says to stop, which is returned, or a process cannot serve: SIGCHLD. */
static int
look_after_all(struct sks_server *server, pid_t *pids, const sigset_t *signals)
{
	int signo;

	for (;;) {
		sigwait(signals, &signo);
		if (signo == SIGHUP)
			reopen_logs(); /* the children follow with their next line */
		else if (signo != SIGCHLD || !look_after(server, pids))
			return signo;
	}
}

static int
stop_all(const pid_t *pids)
{
	int i, status, code = EXIT_SUCCESS;

	for (i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGTERM);
	while (wait(&status) > 0)
		if (status != 0)
			code = EXIT_FAILURE;
	return code;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = { .name = "prefork", .handle = echo };
	struct options options = {
		.about = "Echoes lines, each with the number of the process that has read it.",
		.address = "localhost:23009",
		.server = { .stop_signals = 1 },
	};
	struct sks_server *server;
	pid_t pids[PROCESSES];
	sigset_t signals;
	int i, signo, code;

	parse_options(argc, argv, &options);
	server = sks_server_new(&handler, &options.server);
	code = listen_on(server, options.address);
	if (code != 0)
		return code; /* the library has said why */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	if (has_log_files())
		sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (i = 0; i < PROCESSES; i++)
		pids[i] = start(server);
	announce(server);
	signo = look_after_all(server, pids, &signals);
	sks_server_free(server);
	return stop_all(pids) == EXIT_SUCCESS && signo != SIGCHLD ? EXIT_SUCCESS : EXIT_FAILURE;
}
