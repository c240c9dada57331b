/* SPDX-License-Identifier: MIT */
/*
 * hello: greets each client. The shortest plugin with an option.
 */
#include "datagram.h"

#include <socketserver.h>

struct config {
	const char *greeting;
};

static const struct sks_plugin_option options[] = {
	{ .name = "greeting", .help = "what to say", .value = "Hello World!",
	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, greeting) },
	{ 0 },
};

static int
hello(struct sks_request *req)
{
	const struct config *config = req->data;

	if (!admit(req))
		return SKS_DONE;
	return sks_printf(req->wfile, "%s\n", config->greeting);
}

SKS_PLUGIN(
    .name = "hello",
    .summary = "says hello to each client",
    .handler = { .handle = hello },
    .options = options,
    .config_size = sizeof(struct config),
    .port = PORT_HELLO);
