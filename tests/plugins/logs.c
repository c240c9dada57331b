/* SPDX-License-Identifier: MIT */
/*
 * A handler that logs each line of its client, and then writes it back.
 */
#include <socketserver.h>

static int
handle(struct sks_request *req)
{
	char *line;

	while (sks_readline(req->rfile, &line) > 0) {
		sks_log(SKS_LOG_INFO, "said: %s", line);
		if (sks_puts(req->wfile, line) == -1)
			return -1;
	}
	return sks_end(req->rfile);
}

SKS_PLUGIN(.name = "logs", .summary = "logs what it gets", .handler = { .handle = handle });
