/* SPDX-License-Identifier: MIT */
/*
 * echo_server: sends back each line, over TCP and UDP at once, by one handler.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

/* A connection, for as long as its peer likes; a datagram too: its bytes are its rfile. */
static int
echo(struct sks_request *req)
{
	char *line;
	ssize_t n;

	while ((n = sks_readline(req->rfile, &line)) > 0)
		sks_write(req->wfile, line, (size_t)n);
	return sks_end(req->rfile); /* 0 at the end of input; -1 and errno after an error */
}

/* --keep: one line. Until the next one comes the connection has no fiber and no buffer. */
static int
echo_line(struct sks_request *req)
{
	char *line;
	ssize_t n;

	if (sks_is_datagram(req))
		return echo(req); /* there is no next time */
	n = sks_readline(req->rfile, &line);
	if (n <= 0)
		return sks_end(req->rfile);
	return sks_write(req->wfile, line, (size_t)n) == 0 ? SKS_KEEP : -1;
}

/*
 * Listens for UDP as well, on the host of that address and on the port that TCP has got, also when
 * 0 was asked for; not where the address says which of them.
 */
static int
listen_udp_too(struct sks_server *server, const char *address)
{
	const char *port = strrchr(address, ':');
	char bound[256], udp[600];

	if (sks_server_listen_address(server, 0, bound, sizeof(bound)) == NULL) {
		warn("address");
		return -1;
	}
	if (strncmp(bound, "tcp:", 4) != 0 || strncmp(address, "tcp:", 4) == 0 ||
	    strncmp(address, "fd:", 3) == 0)
		return 0;
	snprintf(udp, sizeof(udp), "udp:%.*s%s", (int)(port - address), address,
	    strrchr(bound, ':'));
	return sks_server_listen(server, udp);
}

int
main(int argc, char **argv)
{
	struct sks_handler handler = { .name = "echo", .handle = echo, .client_first = 1 };
	int keep = 0;
	struct options options = {
		.about = "Sends back each line, over TCP and UDP unless ADDRESS says which.",
		.address = "localhost:23000",
		.keep = &keep,
		.server = { .stop_signals = 1, .max_line = 65536 }, /* the largest datagram is a line */
	};
	struct sks_server *server;
	int code;

	parse_options(argc, argv, &options);
	if (keep)
		handler.handle = echo_line;
	server = sks_server_new(&handler, &options.server);
	code = listen_on(server, options.address);
	if (code == 0 && listen_udp_too(server, options.address) == -1)
		code = 1;
	if (code == 0)
		return serve(server);
	sks_server_free(server);
	return code; /* the library has said why */
}
