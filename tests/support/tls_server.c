/* SPDX-License-Identifier: MIT */
#include "tls_server.h"

#include "certs.h"

#include <stdio.h>

struct sks_tls *tls;

void
tls_setup(void)
{
	acc_setup();
	certs_usual();
}

void
tls_teardown(void)
{
	sks_tls_free(tls);
	tls = NULL;
	certs_remove();
	acc_teardown();
}

void
tls_start_on(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    struct sks_options options, struct sks_tls_options more)
{
	char text[200];

	more.cert = certs_path("server");
	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &more);
	ck_assert_ptr_nonnull(tls);
	snprintf(text, sizeof(text), "tls:%s", address);
	acc_on(acc, mode, text, handler, &options);
	acc_start(acc);
}

void
tls_start(struct acc *acc, int mode, const struct sks_handler *handler, struct sks_options options,
    struct sks_tls_options more)
{
	tls_start_on(acc, mode, "127.0.0.1:0", handler, options, more);
}
