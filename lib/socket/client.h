/* SPDX-License-Identifier: MIT */
/*
 * client.h - the inside of a client's streams (struct sks_client).
 */
#ifndef SKS_SOCKET_CLIENT_H
#define SKS_SOCKET_CLIENT_H

#include "base/util.h"
#include "stream/stream.h"
#include "stream/tls.h"

#include <socketserver/socket.h>
#include <socketserver/tls.h>

struct sks_client_inside {
	struct sks_client client; /* what the caller sees */
	struct sks_times times;
	struct sks_transport tr;
	struct sks_rfile r;
	struct sks_wfile w;
	int owns;             /* the socket is freed with the streams */
};

static inline struct sks_client_inside *
sks_client_inside(struct sks_client *client)
{
	return sks_container_of(client, struct sks_client_inside, client);
}

/* From now on sks_client_close() frees the socket too. */
void sks_client_take_socket(struct sks_client *client);

/*
 * As sks_client_start_tls(), before the deadline, or that of the configuration if it is earlier.
 * why gets the reason of a failure; "" where the log has it already, or there is nothing to tell.
 */
int sks_client_shake_hands(struct sks_client *client, struct sks_tls *tls, const char *name,
    int64_t deadline, char why[SKS_TLS_WHY]);

#endif
