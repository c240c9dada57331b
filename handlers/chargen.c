/* SPDX-License-Identifier: MIT */
/*
 * chargen (RFC 864): printable characters in 72 columns, each line beginning
 * with the next character. A stream gets them until its client closes or the
 * server stops; a datagram, whatever it holds, gets 0 to 512 of them.
 *
 * A client that only reads never makes a read of ours wait, so nothing but the
 * writes bounds the loop: they wait when the client is slow, and let others
 * run in between.
 */
#include "datagram.h"

#include <errno.h>
#include <socketserver.h>
#include <stdint.h>
#include <sys/random.h>

#define FIRST ' '
#define CHARACTERS 95 /* from ' ' to '~' */
#define COLUMNS 72
#define DATAGRAM_MOST 512

/* Line number n: COLUMNS characters, CR and LF. */
static void
fill(char line[COLUMNS + 2], unsigned int n)
{
	unsigned int i;

	for (i = 0; i < COLUMNS; i++)
		line[i] = (char)(FIRST + (n + i) % CHARACTERS);
	line[COLUMNS] = '\r';
	line[COLUMNS + 1] = '\n';
}

static int
chargen_datagram(struct sks_request *req)
{
	char line[COLUMNS + 2];
	uint16_t random;
	size_t left, n;
	unsigned int i;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == -1)
		random = (uint16_t)req->peer_len; /* at the machine's start */
	left = random % (DATAGRAM_MOST + 1);
	for (i = 0; left > 0; i++, left -= n) {
		fill(line, i);
		n = left < sizeof(line) ? left : sizeof(line);
		if (sks_write(req->wfile, line, n) == -1)
			return -1;
	}
	return SKS_DONE;
}

static int
chargen(struct sks_request *req)
{
	char line[COLUMNS + 2];
	unsigned int i;

	if (!admit(req))
		return SKS_DONE;
	if (sks_is_datagram(req))
		return chargen_datagram(req);
	for (i = 0; !sks_draining(req); i = (i + 1) % CHARACTERS) {
		fill(line, i);
		if (sks_write(req->wfile, line, sizeof(line)) == -1)
			return errno == EPIPE || errno == ECONNRESET ? SKS_DONE : -1;
	}
	return SKS_DONE;
}

SKS_PLUGIN(
    .name = "chargen",
    .summary = "sends characters without end (RFC 864)",
    .handler = { .handle = chargen },
    .port = PORT_CHARGEN);
