/* SPDX-License-Identifier: MIT */
#include "tls_echo.h"

#include "certs.h"

#include <stdio.h>
#include <string.h>

struct acc tls_echo_acc;
struct sks_tls *tls_echo_client;

static int
speak(struct sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != NULL) {
		if (strcmp(line, "starttls") == 0) {
			sks_puts(req->wfile, "go ahead\n");
			if (sks_start_tls(req) == -1)
				return -1;
			atomic_store(&seen->note, sks_tell(req->rfile) == 9);
		} else
			sks_printf(req->wfile, "%s %s\n", line,
			    sks_tls_version(req->rfile) != NULL ? "in private" : "in the clear");
	}
	return sks_end(req->rfile);
}

static const struct sks_handler speaking = { .name = "speaking", .handle = speak };

void
tls_echo_start_with(int mode, struct sks_tls_options files)
{
	struct sks_options options = { .on_error = acc_on_error };

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	ck_assert_ptr_nonnull(tls);
	acc_on(&tls_echo_acc, mode, "tls:127.0.0.1:0", &speaking, &options);
	ck_assert_int_eq(sks_server_listen(tls_echo_acc.server, "127.0.0.1:0"), 0);
	acc_start(&tls_echo_acc);
}

void
tls_echo_teardown(void)
{
	acc_free(&tls_echo_acc);
	sks_tls_free(tls_echo_client);
	tls_echo_client = NULL;
	tls_teardown();
}

void
tls_echo_start(int mode, const char *cert)
{
	tls_echo_start_with(mode, (struct sks_tls_options){ .cert = certs_path(cert) });
}

void
tls_echo_believe(struct sks_tls_options more)
{
	more.ca = certs_path("ca");
	tls_echo_client = sks_tls_new(SKS_TLS_CLIENT, &more);
	ck_assert_ptr_nonnull(tls_echo_client);
}

const char *
tls_echo_address(unsigned int i)
{
	static char address[2][160];

	return sks_server_listen_address(tls_echo_acc.server, i, address[i], sizeof(address[i]));
}

void
tls_echo_expect(struct sks_client *client, const char *how)
{
	char want[100];

	ck_assert_int_eq(sks_puts(client->wfile, "hello\n"), 0);
	snprintf(want, sizeof(want), "hello %s", how);
	ck_assert_str_eq(sks_gets(client->rfile), want);
}
