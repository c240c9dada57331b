/* The least that a server can do: it knows no lines, and has no limits. */

#include "echo.h"

#include <sys/socket.h>
#include <unistd.h>

int
echo(int fd)
{
	char buf[16384];
	ssize_t n, sent, done;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (done = 0; done < n; done += sent)
			if ((sent = send(fd, buf + done, (size_t)(n - done), MSG_NOSIGNAL)) == -1) {
				close(fd);
				return 1;
			}
	close(fd);
	return n != 0;
}
