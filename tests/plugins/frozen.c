/* SPDX-License-Identifier: MIT */
/*
 * A plugin of version 1.0, for ever: a literal copy of the structs as they
 * were then, and no header of ours. A library that no longer takes it has
 * broken its word to every plugin that was built; so this file is not changed.
 *
 * With other numbers (-DMINOR=...) it is a plugin that must be refused.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef MAGIC
#define MAGIC 0x50534b53
#endif
#ifndef MAJOR
#define MAJOR 1
#endif
#ifndef MINOR
#define MINOR 0
#endif
#ifndef SHORTER
#define SHORTER 0 /* bytes that the descriptor says it has not */
#endif
#ifndef TYPE
#define TYPE 2
#endif
#ifndef VALUE
#define VALUE "42"
#endif

struct sks_request;

struct handler_1_0 {
	const char *name;
	int (*setup)(struct sks_request *);
	int (*handle)(struct sks_request *);
	void (*finish)(struct sks_request *);
	size_t state_size;
	size_t stack_size;
	int client_first;
	int reserved;
};

struct option_1_0 {
	const char *name;
	const char *help;
	const char *value;
	int type;
	int required;
	size_t offset;
	size_t size;
	int64_t min;
	int64_t max;
};

struct plugin_1_0 {
	uint32_t magic;
	uint16_t major;
	uint16_t minor;
	uint32_t size;
	uint32_t handler_size;
	uint32_t option_size;
	uint32_t reserved;
	const char *name;
	const char *summary;
	struct handler_1_0 handler;
	const struct option_1_0 *options;
	size_t config_size;
	int (*init)(const void *config, void **data);
	void (*exit)(void *data);
	const char *refuses_why;
	int refuses;
	int mode;
	int serves;
	int port;
};

/* The members of struct sks_request, as they were. */
struct request_1_0 {
	struct sks_rfile *rfile;
	struct sks_wfile *wfile;
	void *state;
	void *data;
};

int sks_printf(struct sks_wfile *wfile, const char *format, ...);

struct config {
	int64_t number;
	const char *text;
};

static const struct option_1_0 options[] = {
	{ "number", "a number", VALUE, TYPE, 0, offsetof(struct config, number), 8, 1, 100 },
	{ "text", "a text", "old", 1, 0, offsetof(struct config, text), sizeof(char *), 0, 0 },
	{ 0 },
};

static int
handle(struct sks_request *opaque)
{
	struct request_1_0 *req = (struct request_1_0 *)opaque;
	const struct config *config = req->data;

	return sks_printf(req->wfile, "%s %d\n", config->text, (int)config->number);
}

static int
init(const void *config, void **data)
{
	*data = (void *)config;
	return 0;
}

extern __attribute__((visibility("default"))) const struct plugin_1_0 sks_plugin_descriptor;
const struct plugin_1_0 sks_plugin_descriptor = {
	MAGIC, MAJOR, MINOR, sizeof(struct plugin_1_0) - SHORTER, sizeof(struct handler_1_0),
	sizeof(struct option_1_0), 0, "frozen", "a plugin of version 1.0",
	{ NULL, NULL, handle, NULL, 16, 0, 0, 0 }, options, sizeof(struct config), init, NULL,
	"it is frozen", 1 << 3, 0, 1, 4242,
};
