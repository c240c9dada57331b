/* SPDX-License-Identifier: MIT */
/*
 * limited: a line protocol that lets nobody take more than his share.
 *
 * Each limit is a line of code, and each is told to the client: a line that is too long is
 * skipped, a line that comes too slowly and one too many end the connection, and so does
 * silence. That a reply is not read, and how many may come, the options bound.
 */
#include "options.h"
#include "serve.h"

#include <errno.h>
#include <string.h>

#define LINES 100      /* of a connection */
#define LINE_MS 5000   /* for a line and its reply, however often a byte comes */

static int
refuse_line(struct sks_request *req)
{
	switch (errno) {
	case EMSGSIZE:
		if (sks_skipline(req->rfile) != 1)
			return sks_end(req->rfile);
		sks_puts(req->wfile, "error: the line is too long\n");
		return SKS_KEEP;
	case ETIMEDOUT:
		sks_puts(req->wfile, "error: too slow\n");
		return SKS_DONE;
	default:
		return sks_end(req->rfile);
	}
}

static int
answer(struct sks_request *req)
{
	int *lines = req->state;
	char *line;

	sks_deadline(req, LINE_MS);
	line = sks_gets(req->rfile);
	if ((line != NULL || errno == EMSGSIZE) && ++*lines > LINES) {
		sks_puts(req->wfile, "error: enough\n");
		return SKS_DONE;
	}
	if (line == NULL)
		return refuse_line(req);
	sks_printf(req->wfile, "%zu bytes\n", strlen(line));
	return SKS_KEEP;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "limited",
		.handle = answer,
		.state_size = sizeof(int),
		.client_first = 1,
	};
	struct options options = {
		.about = "Tells the length of each line, and bounds all that a client may take.",
		.address = "localhost:2535",
		.server = {
			.stop_signals = 1,
			.max_line = 80,
			.max_output = 4096,
			.max_connections = 1000,
			.idle_ms = 30000,
			.timeout_ms = 10000,
		},
	};

	parse_options(argc, argv, &options);
	return listen_and_serve(&handler, &options);
}
