/* SPDX-License-Identifier: MIT */
/*
 * A handler that waits for a line of its client, which never comes.
 */
#include <socketserver.h>

static int
handle(struct sks_request *req)
{
	char *line;

	if (sks_puts(req->wfile, "waiting\n") == -1)
		return -1;
	return (int)sks_readline(req->rfile, &line);
}

SKS_PLUGIN(.name = "waits", .summary = "waits for a line", .handler = { .handle = handle });
