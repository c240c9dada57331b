/* SPDX-License-Identifier: MIT */
/*
 * sum_server: a protocol without lines. A request is a block of numbers of 32 bits,
 * with its length in front as 16 bits; the reply is their sum, as 64 bits. All are in
 * the order of the network, as Python's struct.pack(">H2I", 8, 1, 2) has them.
 */
#include "options.h"
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define MOST 4096 /* bytes of a request */

static int
sum(struct sks_request *req)
{
	char *block;
	size_t n;

	while (sks_read_block(req->rfile, SKS_U16BE, MOST, &block, &n) == 1) {
		uint64_t total = 0;
		uint32_t number;

		if (n % sizeof(number) != 0) {
			errno = EBADMSG;
			return -1;
		}
		for (; n > 0; n -= sizeof(number), block += sizeof(number)) {
			memcpy(&number, block, sizeof(number));
			total += ntohl(number);
		}
		if (sks_write_number(req->wfile, SKS_U64BE, total) == -1)
			return -1;
	}
	return sks_end(req->rfile); /* -1 for a block that was cut, or is too long */
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "sum",
		.handle = sum,
		.client_first = 1,
	};
	struct options options = {
		.about = "Adds the numbers of each block of 32-bit numbers.",
		.address = "localhost:2532",
		.server = { .stop_signals = 1 },
	};

	parse_options(argc, argv, &options);
	return listen_and_serve(&handler, &options);
}
