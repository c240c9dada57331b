/*
 * tls_sendfile: sends a file over TLS to one client after the other, by read(2) and SSL_write() of
 * a record each, and nothing else. With "get" it is the client: it trusts any server, asks for
 * /NAME and drops what comes.
 *
 * usage: CERT=FILE tls_sendfile FILE (a certificate and its key, in PEM)
 *        tls_sendfile get PORT NAME
 */

#define _GNU_SOURCE 1
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "listener.h"
#include "transfer.h"

static char block[16384];

/* Reads up to the blank line that ends a request. */
static void
read_request(SSL *ssl)
{
	char text[4096];
	int n = 0, got;

	while ((got = SSL_read(ssl, text + n, (int)sizeof(text) - 1 - n)) > 0) {
		n += got;
		text[n] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL)
			return;
	}
}

static void
answer(SSL *ssl, int file)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	ssize_t n;

	read_request(ssl);
	SSL_write(ssl, head, sizeof(head) - 1);
	lseek(file, 0, SEEK_SET);
	while ((n = read(file, block, sizeof(block))) > 0)
		if (SSL_write(ssl, block, (int)n) <= 0)
			return;
	SSL_shutdown(ssl);
}

int
serve(const char *path)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int file = open(path, O_RDONLY), listener, fd;
	const char *cert = getenv("CERT");

	if (file == -1)
		err(1, "%s", path);
	if (cert == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, cert, SSL_FILETYPE_PEM) != 1)
		errx(1, "CERT: no certificate and key");
	signal(SIGPIPE, SIG_IGN);
	listener = open_any_listener();
	while ((fd = accept(listener, NULL, NULL)) != -1) {
		SSL *ssl = SSL_new(ctx);

		set_nodelay(fd);
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			answer(ssl, file);
		SSL_free(ssl);
		close(fd);
	}
	return 1;
}

int
get(const char *port, const char *name)
{
	int fd = connect_to(port), n;
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	char request[300];
	long long sum = 0;

	SSL_set_fd(ssl, fd);
	n = snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nConnection: close\r\n\r\n", name);
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, n) != n)
		errx(1, "no TLS on %s", port);
	while ((n = SSL_read(ssl, block, sizeof(block))) > 0)
		sum += n;
	printf("%lld\n", sum);
	return 0;
}
