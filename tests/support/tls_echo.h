/* SPDX-License-Identifier: MIT */
/*
 * tls_echo.h - an echo server with an address of TLS and one in the clear, and its clients.
 */
#ifndef SKS_TEST_TLS_ECHO_H
#define SKS_TEST_TLS_ECHO_H

#include "tls_server.h"

extern struct acc tls_echo_acc;         /* the server, */
extern struct sks_tls *tls_echo_client; /* and the configuration of its clients */

/* Ends both, and what tls_setup() has made. */
void tls_echo_teardown(void);

/*
 * Starts a server of TLS with these options, on addresses of TLS (0) and in the clear (1). A line
 * "starttls" is answered, and begins TLS; each other one is echoed, and how it came is told.
 */
void tls_echo_start_with(int mode, struct sks_tls_options files);

/* Starts it with this certificate. */
void tls_echo_start(int mode, const char *cert);

/* Makes a client's configuration that believes our own authority. */
void tls_echo_believe(struct sks_tls_options more);

/* Returns the address of the server's i-th listener, for sks_connect(). */
const char *tls_echo_address(unsigned int i);

/* Says a line; how is "in private" or "in the clear". */
void tls_echo_expect(struct sks_client *client, const char *how);

#endif
