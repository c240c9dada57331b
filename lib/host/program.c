/* SPDX-License-Identifier: MIT */
/*
 * What a daemon does before and after it serves. All of it changes the process, so the
 * rest of the library does none of it by itself.
 */
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <socketserver/host.h>

#define OTHER_FILES 16 /* descriptors beside the connections: standard ones, listeners, epoll */

int
sks_process_fill_standard_files(void)
{
	int fd, opened;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (sks_sys_fcntl(fd, F_GETFD) != -1)
			continue;
		opened = sks_sys_open("/dev/null", O_RDWR); /* the lowest number that is free */
		if (opened == -1)
			return -1;
	}
	return 0;
}

void
sks_process_reset_signals(void)
{
	struct sigaction child;
	sigset_t none;

	if (sigaction(SIGCHLD, NULL, &child) == 0 &&
	    (child.sa_handler == SIG_IGN || (child.sa_flags & SA_NOCLDWAIT))) {
		child.sa_flags &= ~SA_NOCLDWAIT;
		if (child.sa_handler == SIG_IGN)
			child.sa_handler = SIG_DFL;
		sigaction(SIGCHLD, &child, NULL);
	}
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

int
sks_process_raise_open_files(int connections)
{
	rlim_t need = (rlim_t)connections + OTHER_FILES;
	struct rlimit limit, all = { need, need };

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= need)
		return connections;
	if (limit.rlim_max < need && sks_sys_setrlimit(RLIMIT_NOFILE, &all) == 0)
		return connections; /* this needs privileges */
	limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
	if (sks_sys_setrlimit(RLIMIT_NOFILE, &limit) == -1)
		getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= need)
		return connections;
	sks_log_about(NULL, SKS_LOG_WARN, 0,
	    "%d connections need %llu open files, but only %llu are allowed: accepting fewer",
	    connections, (unsigned long long)need, (unsigned long long)limit.rlim_cur);
	return limit.rlim_cur > OTHER_FILES ? (int)limit.rlim_cur - OTHER_FILES : 1;
}
