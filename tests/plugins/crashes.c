/* SPDX-License-Identifier: MIT */
/*
 * A plugin whose constructor crashes.
 */
#include <socketserver.h>
#include <stdlib.h>

__attribute__((constructor)) static void
crash(void)
{
	abort();
}

static int
handle(struct sks_request *req)
{
	return sks_puts(req->wfile, "never\n");
}

SKS_PLUGIN(.name = "crashes", .summary = "does not live to be asked", .handler = { .handle = handle });
