/* SPDX-License-Identifier: MIT */
/*
 * A handler that blocks, as none should: its client names a file, and it keeps its loop until that
 * file is gone.
 */
#include <socketserver.h>
#include <unistd.h>

static int
handle(struct sks_request *req)
{
	const char *path = sks_gets(req->rfile);

	if (path == NULL || sks_puts(req->wfile, "spinning\n") == -1 || sks_flush(req->wfile) == -1)
		return -1;
	while (access(path, F_OK) == 0)
		usleep(1000);
	return SKS_DONE;
}

SKS_PLUGIN(.name = "spins", .summary = "keeps its loop", .handler = { .handle = handle });
