/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
static char crash_line[4096];

static void
on_crash(int signo)
{
	(void)signo;
	(void)!write(STDERR_FILENO, crash_line, strlen(crash_line));
	_exit(EXIT_FAILURE);
}

struct sks_module *
load_plugin(const char *handler)
{
	struct sigaction before[COUNT(crashes)], action = { .sa_handler = on_crash };
	struct sks_module *module;
	size_t i;

	snprintf(crash_line, sizeof(crash_line), "socketserver: %s: crashes while it is loaded\n",
	    handler);
	for (i = 0; i < COUNT(crashes); i++)
		sigaction(crashes[i], &action, &before[i]);
	module = sks_module_load(handler);
	for (i = 0; i < COUNT(crashes); i++)
		sigaction(crashes[i], &before[i], NULL);
	return module;
}

static const char *
skip(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
}

/* A socket of another process, which may be a wrong one. */
static int
is_inherited(const char *address)
{
	const char *rest = skip(skip(address, "proxy:"), "tls:");

	return skip(rest, "fd:") != rest || skip(rest, "systemd:") != rest;
}

int
listen_code(const char *address)
{
	return (errno == EINVAL || errno == ENAMETOOLONG) && !is_inherited(address) ? USAGE :
										  EXIT_FAILURE;
}
