/* SPDX-License-Identifier: MIT */
/*
 * bare_sendfile: sends a file to one client after the other, by sendfile(2) in a loop and nothing
 * else. With "get" it is the client: it asks for /NAME and drops what comes.
 *
 * usage: bare_sendfile FILE
 *        bare_sendfile get PORT NAME
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int
serve(const char *path)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), file = open(path, O_RDONLY);
	struct stat st;

	if (listener == -1 || file == -1 || fstat(file, &st) == -1 ||
	    bind(listener, (struct sockaddr *)&addr, len) == -1 || listen(listener, 8) == -1 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) == -1)
		err(1, "%s", path);
	printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	for (;;)
		answer(accept(listener, NULL, NULL), file, st.st_size);
}

static int
get(const char *port, const char *name)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	long long sum = 0;
	ssize_t n;

	if (fd == -1 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		err(1, "connect %s", port);
	dprintf(fd, "GET /%s HTTP/1.1\r\nConnection: close\r\n\r\n", name);
	while ((n = recv(fd, NULL, 1 << 20, MSG_TRUNC)) > 0)
		sum += n;
	printf("%lld\n", sum);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return get(argv[2], argv[3]);
	if (argc != 2)
		errx(2, "usage: bare_sendfile FILE | get PORT NAME");
	return serve(argv[1]);
}
