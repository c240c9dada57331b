/* SPDX-License-Identifier: MIT */
/*
 * echo_client: sends the lines of standard input, prints what comes back.
 *
 * A connection sends and receives at once, by poll(2): a client that sent all
 * of a large input first would wait for a server that waits for it. Datagrams
 * go one line at a time, and each waits for its answer.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define USAGE 2           /* the exit code of a wrong use */
#define ANSWER_MS 2000    /* how long a datagram's answer may take */
#define ROOM 65536

/* -- where to -- */

static const struct scheme {
	const char *prefix;
	int family;
	int type;
} schemes[] = {
	{ "tcp:", AF_UNSPEC, SOCK_STREAM },
	{ "udp:", AF_UNSPEC, SOCK_DGRAM },
	{ "unix:", AF_UNIX, SOCK_STREAM },
	{ "unix-dgram:", AF_UNIX, SOCK_DGRAM },
	{ "", AF_UNSPEC, SOCK_STREAM }, /* the last: what has none of them */
};

static const struct scheme *
find_scheme(const char *address)
{
	const struct scheme *s = schemes;

	while (strncmp(address, s->prefix, strlen(s->prefix)) != 0)
		s++;
	return s;
}

static int
connect_unix(const char *address, const char *path, int type)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd;

	if (n == 0 || n >= sizeof(to.sun_path))
		errx(1, "%s: a Unix path has 1 to %zu bytes", address, sizeof(to.sun_path) - 1);
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract name: no file, and no NUL at its end */
	else
		n++;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	/* An answer needs a name to go to; the system chooses one. */
	if (type == SOCK_DGRAM && bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) == -1)
		err(1, "bind");
	if (connect(fd, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == -1)
		err(1, "connect %s", address);
	return fd;
}

/* Splits host:port, :port or [v6]:port in place. */
static char *
split_port(const char *address, char **host)
{
	char *port = strrchr(*host, ':');

	if (port == NULL || port[1] == '\0')
		errx(1, "%s: the port is missing", address);
	*port++ = '\0';
	if (**host == '[' && port[-2] == ']') {
		port[-2] = '\0';
		++*host;
	}
	return port;
}

static int
connect_inet(const char *address, const char *name, int type)
{
	struct addrinfo hints = { .ai_socktype = type }, *list, *ai;
	char *copy = strdup(name), *host = copy, *port;
	int fd = -1, rc, error = 0;

	if (copy == NULL)
		err(1, "memory");
	port = split_port(address, &host);
	rc = getaddrinfo(*host != '\0' ? host : NULL, port, &hints, &list);
	if (rc != 0)
		errx(1, "%s: %s", address, gai_strerror(rc));
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		fd = socket(ai->ai_family, type | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		error = errno;
		if (fd != -1)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	free(copy);
	errno = error;
	if (fd == -1)
		err(1, "connect %s", address);
	return fd;
}

/* -- a connection -- */

struct buffer {
	char bytes[ROOM];
	size_t start, end;
};

/* Standard input into the empty buffer. 0 at its end. */
static int
fill(struct buffer *b)
{
	ssize_t n = read(STDIN_FILENO, b->bytes, sizeof(b->bytes));

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n == -1)
		err(1, "standard input");
	b->start = 0;
	b->end = (size_t)n;
	return n > 0;
}

static void
send_some(int fd, struct buffer *b)
{
	ssize_t n = send(fd, b->bytes + b->start, b->end - b->start, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		b->start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		err(1, "send");
}

static void
print(const char *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, stdout) != n || fflush(stdout) == EOF)
		err(1, "standard output");
}

/* Prints what is there. 0 at the end. */
static int
receive_some(int fd)
{
	static char bytes[ROOM];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n == -1)
		err(1, "receive");
	print(bytes, (size_t)n);
	return n > 0;
}

static void
talk(int fd)
{
	static struct buffer out;
	int more = 1; /* of standard input */

	for (;;) {
		int unsent = out.start < out.end;
		struct pollfd polled[] = {
			{ .fd = fd, .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) },
			{ .fd = more && !unsent ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(polled, 2, -1) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		if (polled[0].revents & POLLOUT)
			send_some(fd, &out);
		if (polled[0].revents & ~POLLOUT && !receive_some(fd)) {
			if (out.start < out.end)
				errx(1, "the server has closed the connection before all was sent");
			return; /* also before the end of our input: it may have no more to say */
		}
		if (polled[1].revents && !fill(&out)) {
			more = 0;
			shutdown(fd, SHUT_WR); /* the end, for the server to see */
		}
	}
}

/* -- datagrams -- */

static void
ask(int fd, const char *line, size_t n, unsigned long number)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	static char answer[ROOM];
	ssize_t got;
	int rc;

	if (send(fd, line, n, MSG_NOSIGNAL) == -1)
		err(1, "send line %lu", number);
	while ((rc = poll(&polled, 1, ANSWER_MS)) == -1 && errno == EINTR)
		;
	if (rc == 0)
		errx(1, "line %lu: no answer within %d seconds", number, ANSWER_MS / 1000);
	got = recv(fd, answer, sizeof(answer), 0);
	if (got == -1)
		err(1, "receive");
	print(answer, (size_t)got);
}

static void
ask_all(int fd)
{
	unsigned long number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0)
		ask(fd, line, (size_t)n, ++number);
	if (ferror(stdin))
		err(1, "standard input");
	free(line);
}

/* -- */

static void
help(void)
{
	printf("usage: %s [--udp] [ADDRESS]\n\n"
	       "Sends the lines of standard input to a server and prints what comes back.\n\n"
	       "ADDRESS (localhost:23000): host:port, :port, [::1]:port, udp:host:port,\n"
	       "unix:/path, unix-dgram:/path, unix:@name, unix-dgram:@name.\n\n"
	       "  --udp   UDP, a datagram for each line\n"
	       "  --help  this text\n",
	    program_invocation_short_name);
}

int
main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "udp", no_argument, NULL, 'u' },
		{ 0 },
	};
	const char *address, *rest;
	const struct scheme *scheme;
	int option, fd, type, udp = 0;

	if (fcntl(STDIN_FILENO, F_GETFD) == -1)
		err(1, "standard input");
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (option) {
		case 'h':
			help();
			return 0;
		case 'u':
			udp = 1;
			break;
		default:
			return USAGE; /* getopt_long has said why */
		}
	}
	if (argc - optind > 1)
		errx(USAGE, "one address, please: '%s' is too much", argv[optind + 1]);
	address = optind < argc ? argv[optind] : "localhost:23000";
	scheme = find_scheme(address);
	rest = address + strlen(scheme->prefix);
	type = udp ? SOCK_DGRAM : scheme->type;
	if (type != scheme->type && scheme->prefix[0] != '\0')
		errx(USAGE, "--udp and %s do not go together", scheme->prefix);

	fd = scheme->family == AF_UNIX ? connect_unix(address, rest, type) :
					 connect_inet(address, rest, type);
	if (type == SOCK_STREAM)
		talk(fd);
	else
		ask_all(fd);
	close(fd);
	return 0;
}
