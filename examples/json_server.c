/* SPDX-License-Identifier: MIT */
/*
 * json_server: requests in JSON, each behind a header that tells its length, as editors
 * and their language servers talk:
 *
 *     Content-Length: 14\r\n
 *     \r\n
 *     {"method":"x"}
 *
 * The answer has the request in it: {"bytes":14,"request":{"method":"x"}}. A header may
 * promise any length, so there is a bound, and no memory is taken before it is looked at.
 */
#include "options.h"
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MOST 20
#define BODY_MOST 65536

/* Reads "Content-Length: N". 0, or -1: it is no length, or too much. */
static int
read_length(const char *text, size_t *n)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || value == 0 || value > BODY_MOST ||
	    strchr(text, '-') != NULL) {
		errno = value > BODY_MOST ? EMSGSIZE : EBADMSG;
		return -1;
	}
	*n = (size_t)value;
	return 0;
}

/* Reads headers up to the empty line. 1; 0 at the end of input; or -1. */
static int
read_headers(struct sks_request *req, size_t *n)
{
	int i;

	*n = 0;
	for (i = 0; i < HEADERS_MOST; i++) {
		char *line = sks_gets(req->rfile);

		if (line == NULL)
			return sks_end(req->rfile);
		if (line[0] == '\0' && *n > 0)
			return 1;
		if (sks_is_http(line, strlen(line)) || line[0] == '\0')
			break;
		if (strncasecmp(line, "Content-Length:", 15) == 0 &&
		    read_length(line + 15, n) == -1)
			return -1;
	}
	errno = EBADMSG;
	return -1;
}

static int
answer(struct sks_request *req, const char *body, size_t n)
{
	char head[64];
	int len = snprintf(head, sizeof(head), "{\"bytes\":%zu,\"request\":", n);

	sks_printf(req->wfile, "Content-Length: %zu\r\n\r\n%s", (size_t)len + n + 1, head);
	sks_write(req->wfile, body, n);
	return sks_puts(req->wfile, "}") == 0 ? SKS_KEEP : -1;
}

static int
serve_request(struct sks_request *req)
{
	int rc;
	size_t n;
	char *body;

	rc = read_headers(req, &n);
	if (rc != 1)
		return rc;
	body = malloc(n);
	if (body == NULL)
		return -1;
	rc = sks_readexactly(req->rfile, body, n);
	rc = rc == 1 ? answer(req, body, n) : -1; /* half a request is an error */
	free(body);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "json",
		.handle = serve_request,
		.client_first = 1,
	};
	struct options options = {
		.about = "Answers requests in JSON, each with its length in front.",
		.address = "localhost:2533",
		.server = { .stop_signals = 1, .max_line = 1024 },
	};

	parse_options(argc, argv, &options);
	return listen_and_serve(&handler, &options);
}
