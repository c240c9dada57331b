/* SPDX-License-Identifier: MIT */
/*
 * redis_pool: counts words in Redis, or in kv, over a few connections that all clients
 * share.
 *
 * The pool is a channel. Whoever needs a connection takes one out, and waits for its turn
 * when all are in use; afterwards it puts it back. A place whose connection broke, or was
 * not made yet, is NULL: who takes it connects. So a Redis that was away is found again.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POOL 4
#define LIMIT_MS 3000 /* of a question: for the turn, the connection and the answer */

struct pool {
	struct sks_channel *clients; /* of struct sks_client *; its capacity is the pool's size */
	const char *address;
};

static void
give_back(struct pool *pool, struct sks_client *client)
{
	/* There is room, as the place was taken out: so it does not wait, and cannot fail. */
	(void)!sks_channel_send(pool->clients, &client);
}

/* Asks Redis on a connection. 0, or -1: the connection is of no use any more. */
static int
ask(struct sks_client *redis, const char *word, long long *count)
{
	char *answer;

	sks_printf(redis->wfile, "*2\r\n$4\r\nINCR\r\n$%zu\r\n%s\r\n", strlen(word), word);
	answer = sks_gets(redis->rfile); /* which flushes */
	if (answer == NULL || (answer[0] != ':' && answer[0] != '-')) {
		errno = answer != NULL ? EPROTO : errno != 0 ? errno : ECONNRESET;
		return -1;
	}
	*count = answer[0] == ':' ? strtoll(answer + 1, NULL, 10) : -1;
	return 0;
}

/* Asks on a connection of the pool. 0, or -1. */
static int
ask_pool(struct pool *pool, const char *word, long long *count)
{
	struct sks_client *redis;
	int rc, error;

	if (sks_channel_recv(pool->clients, &redis) != 1)
		return -1;
	if (redis == NULL)
		redis = sks_connect(pool->address, LIMIT_MS);
	rc = redis != NULL ? ask(redis, word, count) : -1;
	error = errno;
	if (rc == -1) {
		sks_client_close(redis);
		redis = NULL;
	}
	give_back(pool, redis);
	errno = error;
	return rc;
}

static int
count_word(struct sks_request *req)
{
	char *word = sks_gets(req->rfile); /* stays as it is until the next one is read */
	long long count;

	if (word == NULL)
		return sks_end(req->rfile);
	if (sks_is_http(word, strlen(word))) { /* a web page speaks */
		errno = EPROTONOSUPPORT;
		return -1;
	}
	sks_deadline(req, LIMIT_MS);
	if (ask_pool(req->data, word, &count) == -1)
		sks_printf(req->wfile, "%s: %s\n", word, strerror(errno));
	else
		sks_printf(req->wfile, "%s: %lld\n", word, count);
	return SKS_KEEP;
}

/* Fills the pool with places that are not connected yet. 0 or -1. */
static int
open_pool(struct pool *pool)
{
	int i;

	pool->clients = sks_channel_new(sizeof(struct sks_client *), POOL);
	for (i = 0; pool->clients != NULL && i < POOL; i++)
		give_back(pool, NULL);
	return pool->clients != NULL ? 0 : -1;
}

static void
close_pool(struct pool *pool)
{
	struct sks_client *client;

	sks_channel_close(pool->clients);
	while (sks_channel_recv(pool->clients, &client) == 1)
		sks_client_close(client);
	sks_channel_free(pool->clients);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "redis_pool",
		.handle = count_word,
		.client_first = 1,
		.refuses = SKS_REFUSES(SKS_PROCESSES), /* a connection has one owner */
	};
	struct pool pool;
	struct options options = {
		.about = "Counts each line in the Redis at SERVER, over a pool of connections.",
		.address = "localhost:2534",
		.others = "SERVER",
		.most = 1,
		.server = { .stop_signals = 1, .data = &pool },
	};
	int code;

	parse_options(argc, argv, &options);
	pool.address = options.other[0];
	if (open_pool(&pool) == -1)
		err(1, "pool");
	code = listen_and_serve(&handler, &options);
	close_pool(&pool);
	return code;
}
