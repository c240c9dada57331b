/* SPDX-License-Identifier: MIT */
/*
 * A plugin whose init takes a fifth of a second, and makes no data: the configuration is the data.
 */
#include <poll.h>
#include <socketserver.h>

struct config {
	const char *word;
};

static const struct sks_plugin_option options[] = {
	{ .name = "word", .help = "what to say", .value = "word", .type = SKS_OPTION_STRING,
	    SKS_OPTION_AT(struct config, word) },
	{ 0 },
};

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
	const struct config *config = req->data;

	return sks_puts(req->wfile, config->word);
}

SKS_PLUGIN(
    .name = "slow",
    .summary = "begins slowly",
    .handler = { .handle = handle, .refuses = SKS_REFUSES(SKS_SERIAL) },
    .options = options,
    .config_size = sizeof(struct config),
    .init = init);
