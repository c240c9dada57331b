/* SPDX-License-Identifier: MIT */
/*
 * kv: a store of keys and values in memory, for clients of redis.
 *
 * It is a model for handlers that keep state for all their clients:
 * - There is one object behind req->data, which init makes and exit frees.
 * - Its lock is held for work on memory only, never for a call that may wait. So a
 *   plain mutex inside the store is right in every mode.
 * - A client whose commands are all answered is parked by SKS_KEEP, and takes no fiber,
 *   thread or buffer until it sends more. While more commands are in the buffer they
 *   are run at once, and their replies leave in one piece.
 *
 * Nothing is written to disk, and nothing is evicted: at max-memory commands
 * that need more are refused.
 */
#include "kv.h"
#include "ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 65536                  /* bytes that sks_peek() shows at most */
#define COMMAND_ROOM 65536           /* bytes of a command beside its largest argument */
#define MEMORY_MAX ((int64_t)1 << 44)

static const struct sks_plugin_option options[] = {
	{ .name = "max-memory", .help = "bytes for keys, values and large commands",
	    .value = "256M", .type = SKS_OPTION_SIZE, .min = 65536, .max = MEMORY_MAX,
	    SKS_OPTION_AT(struct kv_config, max_memory) },
	{ .name = "max-value", .help = "bytes of the largest value", .value = "16M",
	    .type = SKS_OPTION_SIZE, .min = 1024, .max = 1 << 30,
	    SKS_OPTION_AT(struct kv_config, max_value) },
	{ .name = "max-key", .help = "bytes of the longest key", .value = "8k",
	    .type = SKS_OPTION_SIZE, .min = 1, .max = 1 << 20,
	    SKS_OPTION_AT(struct kv_config, max_key) },
	{ 0 },
};

/* After a command that could not be read: tells the client why, if redis has words for it. */
static int
give_up(struct kv_call *c)
{
	char line[128];

	if (errno == EPROTO)
		snprintf(line, sizeof(line), "-ERR Protocol error: %s", c->r->problem);
	else if (errno == ENOSPC)
		snprintf(line, sizeof(line), "%s", kv_oom);
	else
		return -1;
	return resp_line(c->w, line);
}

static int
serve(struct sks_request *req)
{
	struct resp_reader reader;
	struct kv_call c = { .w = req->wfile, .kv = req->data, .client = req->state, .r = &reader };
	int rc, error;

	/* A pipeline may be written whole before the first reply is read. */
	sks_rfile_set_max_input(req->rfile, c.kv->config->max_memory);
	resp_open(&reader, req->rfile, &c.kv->limits);
	rc = resp_wait(&reader);
	if (rc == 0) {
		while ((rc = resp_read(&reader)) == 1)
			if (kv_run(&c) == -1 || c.quit)
				break;
		if (rc == -1)
			rc = give_up(&c) == -1 ? -1 : SKS_DONE;
		else if (rc == 0)
			rc = SKS_KEEP;
		else
			rc = c.quit ? SKS_DONE : -1;
	}
	error = errno;
	resp_close(&reader);
	errno = error;
	return rc;
}

/* -- the plugin -- */

static int
init(const void *config, void **data)
{
	struct kv *kv = calloc(1, sizeof(*kv));

	if (kv == NULL)
		return -1;
	kv->config = config;
	kv->store = kv_store_new(kv->config->max_memory);
	if (kv->store == NULL) {
		free(kv);
		return -1;
	}
	kv->limits = (struct resp_limits){
		.max_shown = SHOWN,
		.max_bulk = kv->config->max_value,
		.max_command = kv->config->max_value + COMMAND_ROOM,
		.budget = kv_store_budget(kv->store),
	};
	*data = kv;
	return 0;
}

static void
end(void *data)
{
	struct kv *kv = data;

	kv_store_free(kv->store);
	free(kv);
}

SKS_PLUGIN(.name = "kv",
    .summary = "a store of keys and values in memory, for clients of redis",
    .handler = { .name = "kv", .handle = serve, .state_size = sizeof(struct kv_client),
	.client_first = 1 },
    .options = options, .config_size = sizeof(struct kv_config), .init = init, .exit = end,
    .refuses = SKS_REFUSES(SKS_PROCESSES),
    .refuses_why = "each process would have a store of its own",
    .serves = SKS_STREAMS, .port = PORT_KV);
