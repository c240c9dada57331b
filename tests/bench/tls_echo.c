/*
 * The baseline of TLS: epoll_echo.c with OpenSSL, one thread, as one writes it by hand. It has no
 * timeouts and no limits; a client that does not read holds up all others.
 *
 * usage: CERT=FILE tls_echo PORT (a certificate and its key, in PEM)
 */

#define _GNU_SOURCE 1
#include <sys/epoll.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "listener.h"

#define MOST 65536 /* descriptors */

static char buf[16384];
static SSL *clients[MOST];

static SSL_CTX *
new_context(const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL || cert == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, cert, SSL_FILETYPE_PEM) != 1)
		errx(1, "CERT: no certificate and key");
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	return ctx;
}

static void
accept_clients(int ep, int listener, SSL_CTX *ctx)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		ev.data.fd = fd;
		set_nodelay(fd);
		if (fd >= MOST || (clients[fd] = SSL_new(ctx)) == NULL ||
		    SSL_set_fd(clients[fd], fd) != 1 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
			errx(1, "accept");
		SSL_set_accept_state(clients[fd]);
	}
}

static int
write_all(SSL *ssl, int fd, const char *p, int n)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int rc;

	while ((rc = SSL_write(ssl, p, n)) <= 0)
		if (SSL_get_error(ssl, rc) != SSL_ERROR_WANT_WRITE || poll(&pfd, 1, -1) == -1)
			return -1;
	return 0;
}

static void
serve(int fd)
{
	SSL *ssl = clients[fd];
	int n;

	ERR_clear_error();
	do {
		if ((n = SSL_read(ssl, buf, sizeof(buf))) > 0 && write_all(ssl, fd, buf, n) == 0)
			continue;
		if (n <= 0 && SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ)
			return;
		if (n == 0 && SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN)
			SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fd);
		return;
	} while (SSL_has_pending(ssl));
}

int
main(int argc, char **argv)
{
	struct epoll_event events[512], ev = { .events = EPOLLIN };
	int ep, i, listener, n;
	SSL_CTX *ctx = new_context(getenv("CERT"));

	signal(SIGPIPE, SIG_IGN);
	listener = open_listener(argc, argv, SOCK_NONBLOCK);
	ev.data.fd = listener;
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "epoll");
	for (;;) {
		if ((n = epoll_wait(ep, events, 512, -1)) == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_clients(ep, listener, ctx);
			else
				serve(events[i].data.fd);
		}
	}
}
