/* SPDX-License-Identifier: MIT */
/*
 * bare_sendfile: sends a file to one client after the other, by sendfile(2) in a loop and nothing
 * else. With "get" it is the client: it asks for /NAME and drops what comes.
 *
 * usage: bare_sendfile FILE
 *        bare_sendfile get PORT NAME
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer.h"

/* Reads up to the blank line that ends a request. */
static void
read_request(int fd)
{
	char buf[4096];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, buf + n, sizeof(buf) - 1 - n)) > 0) {
		n += (size_t)got;
		buf[n] = '\0';
		if (strstr(buf, "\r\n\r\n") != NULL)
			return;
	}
}

static void
answer(int fd, int file, off_t size)
{
	off_t at = 0;

	read_request(fd);
	dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)size);
	while (at < size && sendfile(fd, file, &at, (size_t)(size - at)) > 0)
		;
	close(fd);
}

int
serve(const char *path)
{
	int listener, file = open(path, O_RDONLY);
	struct stat st;

	if (file == -1 || fstat(file, &st) == -1)
		err(1, "%s", path);
	signal(SIGPIPE, SIG_IGN);
	listener = open_any_listener();
	for (;;)
		answer(accept(listener, NULL, NULL), file, st.st_size);
}

int
get(const char *port, const char *name)
{
	int fd = connect_to(port);
	long long sum = 0;
	ssize_t n;

	dprintf(fd, "GET /%s HTTP/1.1\r\nConnection: close\r\n\r\n", name);
	while ((n = recv(fd, NULL, 1 << 20, MSG_TRUNC)) > 0)
		sum += n;
	printf("%lld\n", sum);
	return 0;
}
