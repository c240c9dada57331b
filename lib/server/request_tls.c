/* SPDX-License-Identifier: MIT */
/*
 * STARTTLS for a request: sks_start_tls().
 */
#include "stream/start_tls.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/connection.h"

#include <errno.h>

static int
refuse(int error, const char *why)
{
	return sks_fail(sks_log_origin(), error, "sks_start_tls: %s", why);
}

/*
 * An outbox sends by the transport that it was made with, and another thread may make one just
 * now. So it is there before the transport changes.
 */
static int
make_outbox(const struct sks_request *req)
{
	return req->wfile->outbox != NULL &&
	    sks_connection_need_outbox(sks_connection_of(sks_call_of(req))) == NULL ? -1 : 0;
}

int
sks_start_tls(struct sks_request *req)
{
	struct sks_call *call = sks_call_of(req);
	struct sks_tls *tls = call->service->options.tls;
	char why[SKS_TLS_WHY];
	int rc, error;

	if (!sks_tls_is_built_in())
		return refuse(ENOTSUP, "this library was built without TLS");
	if (tls == NULL)
		return refuse(EINVAL, "there is no certificate for it (options.tls)");
	if (make_outbox(req) == -1)
		return -1;
	rc = sks_streams_start_tls(req->rfile, req->wfile, tls, NULL, sks_tls_deadline(tls), why);
	error = errno;
	if (rc == 0) {
		call->tls = sks_tls_version(req->rfile);
		sks_count_shared(call->service, handshakes, 1);
	} else if (why[0] != '\0') {
		sks_count_shared(call->service, handshakes_failed, 1);
		sks_call_log_handshake(call, why);
	}
	errno = error;
	return rc;
}
