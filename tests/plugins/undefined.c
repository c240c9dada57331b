/* SPDX-License-Identifier: MIT */
/*
 * A plugin that needs what no library has.
 */
#include <socketserver.h>

extern int sks_from_the_future(struct sks_request *req);

static int
handle(struct sks_request *req)
{
	return sks_from_the_future(req);
}

SKS_PLUGIN(.name = "undefined", .summary = "needs more", .handler = { .handle = handle });
