#include <err.h>
#include <pthread.h>
#include <socketserver.h>
#include <socketserver/host.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD 256 /* bytes of a word of a command, with the NUL behind it */
#define REPLY (4 * WORD)
#define PAIRS 256 /* of a store, at most */

struct pair {
	char key[WORD], value[WORD];
};

struct store {
	pthread_mutex_t lock;
	int n;
	struct pair pairs[PAIRS];
};

/* Runs a command, which works on memory only. The caller holds the lock. */
static void run(char *reply, struct store *store, int n, char words[][WORD])
{
	struct pair *pair = store->pairs, *end = pair + store->n;

	while (n > 1 && pair < end && strcmp(pair->key, words[1]) != 0)
		pair++;
	if (n == 1 && strcasecmp(words[0], "PING") == 0)
		snprintf(reply, REPLY, "+PONG\r\n");
	else if (n == 2 && strcasecmp(words[0], "ECHO") == 0)
		snprintf(reply, REPLY, "$%zu\r\n%s\r\n", strlen(words[1]), words[1]);
	else if (n == 2 && strcasecmp(words[0], "GET") == 0 && pair == end)
		snprintf(reply, REPLY, "$-1\r\n");
	else if (n == 2 && strcasecmp(words[0], "GET") == 0)
		snprintf(reply, REPLY, "$%zu\r\n%s\r\n", strlen(pair->value), pair->value);
	else if (n > 1 && pair == store->pairs + PAIRS)
		snprintf(reply, REPLY, "-OOM the store is full\r\n");
	else if (n == 3 && strcasecmp(words[0], "SET") == 0) {
		store->n += pair == end;
		strcpy(pair->key, words[1]);
		strcpy(pair->value, words[2]);
		snprintf(reply, REPLY, "+OK\r\n");
	} else
		snprintf(reply, REPLY, "-ERR unknown command\r\n");
}

static int serve(struct sks_request *req)
{
	struct store *store = req->data;
	char *line = sks_gets(req->rfile), words[4][WORD], reply[REPLY];
	int n;

	if (line == NULL)
		return sks_end(req->rfile);
	n = sscanf(line, "%255s %255s %255s %255s", words[0], words[1], words[2], words[3]);
	pthread_mutex_lock(&store->lock);
	run(reply, store, n, words);
	pthread_mutex_unlock(&store->lock);
	return sks_puts(req->wfile, reply) == -1 ? -1 : SKS_KEEP;
}

int main(int argc, char **argv)
{
	static struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct sks_handler handler = { .name = "redis", .handle = serve,
		.refuses = SKS_REFUSES(SKS_PROCESSES), .client_first = 1 };
	struct sks_options options = { .data = &store };
	char why[100];

	if (argc > 2 && sks_options_set(&options, "mode", argv[2], why, sizeof(why)) == -1)
		errx(2, "%s", why);
	return sks_serve(argc > 1 ? argv[1] : "localhost:6380", &handler, &options);
}
