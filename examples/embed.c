/* SPDX-License-Identifier: MIT */
/*
 * embed: a console inside a program that has an event loop already.
 *
 * The host makes the event_base, runs it, and has events of its own: here a timer and two
 * signals. The server lives in the same loop, and its handler is a function of the host as
 * its other callbacks are: "status" tells what the host counts, "stop" ends it.
 *
 * The end goes in order: a signal or that command asks the server to stop; when it has
 * (on_stop), the host takes its own events out, and the loop has nothing left and returns.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct host {
	struct event_base *base;
	struct event *timer, *interrupt, *terminate;
	struct sks_server *server;
	atomic_int seconds, stopping; /* with --mode threads or --workers, others use them too */
};

static int
obey(struct sks_request *req)
{
	struct host *host = req->data;
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return sks_end(req->rfile);
	if (strcmp(line, "status") == 0) {
		sks_printf(req->wfile, "%d seconds\n", host->seconds);
	} else if (strcmp(line, "stop") == 0) {
		sks_puts(req->wfile, "stopping\n");
		host->stopping++;
		sks_server_shutdown(host->server); /* returns at once; on_stop follows */
	} else if (sks_is_http(line, strlen(line))) { /* a web page may not stop the host */
		errno = EPROTONOSUPPORT;
		return -1;
	} else {
		sks_puts(req->wfile, "status or stop?\n");
	}
	return SKS_KEEP;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *host = arg;
	struct sks_stats stats;

	(void)fd;
	(void)what;
	host->seconds++;
	sks_server_stats(host->server, &stats);
	printf("embed: %d seconds, %" PRIu64 " connections\n", host->seconds, stats.accepted);
	fflush(stdout);
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct host *host = arg;

	(void)signo;
	(void)what;
	if (host->stopping++ == 0)
		sks_server_shutdown(host->server); /* returns at once; on_stop follows */
	else
		event_base_loopbreak(host->base); /* asked twice: do not wait for it */
}

static void
on_stop(struct sks_server *server, void *data)
{
	struct host *host = data;

	(void)server;
	event_del(host->timer);
	event_del(host->interrupt);
	event_del(host->terminate);
}

static int
add_events(struct host *host)
{
	static const struct timeval second = { 1, 0 };

	host->timer = event_new(host->base, -1, EV_PERSIST, on_timer, host);
	host->interrupt = evsignal_new(host->base, SIGINT, on_signal, host);
	host->terminate = evsignal_new(host->base, SIGTERM, on_signal, host);
	if (host->timer == NULL || host->interrupt == NULL || host->terminate == NULL)
		return -1;
	if (event_add(host->timer, &second) == -1 ||
	    (!is_ignored(SIGINT) && event_add(host->interrupt, NULL) == -1))
		return -1;
	return is_ignored(SIGTERM) ? 0 : event_add(host->terminate, NULL);
}

static int
run(struct host *host, const struct options *options)
{
	static const struct sks_handler handler = {
		.name = "embed",
		.handle = obey,
		.refuses = SKS_REFUSES(SKS_PROCESSES), /* the host is in another one */
	};
	struct sks_stats stats;
	int code;

	host->server = sks_server_new(&handler, &options->server);
	code = listen_on(host->server, options->address);
	if (code != 0)
		return code; /* the library has said why */
	if (add_events(host) == -1 || sks_server_start(host->server) == -1) {
		warn("start");
		return 1;
	}
	announce(host->server);
	if (event_base_dispatch(host->base) == -1) {
		warnx("the event loop failed");
		return 1;
	}
	sks_server_stats(host->server, &stats);
	print_statistics(&stats);
	return 0;
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

int
main(int argc, char **argv)
{
	struct host host = { 0 };
	struct options options = {
		.about = "A console beside a timer in the event loop of its host: status, stop.",
		.address = "localhost:2528",
		.server = { .data = &host, .on_stop = on_stop },
	};
	int code;

	parse_options(argc, argv, &options);
	host.base = options.server.base = event_base_new();
	if (host.base == NULL)
		err(1, "event_base_new");
	code = run(&host, &options);
	sks_server_free(host.server); /* before its base */
	free_event(host.timer);
	free_event(host.interrupt);
	free_event(host.terminate);
	event_base_free(host.base);
	return code;
}
