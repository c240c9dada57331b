/* SPDX-License-Identifier: MIT */
/*
 * STARTTLS. All that came before the handshake goes into the engine, as a part of it. So what
 * somebody has put in the clear behind the command that starts TLS is never taken for
 * what the peer said under its protection (CVE-2021-3935).
 */
#include "stream/start_tls.h"

#include "stream/ahead.h"
#include "stream/rfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
refuse(int error)
{
	errno = error;
	return -1;
}

/* Checks that these streams can become streams of TLS. */
static int
check(const struct sks_rfile *r, const struct sks_wfile *w)
{
	if (r->tr == NULL || r->tr != w->tr || sks_transport_is_datagram(r->tr))
		return refuse(ENOTSUP);
	if (sks_transport_is_tls(r->tr))
		return refuse(EALREADY);
	return w->busy ? refuse(EBUSY) : 0;
}

/* From here on nothing goes out in the clear. */
static int
change_transport(struct sks_rfile *r, struct sks_wfile *w, struct sks_tls *tls, const char *name)
{
	struct sks_outbox *box = w->outbox != NULL ? atomic_load(w->outbox) : NULL;
	const unsigned char *early = r->buf.base + r->buf.start;

	if (box != NULL)
		sks_outbox_claim(box);
	if (sks_tls_attach(r->tr, tls, name, early, sks_buf_length(&r->buf)) == -1) {
		if (box != NULL)
			sks_outbox_release(box);
		return -1;
	}
	if (box != NULL)
		sks_outbox_set_transport(box, r->tr);
	sks_buf_release(&r->buf, r->pool);
	r->drained = 0;
	return 0;
}

static int
shake_hands(struct sks_rfile *r, struct sks_wfile *w, int64_t deadline, char why[SKS_TLS_WHY])
{
	struct sks_outbox *box = w->outbox != NULL ? atomic_load(w->outbox) : NULL;
	int rc;

	r->busy = w->busy = 1;
	rc = sks_tls_handshake(r->tr, NULL, deadline, why);
	r->busy = w->busy = 0;
	if (rc == -1) {
		w->error = errno;
		r->error = w->error;
	}
	if (box != NULL)
		sks_outbox_release(box);
	if (rc == -1)
		errno = r->error;
	return rc;
}

/* Sends the last bytes in the clear. Another task that reads meanwhile finds the rfile busy. */
static int
flush(struct sks_rfile *r, struct sks_wfile *w)
{
	int rc;

	r->busy = 1;
	rc = sks_flush(w);
	r->busy = 0;
	return rc;
}

static int
start(struct sks_rfile *r, struct sks_wfile *w, struct sks_tls *tls, const char *name,
    int64_t deadline, char why[SKS_TLS_WHY])
{
	if (check(r, w) == -1)
		return -1;
	if (flush(r, w) == -1) {
		snprintf(why, SKS_TLS_WHY, "%s", strerror(errno));
		return -1;
	}
	sks_ahead_end(r); /* the flush may have read some */
	if (change_transport(r, w, tls, name) == -1) {
		snprintf(why, SKS_TLS_WHY, "%s", strerror(errno));
		return -1;
	}
	return shake_hands(r, w, deadline, why);
}

int
sks_streams_start_tls(struct sks_rfile *r, struct sks_wfile *w, struct sks_tls *tls,
    const char *name, int64_t deadline, char why[SKS_TLS_WHY])
{
	int rc;

	why[0] = '\0';
	if (sks_rfile_begin(r) == -1)
		return -1;
	rc = start(r, w, tls, name, deadline, why);
	sks_rfile_end(r);
	return rc;
}
