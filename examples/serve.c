/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct sks_server *serving;

/* sks_server_shutdown() is one of the few calls that a signal handler may make. */
static void
on_signal(int signo)
{
	(void)signo;
	sks_server_shutdown(serving);
}

int
is_ignored(int signo)
{
	struct sigaction action;

	return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void
on_signals(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	if (!is_ignored(SIGINT))
		sigaction(SIGINT, &action, NULL);
	if (!is_ignored(SIGTERM))
		sigaction(SIGTERM, &action, NULL);
}

int
listen_code(const char *address)
{
	if (strncmp(address, "fd:", 3) == 0) /* a wrong socket, maybe */
		return 1;
	return errno == EINVAL || errno == ENAMETOOLONG ? USAGE : 1;
}

int
listen_on(struct sks_server *server, const char *address)
{
	if (server == NULL)
		return errno == EINVAL ? USAGE : 1;
	return sks_server_listen(server, address) == 0 ? 0 : listen_code(address);
}

void
announce(const struct sks_server *server)
{
	char address[256];
	unsigned int i;

	for (i = 0; sks_server_listen_address(server, i, address, sizeof(address)) != NULL; i++)
		printf("%s: listening on %s\n", program_invocation_short_name, address);
	fflush(stdout);
}

void
print_statistics(const struct sks_stats *s)
{
	printf("%s: stopped: %" PRIu64 " connections, %" PRIu64 " datagrams, %" PRIu64 " failed, "
	       "%" PRIu64 " bytes in, %" PRIu64 " bytes out\n",
	    program_invocation_short_name, s->accepted, s->datagrams, s->failed, s->bytes_in,
	    s->bytes_out);
	fflush(stdout);
}

/*
 * options.stop_signals makes the library catch the signals while it serves.
 * A program that reads our first line may send a signal before that, so we
 * have a handler of our own, too.
 */
int
serve(struct sks_server *server)
{
	struct sks_stats stats;
	int rc;

	serving = server;
	on_signals(on_signal);
	announce(server);
	rc = sks_serve_forever(server);
	if (rc == -1 && errno == ETIMEDOUT)
		warnx("some requests did not end in time and were cut off");
	else if (rc == -1)
		warn("serve");
	on_signals(SIG_IGN);
	sks_server_stats(server, &stats);
	sks_server_free(server);
	print_statistics(&stats);
	return rc == 0 ? 0 : 1;
}

int
listen_and_serve(const struct sks_handler *handler, const struct options *options)
{
	struct sks_server *server = sks_server_new(handler, &options->server);
	int code = listen_on(server, options->address);

	if (code == 0)
		return serve(server);
	sks_server_free(server);
	return code;
}
