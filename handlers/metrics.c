/* SPDX-License-Identifier: MIT */
/*
 * metrics: the statistics of its server as OpenMetrics text, for Prometheus and its kin.
 *
 * It is meant for an address beside those of another handler, which is what
 * "socketserverd --metrics ADDRESS" does. It speaks as much of HTTP/1.0 as a scraper needs:
 * GET /metrics is answered, with or without a query, and the connection ends.
 */
#include <errno.h>
#include <socketserver.h>
#include <string.h>

#define REQUEST_MS 10000 /* for one request, so that a slow client does not keep its place */
#define HEADERS 100      /* more of them are refused */

#define FOUND "200 OK"
#define NOT_FOUND "404 Not Found"
#define BAD_REQUEST "400 Bad Request"
#define UNAVAILABLE "503 Service Unavailable"

/* line is one of HTTP. */
static int
asks_for_metrics(const char *line)
{
	static const char wanted[] = "GET /metrics";
	size_t n = strlen(wanted);

	return strncmp(line, wanted, n) == 0 && (line[n] == ' ' || line[n] == '?');
}

/* Reads up to the empty line behind the headers. 0, or -1 and errno, which is 0 at an early end. */
static int
skip_headers(struct sks_rfile *rfile)
{
	const char *line;
	int i;

	for (i = 0; i <= HEADERS; i++) {
		line = sks_gets(rfile);
		if (line == NULL)
			return -1;
		if (line[0] == '\0')
			return 0;
	}
	errno = EMSGSIZE;
	return -1;
}

/* Reads a request, and returns how it is answered; NULL: the stream has failed, see errno. */
static const char *
read_request(struct sks_rfile *rfile)
{
	const char *line = sks_gets(rfile), *status;

	if (line != NULL) {
		if (!sks_is_http(line, strlen(line)))
			return BAD_REQUEST;
		status = asks_for_metrics(line) ? FOUND : NOT_FOUND;
		if (skip_headers(rfile) == 0)
			return status;
	}
	return errno == 0 || errno == EMSGSIZE ? BAD_REQUEST : NULL;
}

static int
send_status(struct sks_request *req, const char *status)
{
	return sks_printf(req->wfile,
	    "HTTP/1.0 %s\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Connection: close\r\n\r\n%s\n",
	    status, status);
}

static int
send_text(void *wfile, const char *text, size_t n)
{
	return sks_write(wfile, text, n);
}

static int
send_metrics(struct sks_request *req)
{
	if (req->server == NULL)
		return send_status(req, UNAVAILABLE);
	if (sks_puts(req->wfile,
		"HTTP/1.0 " FOUND "\r\n"
		"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
		"Connection: close\r\n\r\n") == -1)
		return -1;
	return sks_server_metrics(req->server, send_text, req->wfile);
}

static int
serve(struct sks_request *req)
{
	const char *status;

	if (sks_deadline(req, REQUEST_MS) == -1)
		return -1;
	status = read_request(req->rfile);
	if (status == NULL)
		return -1;
	return strcmp(status, FOUND) == 0 ? send_metrics(req) : send_status(req, status);
}

SKS_PLUGIN(
    .name = "metrics",
    .summary = "tells the statistics of its server, for Prometheus (OpenMetrics)",
    .handler = { .handle = serve, .client_first = 1 },
    .serves = SKS_STREAMS);
