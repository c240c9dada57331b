/* SPDX-License-Identifier: MIT */
/*
 * Streams on a socket object, the same as a handler gets.
 *
 * A client may be kept in a handler's data, be used on several loops, and be closed when all of
 * them are gone. So its input has a shared watch (loop/shared_watch.h), and its buffers come
 * from the pool of the task that uses it.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "socket/client.h"
#include "socket/socket.h"
#include "stream/tls.h"

#include <errno.h>
#include <string.h>

#define MAX_LINE 8192
#define MAX_OUTPUT 65536
#define INPUT_MOST (1024 * 1024) /* read by a write that waits */
#define UDP_HEADERS_V4 28 /* IPv4's and UDP's own, of the 65,535 bytes of a packet */
#define UDP_HEADERS_V6 8  /* IPv6 does not count its own */
#define UNIX_OVERHEAD 32  /* of the send buffer, which bounds a Unix datagram */

/* Returns how long a datagram may be; 0: the socket has none. -1 and errno. */
static int
datagram_size(const struct sks_socket *s)
{
	int type, family, size;

	if (sks_socket_get_option(s, SOL_SOCKET, SO_TYPE, &type) == -1 ||
	    sks_socket_get_option(s, SOL_SOCKET, SO_DOMAIN, &family) == -1)
		return -1;
	if (type == SOCK_STREAM)
		return 0;
	if (type != SOCK_DGRAM) {
		errno = EINVAL;
		return -1;
	}
	if (family != AF_UNIX)
		return UINT16_MAX - (family == AF_INET6 ? UDP_HEADERS_V6 : UDP_HEADERS_V4);
	if (sks_socket_get_option(s, SOL_SOCKET, SO_SNDBUF, &size) == -1)
		return -1;
	return size - UNIX_OVERHEAD;
}

static int
parse_mode(const char *mode, int *reads, int *writes)
{
	*reads = strchr(mode, 'r') != NULL;
	*writes = strchr(mode, 'w') != NULL;
	if (strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0 || strcmp(mode, "rw") == 0)
		return 0;
	errno = EINVAL;
	return -1;
}

static void
open_streams(struct sks_client_inside *c, int reads, int writes, int largest)
{
	size_t max_output = largest > 0 ? (size_t)largest : MAX_OUTPUT;

	sks_wfile_init(&c->w, &c->tr, &c->times, &c->times, max_output);
	sks_rfile_init(&c->r, &c->tr, &c->times, &c->times, MAX_LINE);
	if (writes)
		c->client.wfile = c->r.peer_wfile = &c->w;
	if (reads)
		c->client.rfile = &c->r;
	if (reads && writes)
		c->w.peer_rfile = &c->r;
	c->r.ahead.most = INPUT_MOST;
	c->r.shared_watch = &c->client.socket->shared_watch;
}

struct sks_client *
sks_socket_makefile(struct sks_socket *s, const char *mode)
{
	int reads, writes, largest;
	struct sks_client_inside *c = NULL;

	/* First, as another thread may close the socket meanwhile. */
	if (parse_mode(mode, &reads, &writes) == -1 || sks_sock_hold(s) == -1)
		return NULL;
	largest = datagram_size(s);
	if (largest != -1)
		c = sks_sys_calloc(1, sizeof(*c));
	if (c == NULL) {
		sks_sock_drop(s);
		return NULL;
	}
	c->client.socket = s;
	c->times = (struct sks_times){ s->timeout_ms, s->timeout_ms, s->timeout_ms };
	c->tr = (struct sks_transport){
		.ops = largest > 0 ? &sks_datagram_transport : &sks_plain_transport,
		.fd = s->fd,
	};
	open_streams(c, reads, writes, largest);
	return &c->client;
}

void
sks_client_take_socket(struct sks_client *client)
{
	sks_client_inside(client)->owns = 1;
}

int
sks_client_close(struct sks_client *client)
{
	struct sks_socket *s;
	struct sks_client_inside *c;
	int rc, error;

	if (client == NULL)
		return 0;
	c = sks_client_inside(client);
	if (c->r.busy || c->r.claimed || c->w.busy || c->w.claimed) {
		errno = EBUSY;
		return -1;
	}
	s = client->socket;
	c->r.pool = c->w.pool = NULL; /* their loop may be gone */
	rc = sks_flush(&c->w);
	error = errno;
	if (rc == 0 && c->client.wfile != NULL)
		sks_transport_say_end_waiting(&c->tr, sks_clock_after(c->w.write_ms));
	sks_rfile_close(&c->r);
	sks_wfile_close(&c->w);
	sks_transport_end(&c->tr);
	if (c->owns)
		sks_socket_free(s);
	sks_sock_drop(s);
	sks_sys_free(c);
	errno = error;
	return rc;
}
