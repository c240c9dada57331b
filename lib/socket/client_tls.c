/* SPDX-License-Identifier: MIT */
/*
 * The TLS of clients: sks_client_start_tls(), and what sks_connect() needs of it.
 */
#include "socket/client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/why.h"
#include "stream/start_tls.h"

#include <errno.h>

int
sks_client_shake_hands(struct sks_client *client, struct sks_tls *tls, const char *name,
    int64_t deadline, char why[SKS_TLS_WHY])
{
	struct sks_client_inside *c = sks_client_inside(client);

	if (!sks_tls_is_built_in())
		return sks_refuse_in(ENOTSUP, why, SKS_TLS_WHY,
		    "this library was built without TLS");
	why[0] = '\0';
	if (tls == NULL && (tls = sks_tls_default_client()) == NULL)
		return -1; /* that has said why */
	if (sks_tls_role(tls) != SKS_TLS_CLIENT)
		return sks_refuse_in(EINVAL, why, SKS_TLS_WHY,
		    "the configuration is not a client's");
	if (client->rfile == NULL || client->wfile == NULL)
		return sks_refuse_in(ENOTSUP, why, SKS_TLS_WHY,
		    "TLS needs both streams of a connection");
	if (sks_streams_start_tls(&c->r, &c->w, tls, name,
		sks_min64(deadline, sks_tls_deadline(tls)), why) == 0)
		return 0;
	if (errno == EINVAL)
		return sks_refuse_in(EINVAL, why, SKS_TLS_WHY,
		    "there is no name that the certificate must have");
	return -1;
}

int
sks_client_start_tls(struct sks_client *client, struct sks_tls *tls, const char *name)
{
	char why[SKS_TLS_WHY];
	int error;

	if (sks_client_shake_hands(client, tls, name, SKS_NEVER, why) == 0)
		return 0;
	error = errno;
	if (why[0] != '\0')
		sks_log_limited(&atomic_load(&sks_log_counts)->connects, SKS_LOG_LINES,
		    sks_log_origin(), SKS_LOG_ERROR, error, "TLS handshake%s%.255s: %s",
		    name != NULL ? " with " : "", name != NULL ? name : "", why);
	errno = error;
	return -1;
}
