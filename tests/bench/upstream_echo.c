/*
 * A handler that makes a request to another server for each line: it asks UPSTREAM to echo the
 * line, and sends back what that says. By default over a connection for each line; with --kept
 * over one for each client.
 */

#include <err.h>
#include <socketserver.h>
#include <string.h>

static const char *upstream;
static int kept;

struct client {
	struct sks_client *server;
};

static int
ask(struct sks_client *server, struct sks_request *req, const char *line, size_t n)
{
	char *answer;
	ssize_t got;

	sks_write(server->wfile, line, n);
	got = sks_readline(server->rfile, &answer);
	return got > 0 ? sks_write(req->wfile, answer, (size_t)got) : -1;
}

static int
handle(struct sks_request *req)
{
	struct client *client = req->state;
	char *line;
	ssize_t n = 0;
	int rc = 0;

	while (rc == 0 && (n = sks_readline(req->rfile, &line)) > 0) {
		if (client->server == NULL)
			client->server = sks_connect(upstream, SKS_DEFAULT);
		if (client->server == NULL)
			return -1;
		rc = ask(client->server, req, line, (size_t)n);
		if (!kept) {
			sks_client_close(client->server);
			client->server = NULL;
		}
	}
	return rc == 0 ? (int)n : rc;
}

static void
finish(struct sks_request *req)
{
	struct client *client = req->state;

	sks_client_close(client->server);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "upstream",
		.handle = handle,
		.finish = finish,
		.state_size = sizeof(struct client),
	};

	if (argc == 4 && strcmp(argv[1], "--kept") == 0)
		kept = 1;
	else if (argc != 3)
		errx(2, "usage: upstream_echo [--kept] UPSTREAM LISTEN");
	upstream = argv[argc - 2];
	return sks_serve(argv[argc - 1], &handler, NULL) == 0 ? 0 : 1;
}
