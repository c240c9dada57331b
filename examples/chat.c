/* SPDX-License-Identifier: MIT */
/*
 * chat: one room. What a guest says is posted to all others.
 *
 *     cc -o chat chat.c $(pkg-config --cflags --libs socketserver)
 *     ./chat --mode threads localhost:2527
 *
 * A handler owns its own rfile and wfile, nobody else's. To reach the others there is a
 * group: setup joins it, a request leaves it by itself when it ends, and what is posted to
 * it goes to all members, on whatever loop or thread they are. No post waits.
 */
#include <err.h>
#include <errno.h>
#include <socketserver.h>
#include <socketserver/host.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SAID_MAX 8300 /* a line, and who said it */

struct room {
	struct sks_group *guests;
	atomic_int last_number;
};

struct guest {
	int number;
};

/*
 * Posts news about a guest to all others. A guest that reads so slowly that there is no room for it
 * misses it.
 */
static int
tell_news(struct sks_request *about, const char *what)
{
	const struct room *room = about->data;
	const struct guest *guest = about->state;
	char text[64];
	int n = snprintf(text, sizeof(text), "* guest %d %s\n", guest->number, what);

	return sks_group_post(room->guests, text, (size_t)n, about);
}

static int
come(struct sks_request *req)
{
	struct room *room = req->data;
	struct guest *me = req->state;

	if (sks_group_join(room->guests, req) == -1)
		return -1; /* a datagram cannot stay */
	me->number = atomic_fetch_add(&room->last_number, 1) + 1;
	if (tell_news(req, "comes in") == -1 ||
	    sks_printf(req->wfile, "* you are guest %d\n", me->number) == -1)
		return -1;
	return SKS_KEEP;
}

static int
talk(struct sks_request *req)
{
	const struct room *room = req->data;
	const struct guest *me = req->state;
	char said[SAID_MAX], *line;
	int n;

	line = sks_gets(req->rfile);
	if (line == NULL)
		return sks_end(req->rfile);
	if (sks_is_http(line, strlen(line))) { /* a web page speaks, not a guest */
		errno = EPROTONOSUPPORT;
		return -1;
	}
	n = snprintf(said, sizeof(said), "guest %d: %s\n", me->number, line);
	if ((size_t)n >= sizeof(said)) { /* --max-line allows more than there is room for */
		errno = EMSGSIZE;
		return -1;
	}
	return sks_group_post(room->guests, said, (size_t)n, req) == -1 ? -1 : SKS_KEEP;
}

static void
leave(struct sks_request *req)
{
	(void)tell_news(req, "leaves");
}

static int
serve(const char *address, const struct sks_options *options)
{
	static const struct sks_handler handler = {
		.name = "chat",
		.setup = come,
		.handle = talk,
		.finish = leave,
		.state_size = sizeof(struct guest),
		.refuses = SKS_REFUSES(SKS_PROCESSES), /* each would have a room of its own */
	};
	struct sks_server *server = sks_server_new(&handler, options);
	char where[160];
	int code;

	/* Where something fails, the library says why. */
	if (server == NULL || sks_server_listen(server, address) == -1) {
		code = errno == EINVAL || errno == ENAMETOOLONG ? 2 : 1;
	} else {
		printf("chat: listening on %s\n",
		    sks_server_listen_address(server, 0, where, sizeof(where)));
		fflush(stdout);
		code = sks_serve_forever(server) == 0 ? 0 : 1;
	}
	sks_server_free(server);
	return code;
}

/* chat [--OPTION VALUE]... [ADDRESS], with the options of a server. Returns the address. */
static const char *
read_arguments(char **argv, struct sks_options *options)
{
	char why[160];

	for (argv++; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv += 2)
		if (argv[1] == NULL || sks_options_set(options, *argv + 2, argv[1], why,
		    sizeof(why)) == -1)
			errx(2, "%s: %s", *argv, argv[1] != NULL ? why : "a value is missing");
	if (*argv != NULL && argv[1] != NULL)
		errx(2, "one address, please: '%s' is too much", argv[1]);
	return *argv != NULL ? *argv : "localhost:2527";
}

int
main(int argc, char **argv)
{
	struct room room = { .guests = sks_group_new() };
	struct sks_options options = { .stop_signals = 1, .data = &room };
	int code;

	(void)argc;
	if (room.guests == NULL)
		err(1, "group");
	code = serve(read_arguments(argv, &options), &options);
	sks_group_free(room.guests);
	return code;
}
