/* The baseline of issue 3 for threads: one for each connection, blocking reads and writes. */

#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "listener.h"

static void
check(int error, const char *what)
{
	if (error != 0) {
		errno = error;
		err(1, "%s", what);
	}
}

static void *
echo(void *arg)
{
	const int fd = (int)(intptr_t)arg;
	char buf[16384];
	ssize_t n, sent, done;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (done = 0; done < n; done += sent)
			if ((sent = send(fd, buf + done, (size_t)(n - done), MSG_NOSIGNAL)) == -1)
				goto out;
out:
	close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	int fd, listener;

	listener = open_listener(argc, argv, 0);
	check(pthread_attr_init(&attr), "pthread_attr_init");
	check(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), "detached");

	for (;;) {
		if ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			err(1, "accept");
		}
		set_nodelay(fd);
		check(pthread_create(&thread, &attr, echo, (void *)(intptr_t)fd), "pthread_create");
	}
}
