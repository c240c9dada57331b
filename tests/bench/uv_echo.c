/*
 * A peer of ours: an echo server on libuv. It looks for no lines, and writes at once what it can.
 */

#define _GNU_SOURCE 1
#include "listener.h"

#include <uv.h>

#include <string.h>

static char scratch[65536];

struct rest {
	uv_write_t write;
	char bytes[];
};

static void
on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(scratch, sizeof(scratch));
}

static void
on_close(uv_handle_t *handle)
{
	free(handle);
}

static void
on_written(uv_write_t *write, int status)
{
	(void)status;
	free(write);
}

/* What the socket does not take now: a copy of it waits. */
static void
write_later(uv_stream_t *client, const char *bytes, size_t n)
{
	struct rest *rest = malloc(sizeof(*rest) + n);
	uv_buf_t buf;

	if (rest == NULL)
		errx(1, "no memory");
	memcpy(rest->bytes, bytes, n);
	buf = uv_buf_init(rest->bytes, (unsigned int)n);
	if (uv_write(&rest->write, client, &buf, 1, on_written) != 0) {
		free(rest);
		uv_close((uv_handle_t *)client, on_close);
	}
}

static void
on_read(uv_stream_t *client, ssize_t n, const uv_buf_t *in)
{
	uv_buf_t out = uv_buf_init(in->base, n > 0 ? (unsigned int)n : 0);
	int sent;

	if (n < 0) {
		uv_close((uv_handle_t *)client, on_close);
		return;
	}
	if (n == 0)
		return;
	sent = uv_try_write(client, &out, 1);
	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0)
		uv_close((uv_handle_t *)client, on_close);
	else if (sent < n)
		write_later(client, in->base + sent, (size_t)(n - sent));
}

static void
on_connection(uv_stream_t *listener, int status)
{
	uv_tcp_t *client = malloc(sizeof(*client));

	if (status != 0 || client == NULL || uv_tcp_init(listener->loop, client) != 0)
		errx(1, "cannot accept");
	if (uv_accept(listener, (uv_stream_t *)client) != 0 || uv_tcp_nodelay(client, 1) != 0 ||
	    uv_read_start((uv_stream_t *)client, on_buffer, on_read) != 0)
		uv_close((uv_handle_t *)client, on_close);
}

int
main(int argc, char **argv)
{
	int fd = open_listener(argc, argv, SOCK_NONBLOCK);
	uv_loop_t *loop = uv_default_loop();
	uv_tcp_t listener;

	if (uv_tcp_init(loop, &listener) != 0 || uv_tcp_open(&listener, fd) != 0 ||
	    uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection) != 0)
		errx(1, "cannot listen");
	return uv_run(loop, UV_RUN_DEFAULT);
}
