/* SPDX-License-Identifier: MIT */
/*
 * tls_server.h - the server of the suites of TLS: their fixture, and how it is started.
 */
#ifndef SKS_TEST_TLS_SERVER_H
#define SKS_TEST_TLS_SERVER_H

#include "acceptance.h"

/* The configuration of the test's server. The test may make one itself; teardown frees it. */
extern struct sks_tls *tls;

/* The fixture: acc_setup() and the usual certificates. */
void tls_setup(void);
void tls_teardown(void);

/*
 * Starts a server of TLS on 127.0.0.1, with the certificate "server" and what `more` asks for
 * beside it.
 */
void tls_start(struct acc *acc, int mode, const struct sks_handler *handler,
    struct sks_options options, struct sks_tls_options more);

/* On an address of acc_listen_address(). */
void tls_start_on(struct acc *acc, int mode, const char *address, const struct sks_handler *handler,
    struct sks_options options, struct sks_tls_options more);

#endif
