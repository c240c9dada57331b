/* SPDX-License-Identifier: MIT */
/*
 * starttls: a small mail server that begins in the clear and goes on encrypted when its client
 * asks for it, as SMTP has it (RFC 3207). It takes mail and drops it.
 */
#include "options.h"
#include "serve.h"

#include <string.h>
#include <strings.h>

/* A connection's state. */
struct session {
	int in_data; /* the lines are those of a mail, up to a dot */
};

static int
greet(struct sks_request *req)
{
	return sks_puts(req->wfile, "220 localhost ESMTP\r\n");
}

/* The commands that the client may send now. TLS is offered once. */
static int
say_hello(struct sks_request *req)
{
	int may_start = sks_tls_version(req->rfile) == NULL && req->data != NULL;

	return sks_printf(req->wfile, "250-localhost\r\n%s250 8BITMIME\r\n",
	    may_start ? "250-STARTTLS\r\n" : "");
}

/* After it the client begins anew: what it said in the clear does not count any more. */
static int
start_tls(struct sks_request *req)
{
	if (req->data == NULL || sks_tls_version(req->rfile) != NULL)
		return sks_puts(req->wfile, "503 5.5.1 not now\r\n");
	sks_puts(req->wfile, "220 2.0.0 go ahead\r\n");
	return sks_start_tls(req);
}

/* Is the line this command? */
static int
is(const char *line, const char *command)
{
	return strncasecmp(line, command, strlen(command)) == 0;
}

/* Returns 1 to go on, 0 when the client has said that it ends, or -1. */
static int
obey(struct sks_request *req, const char *line)
{
	struct session *session = req->state;
	int rc;

	if (session->in_data) {
		if (strcmp(line, ".") != 0)
			return 1;
		session->in_data = 0;
		rc = sks_puts(req->wfile, "250 2.0.0 taken, and dropped\r\n");
	} else if (is(line, "EHLO") || is(line, "HELO")) {
		rc = say_hello(req);
	} else if (is(line, "STARTTLS")) {
		rc = start_tls(req);
	} else if (is(line, "DATA")) {
		session->in_data = 1;
		rc = sks_puts(req->wfile, "354 ends with a dot\r\n");
	} else if (is(line, "QUIT")) {
		return sks_puts(req->wfile, "221 2.0.0 bye\r\n");
	} else if (is(line, "MAIL") || is(line, "RCPT") || is(line, "RSET") || is(line, "NOOP")) {
		rc = sks_puts(req->wfile, "250 2.0.0 well\r\n");
	} else {
		rc = sks_puts(req->wfile, "502 5.5.2 what?\r\n");
	}
	return rc == 0 ? 1 : -1;
}

static int
handle(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		int rc = obey(req, line);

		if (rc <= 0)
			return rc;
	}
	return sks_end(req->rfile);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "starttls",
		.setup = greet,
		.handle = handle,
		.state_size = sizeof(struct session),
	};
	struct options options = {
		.about = "Takes mail and drops it; with --cert it offers STARTTLS.",
		.address = "localhost:2525",
		.server = { .stop_signals = 1 },
	};

	parse_options(argc, argv, &options);
	options.server.data = options.server.tls; /* for the handler: is there TLS? */
	return listen_and_serve(&handler, &options);
}
