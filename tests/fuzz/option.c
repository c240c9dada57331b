/* SPDX-License-Identifier: MIT */
/*
 * The text of an option, for libFuzzer. The first bytes of the input are the
 * option's type, its member's size and its bounds, the rest is the text. What
 * is taken must lie within the bounds, and a number that is printed as options
 * are written must be read as the same number again.
 */
#include "host/option.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <socketserver/host.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct config {
	uint64_t before;
	union {
		int64_t wide;
		int32_t narrow;
		char *text;
	} value;
	uint64_t after;
};


#define HEAD (2 * sizeof(uint8_t) + 2 * sizeof(int64_t))
#define GUARD UINT64_C(0x5a5a5a5a5a5a5a5a)

#define HOLDS(what)                                                           \
	do {                                                                  \
		if (!(what)) {                                                \
			fprintf(stderr, "does not hold: %s\n", #what);        \
			abort();                                              \
		}                                                             \
	} while (0)

static int64_t
value(const struct sks_plugin_option *option, const struct config *config)
{
	return option->size == sizeof(int32_t) ? config->value.narrow : config->value.wide;
}

/* 0, or -1: it is refused. */
static int
parse(const struct sks_plugin_option *option, const char *text, struct config *config, char **kept)
{
	char why[SKS_OPTION_WHY];
	int rc;

	*config = (struct config){ .before = GUARD, .after = GUARD };
	memset(why, 0, sizeof(why));
	rc = sks_option_parse(option, text, config, kept, why, sizeof(why));
	HOLDS(config->before == GUARD && config->after == GUARD);
	HOLDS(rc == 0 || (rc == -1 && *kept == NULL && why[0] != '\0'));
	return rc;
}

static void
check_number(const struct sks_plugin_option *option, const struct config *config)
{
	int64_t min, max, n = value(option, config);
	struct config again;
	char text[64], *kept;

	sks_option_bounds(option, &min, &max);
	HOLDS(n >= min && n <= max);
	sks_option_format(option, n, text, sizeof(text));
	HOLDS(parse(option, text, &again, &kept) == 0);
	HOLDS(value(option, &again) == n);
}

static void
check_text(const struct sks_plugin_option *option, const char *text, const char *kept)
{
	size_t n = strlen(text);

	HOLDS(kept != NULL);
	if (option->type == SKS_OPTION_STRING)
		HOLDS(strcmp(kept, text) == 0);
	else
		HOLDS(kept[0] == '/' && strlen(kept) >= n &&
		    strcmp(kept + strlen(kept) - n, text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct sks_plugin_option option = { .offset = offsetof(struct config, value) };
	struct config config;
	char *text, *kept;

	if (size < HEAD)
		return 0;
	option.type = input[0] % 8; /* two of them are none */
	option.size = input[1] & 1 ? sizeof(int64_t) : sizeof(int32_t);
	if (input[1] & 2) {
		memcpy(&option.min, input + 2, sizeof(option.min));
		memcpy(&option.max, input + 2 + sizeof(option.min), sizeof(option.max));
	}
	if (sks_option_check(&option, sizeof(config)) != NULL)
		return 0;
	text = calloc(1, size - HEAD + 1);
	HOLDS(text != NULL);
	memcpy(text, input + HEAD, size - HEAD);
	if (parse(&option, text, &config, &kept) == 0) {
		if (sks_option_is_number(&option))
			check_number(&option, &config);
		else if (option.type != SKS_OPTION_BOOLEAN)
			check_text(&option, text, kept);
		else
			HOLDS(value(&option, &config) == 0 || value(&option, &config) == 1);
		free(kept);
	}
	free(text);
	return 0;
}
