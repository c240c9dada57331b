/* SPDX-License-Identifier: MIT */
#include "certificates.h"

#include <string.h>

#include <socketserver.h>

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

int
certificates_are_given(const struct certificates *c)
{
	return c->n > 0 || c->self_signed;
}

static int
is_tls(const char *address)
{
	if (strncmp(address, "proxy:", 6) == 0)
		address += 6;
	return strncmp(address, "tls:", 4) == 0;
}

const char *
certificates_first_use(const char *const *addresses)
{
	while (*addresses != NULL && !is_tls(*addresses))
		addresses++;
	return *addresses;
}

struct sks_tls *
certificates_read(const struct certificates *c)
{
	struct sks_tls_options files = {
		.ca = c->client_ca,
		.verify = c->client_ca != NULL ? SKS_TLS_REQUIRED : 0,
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
