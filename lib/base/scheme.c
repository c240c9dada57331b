/* SPDX-License-Identifier: MIT */
#include "base/scheme.h"

#include "base/util.h"

#include <string.h>
#include <sys/socket.h>

/* There is one row for each kind and type; an address without a scheme has the first. */
static const struct sks_scheme schemes[] = {
	{ "tcp:", SKS_HOST_AND_PORT, SOCK_STREAM },
	{ "udp:", SKS_HOST_AND_PORT, SOCK_DGRAM },
	{ "unix:", SKS_UNIX_PATH, SOCK_STREAM },
	{ "unix-dgram:", SKS_UNIX_PATH, SOCK_DGRAM },
	{ "fd:", SKS_DESCRIPTOR, 0 },
};

const struct sks_scheme *
sks_scheme_of(const char *text)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(schemes); i++)
		if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	return NULL;
}

const struct sks_scheme *
sks_scheme_default(void)
{
	return &schemes[0];
}

const struct sks_scheme *
sks_scheme_of_socket(const char *formatted, int type)
{
	const struct sks_scheme *written = sks_scheme_of(formatted);
	enum sks_address_kind kind = written != NULL ? written->kind : SKS_HOST_AND_PORT;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(schemes); i++)
		if (schemes[i].kind == kind && schemes[i].type == type)
			return &schemes[i];
	return &schemes[0];
}
