/*
 * The baseline of issue 3 for processes: accept, fork, echo until the end, leave. Children are
 * reaped after each accept, which is cheaper than a signal for each; SIGCHLD ignored would be
 * cheaper still, but then their CPU time would be counted nowhere.
 */

#define _GNU_SOURCE 1
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "echo.h"
#include "listener.h"

int
main(int argc, char **argv)
{
	int fd, listener;

	signal(SIGPIPE, SIG_IGN);
	listener = open_listener(argc, argv, 0);
	for (;;) {
		if ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			err(1, "accept");
		}
		set_nodelay(fd);
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			close(listener);
			_exit(echo(fd));
		}
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
