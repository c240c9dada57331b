/* SPDX-License-Identifier: MIT */
/*
 * select_chat: one loop over many sockets, by sks_select() alone: no server, no
 * handler, no fiber. What one guest says goes to all others.
 *
 * This is Python's select.select() as it is mostly used. Compare chat.c, where
 * the same room is a handler: here each guest's half line has to be kept
 * between two calls, and a guest that does not read must be dismissed, all by hand.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define USAGE 2      /* the exit code of a wrong use */
#define GUESTS 500   /* at once; more wait to be accepted */
#define SAID_MAX 1024
#define RETRY_MS 1000 /* without a free descriptor, for one more guest */

struct guest {
	struct sks_socket *socket; /* NULL: the chair is free */
	unsigned long number;
	size_t have;               /* of a line that is not complete */
	char said[SAID_MAX];
};

static struct guest guests[GUESTS];
static unsigned long last_number;
static int no_descriptor; /* the last one who came could not be let in */

static void
dismiss(struct guest *g)
{
	sks_socket_free(g->socket);
	g->socket = NULL;
	no_descriptor = 0;
}

/* A guest whose socket does not take all of it at once is not reading, and is dismissed. */
static void
tell_others(const struct guest *from, const char *text, size_t n)
{
	struct guest *g;

	for (g = guests; g < guests + GUESTS; g++)
		if (g != from && g->socket != NULL &&
		    sks_socket_send(g->socket, text, n, MSG_DONTWAIT) != (ssize_t)n)
			dismiss(g);
}

static void
tell_said(const struct guest *g, const char *line, size_t n)
{
	char text[SAID_MAX + 64];
	int length = snprintf(text, sizeof(text), "guest %lu: %.*s\n", g->number, (int)n, line);

	tell_others(g, text, (size_t)length);
}

/* Passes on each complete line; an endless one in pieces. */
static void
pass_lines(struct guest *g)
{
	char *at = g->said, *end = g->said + g->have, *newline;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (sks_is_http(at, (size_t)(newline - at))) { /* a web page speaks, not a guest */
			dismiss(g);
			return;
		}
		tell_said(g, at, (size_t)(newline - at));
		at = newline + 1;
	}
	g->have = (size_t)(end - at);
	memmove(g->said, at, g->have);
	if (g->have == sizeof(g->said)) {
		tell_said(g, g->said, g->have);
		g->have = 0;
	}
}

static void
listen_to(struct guest *g)
{
	ssize_t n = sks_socket_recv(g->socket, g->said + g->have, sizeof(g->said) - g->have,
	    MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n > 0) {
		g->have += (size_t)n;
		pass_lines(g);
		return;
	}
	if (g->have > 0) /* a last line without its newline */
		tell_said(g, g->said, g->have);
	dismiss(g);
}

static struct guest *
free_chair(void)
{
	struct guest *g;

	for (g = guests; g < guests + GUESTS; g++)
		if (g->socket == NULL)
			return g;
	return NULL;
}

static void
welcome(struct sks_socket *listener)
{
	struct guest *g = free_chair();
	struct sks_socket *socket = sks_socket_accept(listener, NULL, NULL);
	char text[64];
	int n;

	if (socket == NULL) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			warn("accept");
		/* He is still there: to look at once again would be to do nothing else. */
		no_descriptor = errno == EMFILE || errno == ENFILE;
		return;
	}
	*g = (struct guest){ .socket = socket, .number = ++last_number };
	n = snprintf(text, sizeof(text), "* you are guest %lu\n", g->number);
	if (sks_socket_send(socket, text, (size_t)n, MSG_DONTWAIT) != n)
		dismiss(g);
}

/* One round. 0 when a signal has come. */
static int
serve_round(struct sks_socket *listener, int signals)
{
	static struct sks_selectable set[2 + GUESTS];
	size_t i;
	int n;

	set[0] = (struct sks_selectable){ .fd = signals, .want = SKS_READ };
	set[1] = (struct sks_selectable){ .socket = listener,
		.want = free_chair() != NULL && !no_descriptor ? SKS_READ : 0 };
	for (i = 0; i < GUESTS; i++)
		set[2 + i] = (struct sks_selectable){ .socket = guests[i].socket,
			.want = guests[i].socket != NULL ? SKS_READ : 0 };
	n = sks_select(set, 2 + GUESTS, no_descriptor ? RETRY_MS : SKS_OFF);
	if (n == -1)
		err(1, "select");
	if (n == 0)
		no_descriptor = 0;
	if (set[0].ready)
		return 0;
	for (i = 0; i < GUESTS; i++)
		if (set[2 + i].ready && guests[i].socket != NULL)
			listen_to(&guests[i]);
	if (set[1].ready)
		welcome(listener);
	return 1;
}

static struct sks_socket *
listen_on(const char *text)
{
	struct sockaddr_storage addr;
	struct sks_socket *socket;
	socklen_t len;
	char bound[160];

	if (sks_address_parse(text, &addr, &len) == -1)
		err(1, "%s", text);
	socket = sks_socket_new(addr.ss_family, SOCK_STREAM, 0);
	if (socket == NULL)
		err(1, "socket");
	sks_socket_settimeout(socket, 0); /* who was ready may be gone when we look */
	if (addr.ss_family != AF_UNIX)
		sks_socket_set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
	if (sks_socket_bind(socket, (struct sockaddr *)&addr, len) == -1 ||
	    sks_socket_listen(socket, 0) == -1)
		err(1, "bind %s", text);
	len = sizeof(addr);
	if (sks_socket_getsockname(socket, (struct sockaddr *)&addr, &len) == -1)
		err(1, "getsockname");
	printf("select_chat: listening on %s%s\n", addr.ss_family == AF_UNIX ? "" : "tcp:",
	    sks_address_format((struct sockaddr *)&addr, len, bound, sizeof(bound)));
	fflush(stdout);
	return socket;
}

/*
 * A shell has it so for what runs in the background; while it is blocked it would come all the
 * same.
 */
static int
is_ignored(int signo)
{
	struct sigaction action;

	return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Signals as one more descriptor to look at. */
static int
signals_as_input(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	if (!is_ignored(SIGINT))
		sigaddset(&set, SIGINT);
	if (!is_ignored(SIGTERM))
		sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd == -1)
		err(1, "signalfd");
	return fd;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:2529";
	struct sks_socket *listener;
	struct guest *g;
	int signals;

	if (strcmp(address, "--help") == 0) {
		printf("usage: select_chat [ADDRESS]\n\n"
		       "A room in one loop over sks_select(): what one says goes to all others.\n\n"
		       "ADDRESS (127.0.0.1:2529): a numeric host:port, :port, [::1]:port, unix:@name.\n");
		return 0;
	}
	if (argc > 2)
		errx(USAGE, "one address, please: '%s' is too much", argv[2]);
	if (address[0] == '-')
		errx(USAGE, "unrecognized option '%s'", address);
	signals = signals_as_input();
	listener = listen_on(address);
	while (serve_round(listener, signals))
		;
	for (g = guests; g < guests + GUESTS; g++)
		if (g->socket != NULL)
			dismiss(g);
	sks_socket_free(listener);
	close(signals);
	return 0;
}
