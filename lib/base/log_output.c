/* SPDX-License-Identifier: MIT */
/*
 * log_output.c - where the lines of a log go.
 *
 * A log that waits stops the loop and all its clients with it. So a file is opened with O_NONBLOCK,
 * which lets a FIFO refuse what it has no room for, and the socket of a syslog has it as well.
 *
 * There is no lock here, for the reasons that log_target.c has. So a file is reopened by dup3(2),
 * which puts the new file in the place of the old one in one step: a thread that writes meanwhile
 * writes to the old one or to the new one. And lines for the syslog are datagrams to the path of
 * its socket: syslog(3) has a lock, may wait, and keeps a socket that may be stale.
 */
#include "base/log_output.h"

#include "base/standard_error.h"
#include "base/sys.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define FILE_MODE 0640

/* A FIFO that nobody reads cannot be opened for writing alone. Returns a descriptor, or -1. */
static int
open_file(const char *path)
{
	const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = sks_sys_open(path, O_WRONLY | flags, FILE_MODE);

	if (fd == -1 && errno == ENXIO)
		fd = sks_sys_open(path, O_RDWR | flags, FILE_MODE);
	return fd;
}

/* Returns a descriptor, or -1. */
static int
open_place(enum sks_log_place place, const char *path)
{
	if (place == SKS_LOG_FILE)
		return open_file(path);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return sks_sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int
sks_log_output_open(struct sks_log_output *output, enum sks_log_place place, const char *path,
    sks_log_missing_fn *missing_line)
{
	struct sks_log_output_counts *counts = sks_sys_mmap(NULL, sizeof(*counts),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (counts == MAP_FAILED)
		return -1;
	*output = (struct sks_log_output){ .place = place, .fd = -1, .missing_line = missing_line };
	atomic_store(&output->counts, counts);
	if (place == SKS_LOG_STDERR)
		return 0;
	output->path = sks_sys_malloc(strlen(path) + 1);
	if (output->path != NULL)
		output->fd = open_place(place, strcpy(output->path, path));
	if (output->fd != -1)
		return 0;
	sks_log_output_close(output);
	return -1;
}

void
sks_log_output_close(struct sks_log_output *output)
{
	int saved = errno;

	if (output->fd != -1)
		close(output->fd);
	sks_sys_munmap(atomic_load(&output->counts), sizeof(struct sks_log_output_counts));
	sks_sys_free(output->path);
	errno = saved;
}

/* Puts the file that has the name now in the place of the old one. 0, or -1. */
static int
replace_file(struct sks_log_output *output)
{
	int fd = open_file(output->path), rc;

	if (fd == -1)
		return -1;
	rc = dup3(fd, output->fd, O_CLOEXEC);
	close(fd);
	return rc == -1 ? -1 : 0;
}

int
sks_log_output_reopen(struct sks_log_output *output)
{
	struct sks_log_output_counts *counts = atomic_load(&output->counts);

	if (output->place != SKS_LOG_FILE)
		return 0;
	if (replace_file(output) == -1)
		return -1;
	atomic_store(&counts->torn, 0);
	atomic_store(&output->generation, atomic_fetch_add(&counts->generation, 1) + 1);
	return 0;
}

/* Another process has reopened the file. Where this one cannot, the old file goes on. */
static void
follow(struct sks_log_output *output, struct sks_log_output_counts *counts)
{
	unsigned int now = atomic_load(&counts->generation);
	unsigned int ours = atomic_load(&output->generation);

	if (ours != now && atomic_compare_exchange_strong(&output->generation, &ours, now))
		(void)replace_file(output);
}

/* 0, or -1 when the syslog is away or has no room. */
static int
send_to_syslog(const struct sks_log_output *output, const char *line, size_t n)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", output->path);
	return sks_sys_sendto(output->fd, line, n - 1, MSG_DONTWAIT | MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, sizeof(to)) != -1 ? 0 : -1;
}

/* A full disk may have taken a part of a line. It stays, so the next line begins with a newline. */
static int
append_to_file(struct sks_log_output *output, const char *line, size_t n)
{
	struct sks_log_output_counts *counts = atomic_load(&output->counts);

	follow(output, counts);
	return sks_write_line(output->fd, line, n, &counts->torn, ENOSPC);
}

static int
write_one(struct sks_log_output *output, const char *line, size_t n)
{
	switch (output->place) {
	case SKS_LOG_SYSLOG:
		return send_to_syslog(output, line, n);
	case SKS_LOG_FILE:
		return append_to_file(output, line, n);
	case SKS_LOG_STDERR:
	default:
		return sks_stderr_write(line, n);
	}
}

/* EAGAIN: the reader is slow, which ends by itself. Any other error is told, once. */
static void
tell_why(const struct sks_log_output *output, struct sks_log_output_counts *counts, int error)
{
	char line[320], reason[80];
	int n;

	if (output->place == SKS_LOG_STDERR || error == EAGAIN ||
	    atomic_exchange(&counts->failing, 1) || sks_stderr_is_spared())
		return;
	errno = error;
	snprintf(reason, sizeof(reason), "%m");
	n = snprintf(line, sizeof(line), "socketserver: log %.200s: %s; its lines are dropped\n",
	    output->path, reason);
	(void)sks_stderr_write(line, sks_min((size_t)n, sizeof(line) - 1));
}

/* The line that says how many are missing, if any are. 0, or -1. */
static int
tell_dropped(struct sks_log_output *output, struct sks_log_output_counts *counts)
{
	unsigned long missing = atomic_load(&counts->dropped);
	struct sks_log_line line;

	if (missing == 0 || (missing = atomic_exchange(&counts->dropped, 0)) == 0)
		return 0;
	output->missing_line(&line, output, missing);
	if (write_one(output, line.text, line.used) == 0)
		return 0;
	atomic_fetch_add(&counts->dropped, missing);
	return -1;
}

int
sks_log_output_write(struct sks_log_output *output, const char *line, size_t n)
{
	struct sks_log_output_counts *counts = atomic_load(&output->counts);
	int saved = errno, rc = 0;

	if (tell_dropped(output, counts) == -1 || write_one(output, line, n) == -1) {
		atomic_fetch_add(&counts->dropped, 1);
		tell_why(output, counts, errno);
		rc = -1;
	} else if (atomic_load(&counts->failing)) {
		atomic_store(&counts->failing, 0);
	}
	errno = saved;
	return rc;
}
