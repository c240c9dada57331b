/* SPDX-License-Identifier: MIT */
#include "proxy_headers.h"

#include <socketserver/proxy.h>

const struct proxy_header proxy_headers[2] = {
	{ "v1", BYTES(V1), TOLD_V1 },
	{ "v2", BYTES(V2_IPV6), TOLD_V2 },
};

static void
print_address(struct sks_request *req, const char *name, const struct sockaddr *addr, socklen_t len)
{
	char text[160];
	struct sks_request other = { .peer = addr, .peer_len = len };

	if (addr == NULL)
		sks_printf(req->wfile, " %s none", name);
	else
		sks_printf(req->wfile, " %s %s", name, sks_peer(&other, text, sizeof(text)));
}

static void
print_value(struct sks_request *req, int type)
{
	size_t n = 1;
	const char *value = sks_proxy_tlv(req, type, &n);

	sks_printf(req->wfile, " %.*s", value != NULL ? (int)n : 4, value != NULL ? value : "none");
}

static int
tell(struct sks_request *req)
{
	const struct sockaddr *addr;
	char text[160];
	socklen_t len;

	sks_printf(req->wfile, "%d %s", sks_is_proxied(req), sks_peer(req, text, sizeof(text)));
	addr = sks_proxy_destination(req, &len);
	print_address(req, "to", addr, len);
	addr = sks_proxy_address(req, &len);
	if (addr != NULL && addr->sa_family == AF_INET)
		sks_printf(req->wfile, " by 127.0.0.1");
	else
		print_address(req, "by", addr, len);
	print_value(req, SKS_PROXY_AUTHORITY);
	print_value(req, SKS_PROXY_ALPN);
	print_value(req, SKS_PROXY_UNIQUE_ID);
	print_value(req, SKS_PROXY_TLS_VERSION);
	print_value(req, SKS_PROXY_TLS_CN);
	sks_printf(req->wfile, " %d\n", sks_proxy_tls(req));
	return acc_echo_lines(req);
}

const struct sks_handler proxy_told = { .name = "told", .handle = tell };

void
proxy_serve(struct acc *acc, int mode, const struct sks_handler *handler, struct sks_options *options)
{
	if (options->proxy_from == NULL)
		options->proxy_from = "127.0.0.0/8";
	acc_on(acc, mode, "proxy:127.0.0.1:0", handler, options);
	acc_start(acc);
}
