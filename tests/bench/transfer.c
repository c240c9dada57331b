#define _GNU_SOURCE 1
#include "transfer.h"

#include <string.h>

#include "listener.h"

int
open_any_listener(void)
{
	char program[] = "sendfile", port[] = "0", *any[] = { program, port, NULL };

	return open_listener(2, any, 0);
}

int
connect_to(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		err(1, "connect %s", port);
	return fd;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return get(argv[2], argv[3]);
	if (argc != 2)
		errx(2, "usage: %s FILE | get PORT NAME", argv[0]);
	return serve(argv[1]);
}
