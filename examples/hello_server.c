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
	struct sks_server *server;

	parse_options(argc, argv, &options);
	server = sks_server_new(&handler, &options.server);
	if (server == NULL || sks_server_listen(server, options.address) == -1) {
		sks_server_free(server);
		return 1; /* the library has said why */
	}
	return serve(server);
}
