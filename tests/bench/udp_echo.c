/*
 * The baseline of datagrams: each is sent back as it came, one system call to receive and one to
 * send. There is one socket, so there is nothing to wait for but its input.
 */

#define _GNU_SOURCE 1
#include "listener.h"

#include <errno.h>

int
main(int argc, char **argv)
{
	int fd = open_socket(argc, argv, SOCK_DGRAM);
	struct sockaddr_storage peer;
	socklen_t len;
	char buf[65536];
	ssize_t n;

	for (;;) {
		len = sizeof(peer);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len);
		if (n == -1 || sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&peer, len) == -1) {
			if (errno != EINTR && errno != ECONNREFUSED)
				warn("datagram");
		}
	}
}
