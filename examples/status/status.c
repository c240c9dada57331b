/* SPDX-License-Identifier: MIT */
/*
 * status: an echo server with a page beside it that shows, live, what the server does.
 *
 * One server has both services. The page asks for /events, and a handler sends it the numbers
 * of its own server each second, as server-sent events: it writes, and sleeps, until the browser
 * is gone. The lag of the loop is how long a fiber waits that lets all others run once.
 *
 *     status localhost:2536 localhost:8080
 */
#include "../options.h"
#include "../serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REQUEST_MS 10000 /* for a request and its headers */
#define MOST_HEADERS 100
#define EVERY_MS 1000

static const char *const page[] = {
#include "page.inc" /* the lines of page.html */
};

static int
echo(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return sks_end(req->rfile);
	sks_write(req->wfile, line, (size_t)n);
	return SKS_KEEP;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
send_event(struct sks_request *req, double lag)
{
	struct sks_stats s;

	sks_server_stats(req->server, &s);
	return sks_printf(req->wfile,
	    "data: {\"time\": %.3f, \"lag_ms\": %.3f, \"accepted\": %" PRIu64
	    ", \"running\": %" PRIu64 ", \"parked\": %" PRIu64 ", \"failed\": %" PRIu64
	    ", \"refused\": %" PRIu64 ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 "}\n\n",
	    seconds(), lag * 1000, s.accepted, s.active, s.parked, s.failed, s.refused, s.bytes_in,
	    s.bytes_out);
}

/* Sends events until the browser is gone, or the server stops. */
static int
send_events(struct sks_request *req)
{
	double lag = 0, before;

	sks_puts(req->wfile,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
	    "Connection: close\r\n\r\n");
	while (!sks_draining(req) && send_event(req, lag) == 0) {
		if (sks_sleep(EVERY_MS) == -1)
			break;
		before = seconds();
		sks_sleep(0);
		lag = seconds() - before;
	}
	return 0;
}

static int
send_page(struct sks_request *req)
{
	size_t i;

	sks_puts(req->wfile,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
	    "Connection: close\r\n\r\n");
	for (i = 0; i < sizeof(page) / sizeof(page[0]); i++)
		sks_puts(req->wfile, page[i]);
	return 0;
}

static int
send_status(struct sks_request *req, const char *status)
{
	return sks_printf(req->wfile,
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n", status, status);
}

/* Reads up to the empty line behind the headers. Returns 0, or -1 and errno. */
static int
skip_headers(struct sks_rfile *rfile)
{
	const char *line;
	int i;

	for (i = 0; i < MOST_HEADERS; i++)
		if ((line = sks_gets(rfile)) == NULL || line[0] == '\0')
			return line != NULL ? 0 : -1;
	errno = EMSGSIZE;
	return -1;
}

static int
show(struct sks_request *req)
{
	char target[64] = "";
	const char *line;

	sks_deadline(req, REQUEST_MS);
	line = sks_gets(req->rfile);
	if (line == NULL)
		return sks_end(req->rfile);
	sscanf(line, "GET %63s HTTP/1.", target);
	if (skip_headers(req->rfile) == -1)
		return errno == EMSGSIZE ? send_status(req, "400 Bad Request") :
					   sks_end(req->rfile);
	sks_deadline(req, SKS_OFF); /* the events go on */
	if (strcmp(target, "/") == 0)
		return send_page(req);
	if (strcmp(target, "/events") == 0)
		return send_events(req);
	return send_status(req, target[0] == '/' ? "404 Not Found" : "400 Bad Request");
}

int
main(int argc, char **argv)
{
	static const struct sks_handler echoes = {
		.name = "echo",
		.handle = echo,
		.client_first = 1,
		/* Events go on beside all else, and tell the numbers of one process. */
		.refuses = SKS_REFUSES(SKS_PROCESSES) | SKS_REFUSES(SKS_SERIAL),
	};
	static const struct sks_handler shows = {
		.name = "status",
		.handle = show,
		.client_first = 1,
	};
	struct options options = {
		.about = "Echoes lines, and shows at PAGE what it does: open http://PAGE/ in a browser.",
		.address = "localhost:2536",
		.others = "PAGE",
		.most = 1,
		.server = { .stop_signals = 1 },
	};
	struct sks_server *server;
	int code;

	parse_options(argc, argv, &options);
	server = sks_server_new(&echoes, &options.server);
	code = listen_on(server, options.address);
	if (code == 0 && sks_server_listen_with(server, options.other[0], &shows, NULL) == -1)
		code = listen_code(options.other[0]);
	if (code == 0)
		return serve(server);
	sks_server_free(server);
	return code; /* the library has said why */
}
