/* SPDX-License-Identifier: MIT */
/*
 * time (RFC 868): the seconds since 1900 as four bytes, the highest first, to
 * each connection and for each datagram, whatever it holds. They begin again
 * from 0 in 2036, which is what the protocol has.
 */
#include "datagram.h"

#include <arpa/inet.h>
#include <socketserver.h>
#include <stdint.h>
#include <time.h>

#define FROM_1900_TO_1970 2208988800u

static int
tell_time(struct sks_request *req)
{
	uint32_t seconds = htonl((uint32_t)time(NULL) + FROM_1900_TO_1970);

	if (!admit(req))
		return SKS_DONE;
	return sks_write(req->wfile, &seconds, sizeof(seconds));
}

SKS_PLUGIN(
    .name = "time",
    .summary = "tells the seconds since 1900 as four bytes (RFC 868)",
    .handler = { .handle = tell_time },
    .port = PORT_TIME);
