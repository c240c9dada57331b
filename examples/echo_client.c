/* SPDX-License-Identifier: MIT */
/*
 * echo_client: sends the lines of standard input, prints what comes back.
 *
 * A connection sends and receives at once, by sks_select(): a client that sent
 * all of a large input first would wait for a server that waits for it.
 * Datagrams go one line at a time, and each waits for its answer.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE 2           /* the exit code of a wrong use */
#define ANSWER_MS 2000    /* how long a datagram's answer may take */
#define ROOM 65536

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
send_some(struct sks_client *client, struct buffer *b)
{
	ssize_t n = (ssize_t)(b->end - b->start);

	if (sks_tls_version(client->rfile) == NULL)
		n = sks_socket_send(client->socket, b->bytes + b->start, (size_t)n, MSG_DONTWAIT);
	else if (sks_write(client->wfile, b->bytes + b->start, (size_t)n) == -1 ||
	    sks_flush(client->wfile) == -1)
		err(1, "send"); /* a write of TLS waits, and reads ahead meanwhile */
	if (n >= 0)
		b->start += (size_t)n;
	else if (errno != EAGAIN)
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
receive_some(struct sks_rfile *rfile)
{
	static char bytes[ROOM];
	ssize_t n = sks_read(rfile, bytes, sizeof(bytes));

	if (n == -1)
		err(1, "receive");
	print(bytes, (size_t)n);
	return n > 0;
}

static void
talk(struct sks_client *client)
{
	static struct buffer out;
	int more = 1; /* of standard input */

	for (;;) {
		int unsent = out.start < out.end;
		struct sks_selectable set[] = {
			{ .rfile = client->rfile, .want = SKS_READ },
			{ .socket = client->socket, .want = unsent ? SKS_WRITE : 0 },
			{ .fd = STDIN_FILENO, .want = more && !unsent ? SKS_READ : 0 },
		};

		if (sks_select(set, 3, SKS_OFF) == -1)
			err(1, "select");
		if (set[1].ready)
			send_some(client, &out);
		if (set[0].ready && !receive_some(client->rfile)) {
			if (out.start < out.end)
				errx(1, "the server has closed the connection before all was sent");
			return; /* also before the end of our input: it may have no more to say */
		}
		if (set[2].ready && !fill(&out)) {
			more = 0;
			sks_wfile_shutdown(client->wfile); /* the end, for the server to see */
		}
	}
}

/* -- datagrams -- */

static void
ask(struct sks_client *client, const char *line, size_t n, unsigned long number)
{
	char *first;

	if (sks_write(client->wfile, line, n) == -1 || sks_flush(client->wfile) == -1)
		err(1, "send line %lu", number);
	if (sks_peek(client->rfile, 1, &first) == -1 && errno == ETIMEDOUT)
		errx(1, "line %lu: no answer within %d seconds", number, ANSWER_MS / 1000);
	while (receive_some(client->rfile))
		;
	sks_next_datagram(client->rfile);
}

static void
ask_all(struct sks_client *client)
{
	unsigned long number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	sks_rfile_set_idle(client->rfile, ANSWER_MS);
	while ((n = getline(&line, &size, stdin)) > 0)
		ask(client, line, (size_t)n, ++number);
	if (ferror(stdin))
		err(1, "standard input");
	free(line);
}

/* -- */

static int
is_datagram(struct sks_socket *socket)
{
	int type = SOCK_STREAM;

	if (sks_socket_get_option(socket, SOL_SOCKET, SO_TYPE, &type) == -1)
		err(1, "socket");
	return type == SOCK_DGRAM;
}

/* Of an address that should be without. */
static void
refuse_scheme(const char *address)
{
	static const char *const schemes[] = { "tcp:", "unix:", "unix-dgram:" };
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(address, schemes[i], strlen(schemes[i])) == 0)
			errx(USAGE, "--udp and %s do not go together", schemes[i]);
}

static void
help(void)
{
	printf("usage: %s [--udp | --ca FILE] [--tls-lenient-end] [ADDRESS]\n\n"
	       "Sends the lines of standard input to a server and prints what comes back.\n\n"
	       "ADDRESS (localhost:23000): host:port, :port, [::1]:port, udp:host:port,\n"
	       "unix:/path, unix-dgram:/path, unix:@name, unix-dgram:@name, tls:host:port.\n\n"
	       "  --udp      UDP, a datagram for each line\n"
	       "  --ca FILE  TLS, and the server's certificate is signed by one of these, in PEM;\n"
	       "             without it tls: believes those that the system does\n"
	       "  --tls-lenient-end\n"
	       "             TLS, and an end without close_notify is one\n"
	       "  --help     this text\n",
	    program_invocation_short_name);
}

/* By TLS if one of its options is given. NULL: the library has said why. */
static struct sks_client *
connect_to(const char *address, const struct sks_tls_options *options)
{
	struct sks_client *client;
	struct sks_tls *tls;

	if (options->ca == NULL && !options->lenient_end)
		return sks_connect(address, SKS_DEFAULT);
	tls = sks_tls_new(SKS_TLS_CLIENT, options);
	if (tls == NULL)
		return NULL;
	client = sks_connect_tls(address, tls, SKS_DEFAULT);
	sks_tls_free(tls); /* the connection keeps it */
	return client;
}

/* Reads the command line. Returns the address, to which --udp adds its scheme in room, and *tls. */
static const char *
parse(int argc, char **argv, struct sks_tls_options *tls, char *room, size_t size)
{
	static const struct option table[] = {
		{ "ca", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "tls-lenient-end", no_argument, NULL, 'l' },
		{ "udp", no_argument, NULL, 'u' },
		{ 0 },
	};
	const char *address;
	int option, udp = 0;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (option) {
		case 'h':
			help();
			exit(0);
		case 'u':
			udp = 1;
			break;
		case 'c':
			tls->ca = optarg;
			break;
		case 'l':
			tls->lenient_end = 1;
			break;
		default:
			exit(USAGE); /* getopt_long has said why */
		}
	}
	if (argc - optind > 1)
		errx(USAGE, "one address, please: '%s' is too much", argv[optind + 1]);
	if (udp && (tls->ca != NULL || tls->lenient_end))
		errx(USAGE, "--udp and %s do not go together",
		    tls->ca != NULL ? "--ca" : "--tls-lenient-end");
	address = optind < argc ? argv[optind] : "localhost:23000";
	if (!udp || strncmp(address, "udp:", 4) == 0)
		return address;
	refuse_scheme(address);
	snprintf(room, size, "udp:%s", address);
	return room;
}

int
main(int argc, char **argv)
{
	struct sks_client *client;
	struct sks_tls_options tls = { 0 };
	const char *address;
	char room[300];

	if (fcntl(STDIN_FILENO, F_GETFD) == -1)
		err(1, "standard input");
	address = parse(argc, argv, &tls, room, sizeof(room));
	client = connect_to(address, &tls);
	if (client == NULL)
		return errno == EINVAL || errno == ENAMETOOLONG ? USAGE : 1;
	if (is_datagram(client->socket))
		ask_all(client);
	else
		talk(client);
	if (sks_client_close(client) == -1)
		err(1, "close");
	return 0;
}
