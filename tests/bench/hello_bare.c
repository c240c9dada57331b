/*
 * The baseline of a greeting: accept, send, close. The client says nothing, and the greeting fits
 * into the socket's buffer, so that there is nothing to wait for but the next client.
 */

#define _GNU_SOURCE 1
#include "listener.h"

#include <errno.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	static const char hello[] = "Hello World!\n";
	int fd, listener = open_listener(argc, argv, 0);

	for (;;) {
		if ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			err(1, "accept");
		}
		if (send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) == -1)
			warn("send");
		close(fd);
	}
}
