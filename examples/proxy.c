/* SPDX-License-Identifier: MIT */
/*
 * proxy: joins each connection to one of its own to another server, both ways
 * at once.
 *
 * Two tasks, each a loop: the handler passes on what the client says, a child
 * what the server says. The end of one way is passed on as the end of that way
 * alone, so a client that half-closes still gets its answer. A failure ends the
 * other way too, but only when that has delivered what is on its way. Where one
 * side has broken off, the proxy breaks off the other: an orderly end there
 * would say that all has come.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct target {
	const char *address;
	int says_client; /* it is told of each client by a header (PROXY protocol) */
	int timeout_ms;
	int idle_ms;
};

/* A pair of connections: a request's state. */
struct pair {
	struct sks_request *req;
	struct sks_client *server;
	atomic_uint moved; /* how often anything was passed on, either way */
	int failed;        /* why the way back ended; 0: in order */
	atomic_int reset;  /* one side has broken off */
};

/*
 * Passes on all bytes, as they come. While the other way of a pair is busy, this one is not
 * silent.
 */
static int
pass_on(struct pair *pair, struct sks_rfile *from, struct sks_wfile *to)
{
	for (;;) {
		unsigned int before = pair->moved;
		ssize_t n = sks_pass(from, to);

		if (n == 0)
			return sks_flush(to);
		if (n == -1 && (errno != ETIMEDOUT || sks_error(to) != 0 || pair->moved == before))
			return -1;
		pair->moved++;
	}
}

/*
 * The end, for the other side to see, which TLS tells in its own way. After a failure it also
 * ends what is read from there; with a reset that alone, as the other side must not see
 * an end first.
 */
static void
end_way(struct pair *pair, int fd, struct sks_wfile *to, int rc, int error)
{
	if (rc == -1 && (error == ECONNRESET || error == EPIPE))
		pair->reset = 1;
	if (!pair->reset && sks_wfile_shutdown(to) == -1)
		shutdown(fd, SHUT_WR);
	if (pair->reset || rc == -1)
		shutdown(fd, SHUT_RD);
}

/* Closes both connections by a reset. */
static void
break_off(struct pair *pair)
{
	static const struct linger at_once = { .l_onoff = 1 };

	(void)sks_abort(pair->req);
	(void)sks_socket_setsockopt(pair->server->socket, SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once));
}

static int
pass_back(void *arg)
{
	struct pair *pair = arg;
	int rc = pass_on(pair, pair->server->rfile, pair->req->wfile);

	if (rc == -1)
		pair->failed = errno;
	end_way(pair, pair->req->fd, pair->req->wfile, rc, errno);
	return rc;
}

static int
pass_both(struct pair *pair)
{
	struct sks_child *back = sks_go(pass_back, pair);
	int rc, error;

	if (back == NULL)
		return -1;
	rc = pass_on(pair, pair->req->rfile, pair->server->wfile);
	error = errno;
	end_way(pair, sks_socket_fileno(pair->server->socket), pair->server->wfile, rc, error);
	if (sks_child_join(back, NULL) == -1) { /* the server stops: so does the child */
		sks_child_cancel(back);
		sks_child_join(back, NULL);
	}
	if (pair->reset)
		break_off(pair);
	if (rc == 0 && pair->failed == 0)
		return 0;
	errno = rc == -1 ? error : pair->failed;
	return -1;
}

static int
handle(struct sks_request *req)
{
	const struct target *target = req->data;
	struct pair *pair = req->state;
	int rc, error;

	if (sks_is_datagram(req)) {
		errno = ENOTSUP;
		return -1;
	}
	pair->req = req;
	pair->server = sks_connect(target->address, target->timeout_ms);
	if (pair->server == NULL)
		return -1;
	sks_rfile_set_idle(pair->server->rfile, target->idle_ms);
	rc = target->says_client ? sks_proxy_write_header(pair->server->wfile, req) : 0;
	if (rc == 0)
		rc = pass_both(pair);
	error = errno;
	sks_client_close(pair->server); /* what it could not send was told above */
	errno = error;
	return rc;
}

static void
on_error(struct sks_request *req, int error)
{
	const struct pair *pair = req->state;
	char peer[160];

	if (pair->server == NULL && !sks_is_datagram(req))
		return; /* sks_connect() has said why */
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name,
	    sks_peer(req, peer, sizeof(peer)), strerror(error));
}

/* "proxy:ADDRESS" is a server that takes the header. */
static void
set_address(struct target *target, const char *address)
{
	static const char prefix[] = "proxy:";

	target->says_client = strncmp(address, prefix, sizeof(prefix) - 1) == 0;
	target->address = target->says_client ? address + sizeof(prefix) - 1 : address;
	if (target->says_client && strncmp(target->address, "tls:", 4) == 0)
		errx(2, "%s: the header would stand behind the beginning of TLS", address);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "proxy",
		.handle = handle,
		.state_size = sizeof(struct pair),
	};
	struct target target = { 0 };
	struct options options = {
		.about = "Joins each connection to one of its own to UPSTREAM, both ways at once. Before UPSTREAM,\n"
			 "proxy: tells it by the PROXY protocol who the client is.",
		.others = "UPSTREAM",
		.most = 1,
		.files = 2,
		.server = { .stop_signals = 1, .data = &target, .on_error = on_error },
	};

	parse_options(argc, argv, &options);
	set_address(&target, options.other[0]);
	target.timeout_ms = options.server.timeout_ms != 0 ? options.server.timeout_ms :
							     SKS_DEFAULT;
	target.idle_ms = options.server.idle_ms != 0 ? options.server.idle_ms : 60000;
	return listen_and_serve(&handler, &options);
}
