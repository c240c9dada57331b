/* SPDX-License-Identifier: MIT */
/*
 * A plugin whose init takes a fifth of a second.
 */
#include <poll.h>
#include <socketserver.h>

static int
init(const void *config, void **data)
{
	(void)config;
	(void)data;
	poll(NULL, 0, 200);
	return 0;
}

static int
handle(struct sks_request *req)
{
	(void)req;
	return SKS_DONE;
}

SKS_PLUGIN(
    .name = "slow",
    .summary = "begins slowly",
    .handler = { .handle = handle },
    .init = init);
