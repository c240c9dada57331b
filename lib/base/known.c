/* SPDX-License-Identifier: MIT */
#include "base/known.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

int
sks_copy_known(void *to, size_t known, const void *from, size_t given, const char *what)
{
	const unsigned char *p = from;
	size_t i;

	memset(to, 0, known);
	if (from == NULL)
		return 0;
	for (i = known; i < given; i++)
		if (p[i] != 0)
			return sks_fail(NULL, E2BIG, "%s of a newer version than this library's",
			    what);
	memcpy(to, from, sks_min(known, given));
	return 0;
}
