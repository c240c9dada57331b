/* SPDX-License-Identifier: MIT */
/*
 * A handler that tells what its process knows of passed sockets.
 */
#include <socketserver.h>
#include <stdlib.h>

static void
tell(struct sks_wfile *w, const char *name)
{
	const char *value = getenv(name);

	sks_printf(w, " %s=%s", name, value != NULL ? value : "(unset)");
}

static int
handle(struct sks_request *req)
{
	tell(req->wfile, "LISTEN_PID");
	tell(req->wfile, "LISTEN_FDS");
	tell(req->wfile, "LISTEN_FDNAMES");
	return sks_puts(req->wfile, "\n");
}

SKS_PLUGIN(.name = "passed", .summary = "tells of passed sockets", .handler = { .handle = handle });
