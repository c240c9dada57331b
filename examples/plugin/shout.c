/* SPDX-License-Identifier: MIT */
/*
 * shout: sends each line back in capitals. A handler plugin with one option, to
 * begin your own from: copy this folder, rename, and change handle().
 *
 *     cc -shared -fPIC -o shout.so shout.c $(pkg-config --cflags socketserver)
 *     socketserverd ./shout.so -o mark='!!!'
 */
#include <ctype.h>
#include <socketserver.h>

struct config {
	const char *mark;
};

static const struct sks_plugin_option options[] = {
	{ .name = "mark", .help = "what to put after each line", .value = "!",
	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, mark) },
	{ 0 },
};

/* Called for each line: SKS_KEEP parks the connection until there is more. */
static int
shout(struct sks_request *req)
{
	const struct config *config = req->data;
	char *line = sks_gets(req->rfile), *c;

	if (line == NULL)
		return sks_end(req->rfile);
	for (c = line; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	sks_printf(req->wfile, "%s%s\n", line, config->mark);
	return SKS_KEEP;
}

SKS_PLUGIN(
    .name = "shout",
    .summary = "sends each line back in capitals",
    .handler = { .handle = shout, .client_first = 1 },
    .options = options,
    .config_size = sizeof(struct config),
    .port = 2528);
