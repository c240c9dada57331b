/* SPDX-License-Identifier: MIT */
#include "base/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int
sks_refuse(int error, const char **why, const char *reason)
{
	*why = reason;
	errno = error;
	return -1;
}

int
sks_refuse_in(int error, char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	errno = error;
	return -1;
}
