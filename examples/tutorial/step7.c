#include <pthread.h>
#include <socketserver.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD 256 /* bytes of a word of a command, with the NUL behind it */
#define REPLY (4 * WORD)
#define PAIRS 256 /* of a store, at most */
#define STORES 256

struct pair {
	char key[WORD], value[WORD];
};

struct store {
	pthread_mutex_t lock;
	int n;
	struct pair pairs[PAIRS];
};

static unsigned int hash(const char *key)
{
	unsigned int sum = 5381;

	while (*key != '\0')
		sum = sum * 33 + (unsigned char)*key++;
	return sum;
}

/* Runs a command, which works on memory only. The caller holds the lock. */
static void run(char *reply, struct store *store, int n, char words[][WORD])
{
	struct pair *pair = store->pairs, *end = pair + store->n;
	long long number = 0;
	char rest;

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
	else if (n == 2 && strcasecmp(words[0], "DEL") == 0) {
		snprintf(reply, REPLY, ":%d\r\n", pair < end);
		if (pair < end)
			*pair = store->pairs[--store->n];
	} else if (n > 1 && pair == store->pairs + PAIRS)
		snprintf(reply, REPLY, "-OOM the store is full\r\n");
	else if (n == 3 && strcasecmp(words[0], "SET") == 0) {
		store->n += pair == end;
		strcpy(pair->key, words[1]);
		strcpy(pair->value, words[2]);
		snprintf(reply, REPLY, "+OK\r\n");
	} else if (n == 2 && strcasecmp(words[0], "INCR") == 0 && pair < end &&
	    sscanf(pair->value, "%18lld%c", &number, &rest) != 1)
		snprintf(reply, REPLY, "-ERR value is not an integer or out of range\r\n");
	else if (n == 2 && strcasecmp(words[0], "INCR") == 0) {
		store->n += pair == end;
		strcpy(pair->key, words[1]);
		snprintf(pair->value, WORD, "%lld", number + 1);
		snprintf(reply, REPLY, ":%lld\r\n", number + 1);
	} else
		snprintf(reply, REPLY, "-ERR unknown command\r\n");
}

/* Reads n words, each behind its length: "$4" and "ECHO". Returns n, or 0. */
static int read_words(struct sks_rfile *rfile, int n, char words[][WORD])
{
	char *line;
	size_t len;
	int i;

	for (i = 0; i < n; i++) {
		line = sks_gets(rfile);
		if (line == NULL || sscanf(line, "$%zu", &len) != 1 || len > WORD - 2 ||
		    sks_readexactly(rfile, words[i % 4], len + 2) != 1 ||
		    memchr(words[i % 4], '\0', len) != NULL)
			return 0;
		words[i % 4][len] = '\0';
	}
	return n;
}

static int serve(struct sks_request *req)
{
	struct store *store = req->data;
	char *line = sks_gets(req->rfile), words[4][WORD], reply[REPLY];
	int n;

	if (line == NULL)
		return sks_end(req->rfile);
	sks_deadline(req, 5000);
	if (sscanf(line, "*%d", &n) == 1)
		n = read_words(req->rfile, n, words);
	else if (sks_is_http(line, strlen(line)))
		n = 0;
	else
		n = sscanf(line, "%255s %255s %255s %255s", words[0], words[1], words[2], words[3]);
	if (n == 0)
		return sks_puts(req->wfile, "-ERR Protocol error\r\n"); /* and SKS_DONE */
	store += n > 1 ? hash(words[1]) % STORES : 0;
	pthread_mutex_lock(&store->lock);
	run(reply, store, n, words);
	pthread_mutex_unlock(&store->lock);
	return sks_puts(req->wfile, reply) == -1 ? -1 : SKS_KEEP;
}

static int init(const void *config, void **data)
{
	static struct store stores[STORES];
	int i;

	(void)config;
	for (i = 0; i < STORES; i++)
		pthread_mutex_init(&stores[i].lock, NULL);
	*data = stores;
	return 0;
}

SKS_PLUGIN(.name = "redis", .summary = "a small store for clients of Redis",
    .handler = { .name = "redis", .handle = serve, .client_first = 1 }, .init = init,
    .refuses = SKS_REFUSES(SKS_PROCESSES), .refuses_why = "each process would have its own store",
    .serves = SKS_STREAMS, .port = 6380, .idle_ms = 300000);
