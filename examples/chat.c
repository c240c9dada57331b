/* SPDX-License-Identifier: MIT */
/*
 * chat: one room. What a guest says is posted to all others.
 *
 * A handler owns its own rfile and wfile, nobody else's. To reach the others
 * there is sks_post(), which never waits; and so that nobody posts to a guest
 * who is gone, setup puts each one on a list and finish takes it off, under
 * one lock.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SAID_MAX 8300 /* a line, and who said it */

struct guest {
	struct sks_request *req;
	struct guest *next;
	int number;
};

struct room {
	struct sks_mutex *lock; /* held for moments, never across a wait */
	struct guest *guests;
	int last_number;
};

/* finish may not give up: the list would keep a guest who is gone. */
static void
enter(struct room *room)
{
	while (sks_mutex_lock(room->lock) == -1)
		sks_yield();
}

/* To everybody but the one it is about. Who reads so slowly that there is no room misses it. */
static void
tell_others(struct room *room, const struct guest *from, const char *text, size_t n)
{
	const struct guest *g;

	for (g = room->guests; g != NULL; g = g->next)
		if (g != from)
			(void)sks_post(g->req, text, n);
}

static void
tell_news(struct room *room, const struct guest *about, const char *what)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "* guest %d %s\n", about->number, what);

	tell_others(room, about, text, (size_t)n);
}

static int
come(struct sks_request *req)
{
	struct room *room = req->data;
	struct guest *me = req->state;

	if (sks_is_datagram(req)) {
		errno = ENOTSUP; /* a datagram cannot stay */
		return -1;
	}
	me->req = req;
	enter(room);
	me->number = ++room->last_number;
	me->next = room->guests;
	room->guests = me;
	tell_news(room, me, "comes in");
	sks_mutex_unlock(room->lock);
	/* No -1 from here on: finish would not run, and the list keep a guest who is gone. */
	sks_printf(req->wfile, "* you are guest %d\n", me->number);
	return 0;
}

static int
talk(struct sks_request *req)
{
	struct room *room = req->data;
	struct guest *me = req->state;
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
	enter(room);
	tell_others(room, me, said, (size_t)n);
	sks_mutex_unlock(room->lock);
	return SKS_KEEP;
}

static void
leave(struct sks_request *req)
{
	struct room *room = req->data;
	struct guest *me = req->state, **at;

	enter(room);
	for (at = &room->guests; *at != me; at = &(*at)->next)
		;
	*at = me->next;
	tell_news(room, me, "leaves");
	sks_mutex_unlock(room->lock);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "chat",
		.setup = come,
		.handle = talk,
		.finish = leave,
		.state_size = sizeof(struct guest),
	};
	struct room room = { 0 };
	struct options options = {
		.about = "A room: what one client says is sent to all others.",
		.address = "localhost:2527",
		.server = { .stop_signals = 1, .data = &room },
	};
	struct sks_server *server;
	int code = 1;

	parse_options(argc, argv, &options);
	room.lock = sks_mutex_new();
	if (room.lock == NULL)
		err(1, "mutex");
	server = sks_server_new(&handler, &options.server);
	if (server == NULL || sks_server_listen(server, options.address) == -1)
		sks_server_free(server); /* the library has said why */
	else
		code = serve(server);
	sks_mutex_free(room.lock);
	return code;
}
