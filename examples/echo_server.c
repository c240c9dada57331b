#include <socketserver.h>
#include <string.h>
static int keep;
static int echo(struct sks_request *req)
{
	char *line; ssize_t n;
	if (keep) { n = sks_readline(req->rfile, &line); if (n > 0) return sks_write(req->wfile, line, (size_t)n) == 0 ? SKS_KEEP : -1; return (int)n; }
	while ((n = sks_readline(req->rfile, &line)) > 0)
		sks_write(req->wfile, line, (size_t)n);
	return (int)n;
}
int main(int argc, char **argv) { for (int i = 1; i < argc; i++) if (!strcmp(argv[i], "--keep")) keep = 1; return sks_serve(argc > 1 ? argv[argc-1] : "localhost:23000", &(struct sks_handler){ .name = "echo", .handle = echo, .client_first = 1 }, &(struct sks_options){ .max_connections = 19000, .idle_ms = SKS_OFF }); }
