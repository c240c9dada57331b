/* SPDX-License-Identifier: MIT */
#include "beside.h"

#include <stdlib.h>
#include <string.h>

#include "load.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct beside {
	const char *handler;
	const char *address; /* NULL: it was not asked for */
	struct sks_module *module;
} all[] = {
	{ .handler = "agent" },
	{ .handler = "metrics" },
};

void
beside_set(const char *handler, const char *address)
{
	size_t i;

	for (i = 0; i < COUNT(all); i++)
		if (strcmp(all[i].handler, handler) == 0)
			all[i].address = address;
}

int
beside_listen(struct sks_server *server)
{
	size_t i;

	for (i = 0; i < COUNT(all); i++) {
		if (all[i].address == NULL)
			continue;
		all[i].module = load_plugin(all[i].handler);
		if (all[i].module == NULL)
			return EXIT_FAILURE;
		if (sks_module_listen_with(all[i].module, server, all[i].address) == -1)
			return listen_code(all[i].address);
	}
	return 0;
}

void
beside_free(void)
{
	size_t i;

	for (i = 0; i < COUNT(all); i++)
		sks_module_free(all[i].module);
}
