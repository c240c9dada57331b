/* SPDX-License-Identifier: MIT */
/*
 * hello_server: greets everybody who connects, or sends a datagram.
 */
#include "options.h"
#include "serve.h"

static int
hello(struct sks_request *req)
{
	return sks_puts(req->wfile, "Hello World!\n");
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = { .name = "hello", .handle = hello };
	struct options options = {
		.about = "Says hello to each client.",
		.address = "localhost:2525",
		.server = { .stop_signals = 1 },
	};

	parse_options(argc, argv, &options);
	return listen_and_serve(&handler, &options);
}
