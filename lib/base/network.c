/* SPDX-License-Identifier: MIT */
#include "base/network.h"

#include "base/sys.h"
#include "base/why.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define V4_BITS 96 /* in front of an IPv4 address that is mapped */

static void
map(struct in6_addr *to, const struct in_addr *in)
{
	memset(to, 0, sizeof(*to));
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(to->s6_addr + 12, in, sizeof(*in));
}

/* Reads the number of bits behind a slash, 0 to most. -1: it is no such number. */
static int
read_bits(const char *text, int most)
{
	int bits = 0, digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9' && digits < 3; digits++)
		bits = bits * 10 + text[digits] - '0';
	return digits > 0 && text[digits] == '\0' && bits <= most ? bits : -1;
}

static int
parse_one(struct sks_network *network, char *text, const char **why)
{
	char *slash = strchr(text, '/');
	int most = 128, skipped = 0;
	struct in_addr in;

	if (slash != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, text, &in) == 1) {
		map(&network->host, &in);
		most = 32;
		skipped = V4_BITS;
	} else if (inet_pton(AF_INET6, text, &network->host) != 1)
		return sks_refuse(EINVAL, why, "must be addresses or networks, as 10.0.0.0/8, ::1, or unix");
	network->bits = slash != NULL ? read_bits(slash, most) : most;
	if (network->bits == -1)
		return sks_refuse(EINVAL, why, "behind / there must be 0 to 32, or to 128 for IPv6");
	network->bits += skipped;
	return 0;
}

static int
parse_all(struct sks_networks *networks, char *text, const char **why)
{
	char *word, *rest;

	for (word = strtok_r(text, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
		if (strcmp(word, "unix") == 0)
			networks->with_unix = 1;
		else if (parse_one(&networks->all[networks->n], word, why) == 0)
			networks->n++;
		else
			return -1;
	}
	return 0;
}

int
sks_networks_parse(struct sks_networks *networks, const char *text, const char **why)
{
	size_t length = text != NULL ? strlen(text) : 0;
	char *copy;
	int rc = -1;

	memset(networks, 0, sizeof(*networks));
	if (length == 0)
		return 0;
	*why = "no memory";
	copy = sks_sys_malloc(length + 1);
	networks->all = sks_sys_calloc(length / 2 + 1, sizeof(*networks->all)); /* at most so many */
	if (copy != NULL && networks->all != NULL) {
		memcpy(copy, text, length + 1);
		rc = parse_all(networks, copy, why);
	}
	sks_sys_free(copy);
	if (rc == -1)
		sks_networks_free(networks);
	return rc;
}

void
sks_networks_free(struct sks_networks *networks)
{
	int error = errno;

	sks_sys_free(networks->all);
	memset(networks, 0, sizeof(*networks));
	errno = error;
}

static int
has(const struct sks_network *network, const struct in6_addr *host)
{
	int bytes = network->bits / 8, rest = network->bits % 8;

	if (memcmp(&network->host, host, (size_t)bytes) != 0)
		return 0;
	return rest == 0 ||
	    (network->host.s6_addr[bytes] ^ host->s6_addr[bytes]) >> (8 - rest) == 0;
}

int
sks_networks_have(const struct sks_networks *networks, const struct sockaddr *addr, socklen_t len)
{
	struct in6_addr host;
	struct sockaddr_in in;
	size_t i;

	if (len < sizeof(sa_family_t) || addr->sa_family == AF_UNIX)
		return networks->with_unix;
	if (addr->sa_family == AF_INET) {
		memcpy(&in, addr, sizeof(in));
		map(&host, &in.sin_addr);
	} else if (addr->sa_family == AF_INET6)
		memcpy(&host, (const char *)addr + offsetof(struct sockaddr_in6, sin6_addr),
		    sizeof(host));
	else
		return 0;
	for (i = 0; i < networks->n; i++)
		if (has(&networks->all[i], &host))
			return 1;
	return 0;
}
