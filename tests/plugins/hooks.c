/* SPDX-License-Identifier: MIT */
/*
 * A plugin whose hooks count: how often, in data that all modules of this file
 * share. It tells by its handler what it was given.
 */
#include <errno.h>
#include <socketserver.h>
#include <stdlib.h>
#include <string.h>

struct config {
	const char *word;
	int fail;  /* init's errno */
	int times;
};

struct data {
	char word[32];
	int times;
};

static const struct sks_plugin_option options[] = {
	{ .name = "word", .help = "what to say", .value = "word", .min = 1, .max = 31,
	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, word) },
	{ .name = "fail", .help = "errno of init", .value = "0",
	    .type = SKS_OPTION_INTEGER, SKS_OPTION_AT(struct config, fail) },
	{ .name = "times", .help = "how often", .required = 1, .min = 1, .max = 9,
	    .type = SKS_OPTION_INTEGER, SKS_OPTION_AT(struct config, times) },
	{ 0 },
};

extern SKS_API int hooks_inits, hooks_exits;
int hooks_inits, hooks_exits;

static int
init(const void *from, void **to)
{
	const struct config *config = from;
	struct data *data;

	hooks_inits++;
	if (config->fail != 0) {
		errno = config->fail;
		return -1;
	}
	data = calloc(1, sizeof(*data));
	if (data == NULL)
		return -1;
	strncpy(data->word, config->word, sizeof(data->word) - 1);
	data->times = config->times;
	*to = data;
	return 0;
}

static void
leave(void *data)
{
	hooks_exits++;
	free(data);
}

static int
handle(struct sks_request *req)
{
	const struct data *data = req->data;
	int i;

	for (i = 0; i < data->times; i++)
		if (sks_puts(req->wfile, data->word) == -1)
			return -1;
	return SKS_DONE;
}

SKS_PLUGIN(
    .name = "hooks",
    .summary = "counts its hooks",
    .handler = { .handle = handle },
    .options = options,
    .config_size = sizeof(struct config),
    .init = init,
    .exit = leave,
    .serves = SKS_DATAGRAMS,
    .mode = SKS_THREADS,
    .idle_ms = 300000,
    .timeout_ms = SKS_OFF,
    .refuses = SKS_REFUSES(SKS_PROCESSES) | SKS_REFUSES(SKS_SERIAL),
    .refuses_why = "it counts in one memory");
