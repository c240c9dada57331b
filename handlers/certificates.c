/* SPDX-License-Identifier: MIT */
#include "certificates.h"

#include <err.h>
#include <string.h>

#include <socketserver.h>

#include "load.h"

void
certificates_add(struct certificates *c, const char *cert)
{
	c->all[c->n++] = (struct certificate){ .cert = cert };
}

int
certificates_add_key(struct certificates *c, const char *key)
{
	if (c->n == 0 || c->all[c->n - 1].key != NULL)
		return -1;
	c->all[c->n - 1].key = key;
	return 0;
}

static int
is_tls(const char *address)
{
	if (strncmp(address, "proxy:", 6) == 0)
		address += 6;
	return strncmp(address, "tls:", 4) == 0;
}

/* No certificate is given: ends the program where one is needed. */
static void
refuse_use(const struct certificates *c, const char *const *addresses)
{
	if (c->client_ca != NULL)
		errx(USAGE, "--client-ca: there is no --cert for it");
	if (c->lenient_end)
		errx(USAGE, "--tls-lenient-end: there is no --cert for it");
	for (; *addresses != NULL; addresses++)
		if (is_tls(*addresses))
			errx(USAGE, "--listen %s: there is no --cert for it", *addresses);
}

static struct sks_tls *
read_all(const struct certificates *c)
{
	struct sks_tls_options files = {
		.ca = c->client_ca,
		.verify = c->client_ca != NULL ? SKS_TLS_REQUIRED : 0,
		.lenient_end = c->lenient_end,
	};
	struct sks_tls *tls;
	size_t i;

	if (c->n > 0) {
		files.cert = c->all[0].cert;
		files.key = c->all[0].key;
	}
	tls = sks_tls_new(SKS_TLS_SERVER, &files);
	for (i = 1; tls != NULL && i < c->n; i++) {
		if (sks_tls_add(tls, c->all[i].cert, c->all[i].key) == -1) {
			sks_tls_free(tls);
			return NULL;
		}
	}
	return tls;
}

int
certificates_read(const struct certificates *c, const char *const *addresses,
    struct sks_tls **tls)
{
	*tls = NULL;
	if (c->n == 0 && !c->self_signed) {
		refuse_use(c, addresses);
		return 0;
	}
	*tls = read_all(c);
	return *tls != NULL ? 0 : -1;
}
