/* SPDX-License-Identifier: MIT */
/*
 * Headers of proxies, for libFuzzer. What is told of n bytes must not change when more come, each
 * part that comes alone must be waited for, and the addresses and values must lie in the header.
 */
#include "base/proxy_header.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define HOLDS(what)                                                           \
	do {                                                                  \
		if (!(what)) {                                                \
			fprintf(stderr, "does not hold: %s\n", #what);        \
			abort();                                              \
		}                                                             \
	} while (0)

/* In memory of just that size. */
static enum sks_proxy_progress
parse(const uint8_t *input, size_t n, struct sks_proxy_header *h, unsigned char **bytes)
{
	const char *why = NULL;
	enum sks_proxy_progress progress;

	*bytes = malloc(n > 0 ? n : 1);
	memcpy(*bytes, input, n);
	progress = sks_proxy_header_parse(*bytes, n, h, &why);
	HOLDS((progress == SKS_PROXY_BAD) == (why != NULL));
	HOLDS(progress != SKS_PROXY_DONE || (h->length <= n && h->length <= SKS_PROXY_HEADER_MOST &&
		h->tlvs + h->tlvs_length <= h->length && h->is_local == (h->source.len == 0)));
	return progress;
}

static void
look_at_values(const struct sks_proxy_header *h, const unsigned char *bytes)
{
	char text[SKS_ADDR_TEXT];
	int type;

	sks_addr_format(&h->source.u.any, h->source.len, text, sizeof(text));
	for (type = 0; type < 256; type++) {
		size_t n = 0;
		const unsigned char *value = sks_proxy_header_tlv(h, bytes, type, &n);

		HOLDS(value == NULL || (value >= bytes + h->tlvs && value + n <= bytes + h->length));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	enum sks_proxy_progress last = SKS_PROXY_MORE, now;
	struct sks_proxy_header h;
	size_t n, length = 0;

	for (n = 0; n <= size; n++) {
		unsigned char *bytes;

		now = parse(input, n, &h, &bytes);
		HOLDS(last == SKS_PROXY_MORE || now == last);
		HOLDS(now != SKS_PROXY_DONE || length == 0 || length == h.length);
		if (now == SKS_PROXY_DONE) {
			length = h.length;
			look_at_values(&h, bytes);
		}
		last = now;
		free(bytes);
	}
	return 0;
}
