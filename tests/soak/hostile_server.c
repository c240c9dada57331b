/* SPDX-License-Identifier: MIT */
/*
 * The server of hostile.py: what a line says is done to it.
 *
 *     big N   answers with N bytes
 *     crash   is killed by a signal
 *     pid     answers with the number of its process
 *     other lines are sent back
 *
 * usage: hostile_server ADDRESS [OPTION=VALUE]...   options are those of socketserverd
 */
#include <errno.h>
#include <socketserver.h>
#include <socketserver/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
send_much(struct sks_wfile *w, unsigned long left)
{
	static const char block[65536];
	int rc = 0;

	for (; rc == 0 && left > 0; left -= left < sizeof(block) ? left : sizeof(block))
		rc = sks_write(w, block, left < sizeof(block) ? left : sizeof(block));
	return rc;
}

static int
obey(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);
	int rc;

	if (line == NULL)
		return sks_end(req->rfile);
	if (strncmp(line, "big ", 4) == 0)
		rc = send_much(req->wfile, strtoul(line + 4, NULL, 10));
	else if (strcmp(line, "crash") == 0)
		abort();
	else if (strcmp(line, "pid") == 0)
		rc = sks_printf(req->wfile, "%ld\n", (long)getpid()) == -1 ? -1 : 0;
	else
		rc = sks_printf(req->wfile, "%s\n", line) == -1 ? -1 : 0;
	return rc == -1 ? -1 : SKS_KEEP;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = { .name = "hostile", .handle = obey };
	struct sks_options options = { .stop_signals = 1 };
	struct sks_server *server;
	char address[256], why[256];
	int i, rc;

	for (i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value == NULL)
			break;
		*value++ = '\0';
		if (sks_options_set(&options, argv[i], value, why, sizeof(why)) == -1) {
			fprintf(stderr, "%s: %s\n", argv[i], why);
			return 2;
		}
	}
	if (argc < 2 || i < argc) {
		fprintf(stderr, "usage: hostile_server ADDRESS [OPTION=VALUE]...\n");
		return 2;
	}
	server = sks_server_new(&handler, &options);
	if (server == NULL || sks_server_listen(server, argv[1]) == -1)
		return 1;
	printf("%s\n", sks_server_address(server, 0, address, sizeof(address)));
	fflush(stdout);
	rc = sks_serve_forever(server);
	sks_server_free(server);
	return rc == -1;
}
