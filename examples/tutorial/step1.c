#include <err.h>
#include <socketserver.h>
#include <socketserver/host.h>

static int serve(struct sks_request *req)
{
	return sks_puts(req->wfile, "+PONG\r\n");
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
