/* SPDX-License-Identifier: MIT */
/*
 * counter: counts each connection's lines and bytes. What belongs to a
 * connection is in its state: zeroed when it comes, and kept between the
 * exchanges, while the connection is parked.
 */
#include "options.h"
#include "serve.h"

#include <inttypes.h>

struct count {
	uint64_t lines;
	uint64_t bytes;
};

static int
count(struct sks_request *req)
{
	struct count *sum = req->state;
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return sks_end(req->rfile);
	sum->lines++;
	sum->bytes += (uint64_t)n;
	if (sks_printf(req->wfile, "%" PRIu64 " lines, %" PRIu64 " bytes\n", sum->lines,
		sum->bytes) == -1)
		return -1;
	return SKS_KEEP;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "counter",
		.handle = count,
		.state_size = sizeof(struct count),
		.client_first = 1,
	};
	struct options options = {
		.about = "Answers each line with the number of lines and bytes so far.",
		.address = "localhost:2526",
		.server = { .stop_signals = 1 },
	};

	parse_options(argc, argv, &options);
	return listen_and_serve(&handler, &options);
}
