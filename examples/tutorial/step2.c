#include <err.h>
#include <socketserver.h>
#include <socketserver/host.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD 256 /* bytes of a word of a command, with the NUL behind it */
#define REPLY (4 * WORD)

static void run(char *reply, int n, char words[][WORD])
{
	if (n == 1 && strcasecmp(words[0], "PING") == 0)
		snprintf(reply, REPLY, "+PONG\r\n");
	else if (n == 2 && strcasecmp(words[0], "ECHO") == 0)
		snprintf(reply, REPLY, "$%zu\r\n%s\r\n", strlen(words[1]), words[1]);
	else
		snprintf(reply, REPLY, "-ERR unknown command\r\n");
}

static int serve(struct sks_request *req)
{
	char *line, words[4][WORD], reply[REPLY];
	int n;

	while ((line = sks_gets(req->rfile)) != NULL) {
		n = sscanf(line, "%255s %255s %255s %255s", words[0], words[1], words[2], words[3]);
		run(reply, n, words);
		sks_puts(req->wfile, reply);
	}
	return sks_end(req->rfile);
}

int main(int argc, char **argv)
{
	struct sks_handler handler = { .name = "redis", .handle = serve };
	struct sks_options options = { 0 };
	char why[100];

	if (argc > 2 && sks_options_set(&options, "mode", argv[2], why, sizeof(why)) == -1)
		errx(2, "%s", why);
	return sks_serve(argc > 1 ? argv[1] : "localhost:6380", &handler, &options);
}
