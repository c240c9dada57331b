/* SPDX-License-Identifier: MIT */
/*
 * fan_out: asks several servers at once, and answers with what came in time.
 *
 * Each line of a client goes to all of them, each asked by a child of its own
 * under one limit of time. So the answer takes as long as the slowest server,
 * and no longer than the limit.
 */
#include "options.h"
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SERVERS 8      /* at most */
#define LIMIT_MS 1000  /* for all of them together */
#define ANSWER_MAX 1024

struct servers {
	char **address;
	int count;
};

/* One of the questions under way. They lie in the request's state: a child may outlive a frame. */
struct question {
	const char *address;
	const char *text;
	char answer[ANSWER_MAX];
	struct sks_child *child;
};

static int
ask_over(struct sks_client *server, struct question *q)
{
	char *line;

	sks_printf(server->wfile, "%s\n", q->text);
	line = sks_gets(server->rfile);
	if (line == NULL) {
		if (errno == 0)
			errno = ENODATA; /* it ended without an answer */
		return -1;
	}
	snprintf(q->answer, sizeof(q->answer), "%s", line);
	return 0;
}

/* A child: 0 with the answer, or errno. */
static int
ask(void *arg)
{
	struct question *q = arg;
	struct sks_client *server = sks_connect(q->address, LIMIT_MS);
	int error = 0;

	if (server == NULL)
		return errno;
	if (ask_over(server, q) == -1)
		error = errno;
	sks_client_close(server);
	return error;
}

/* The limit holds for whatever is begun under it, so each child ends in time by itself. */
static void
ask_all(struct question *q, const struct servers *servers, const char *text)
{
	struct sks_timeout limit;
	int i;

	sks_timeout_begin(&limit, LIMIT_MS);
	for (i = 0; i < servers->count; i++) {
		q[i].address = servers->address[i];
		q[i].text = text;
		q[i].child = sks_go(ask, &q[i]);
	}
	sks_timeout_end(&limit);
}

static int
answer(struct sks_request *req)
{
	const struct servers *servers = req->data;
	struct question *q = req->state;
	char *text = sks_gets(req->rfile); /* stays as it is until the next one is read */
	int i, error;

	if (text == NULL)
		return sks_end(req->rfile);
	ask_all(q, servers, text);
	for (i = 0; i < servers->count; i++) {
		if (q[i].child == NULL)
			error = ENOMEM;
		else if (sks_child_join(q[i].child, &error) == -1)
			return -1;
		sks_printf(req->wfile, "%s: %s\n", q[i].address,
		    error == 0 ? q[i].answer : strerror(error));
	}
	return SKS_KEEP;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "fan_out",
		.handle = answer,
		.state_size = SERVERS * sizeof(struct question),
		.client_first = 1,
	};
	struct servers servers;
	struct options options = {
		.about = "Asks every SERVER each line of a client at once, and answers with what they\n"
			 "say within a second.",
		.others = "SERVER...",
		.most = SERVERS,
		.files = 1 + SERVERS,
		.server = { .stop_signals = 1, .data = &servers },
	};

	parse_options(argc, argv, &options);
	servers = (struct servers){ options.other, options.nothers };
	return listen_and_serve(&handler, &options);
}
