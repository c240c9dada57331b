/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <netinet/in.h>
#include <stdlib.h>

int
write_much(struct sks_request *req)
{
	static char block[70000];
	int i;

	for (i = 0; i < 8; i++)
		if (sks_write(req->wfile, block, sizeof(block)) == -1)
			return -1;
	return 0;
}

int
print_much(struct sks_request *req)
{
	int i;

	for (i = 0; i < 300; i++)
		if (sks_printf(req->wfile, "%d %s %200d\n", i, "lines of text and", i) == -1)
			return -1;
	return sks_printf(req->wfile, "%20000d\n", 1);
}

int
copy_all(struct sks_request *req)
{
	return sks_copy(req->rfile, req->wfile, -1);
}

int
use_all_reads(struct sks_request *req)
{
	char buf[100], *line;
	ssize_t n = 1;

	while (n > 0) {
		if (sks_peek(req->rfile, 2, &line) == -1 || sks_skipline(req->rfile) == -1 ||
		    sks_readn(req->rfile, buf, 3) == -1 ||
		    sks_readuntil(req->rfile, 'e', 0, &line) == -1)
			return -1;
		if (sks_gets(req->rfile) == NULL)
			break;
		n = sks_read(req->rfile, buf, sizeof(buf));
		if (n > 0 && sks_write(req->wfile, buf, (size_t)n) == -1)
			return -1;
	}
	return (int)n;
}

int
sleep_and_echo(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return (int)n;
	if (sks_write(req->wfile, line, (size_t)n) == -1 || sks_sleep(1) == -1)
		return -1;
	sks_yield();
	return sks_wait_fd(req->fd, SKS_WRITE, 1000) == -1 ? -1 : 0;
}

/* What sequential code needs beside streams, each with an error for whatever fails. */
static int
send_two(void *arg)
{
	int i;

	for (i = 0; i < 2; i++)
		if (sks_channel_send(arg, &i) == -1)
			return -1;
	return 0;
}

static void
set_one(void *arg)
{
	*(int *)arg = 1;
}

static int
recv_two(struct sks_channel *channel)
{
	struct sks_child *child = sks_go(send_two, channel);
	int i, item, rc = 0, result = -1;

	if (child == NULL)
		return -1;
	for (i = 0; i < 2 && rc == 0; i++)
		rc = sks_channel_recv(channel, &item) == 1 ? 0 : -1;
	if (rc == -1 || sks_child_join(child, &result) == -1) {
		sks_child_cancel(child);
		(void)sks_child_join(child, NULL);
	}
	return rc == 0 && result == 0 ? 0 : -1;
}

int
use_tasks(struct sks_request *req)
{
	struct sks_channel *channel = NULL;
	struct sks_timeout timeout;
	struct addrinfo *list = NULL;
	char line[16];
	ssize_t n = sks_read(req->rfile, line, sizeof(line));
	int one = 0, rc = -1;

	if (n <= 0)
		return (int)n;
	sks_timeout_begin(&timeout, 10000);
	if ((channel = sks_channel_new(sizeof(int), 1)) != NULL && recv_two(channel) == 0 &&
	    sks_offload(set_one, &one) == 0 && one == 1 &&
	    sks_getaddrinfo("localhost", "80", NULL, &list, 10000) == 0)
		rc = sks_write(req->wfile, line, (size_t)n);
	if (list != NULL)
		freeaddrinfo(list);
	sks_channel_free(channel);
	return rc;
}

/* A room of those who are connected: what one says, all others get by a post. */
static struct sks_request *room[8];
struct sks_mutex *room_lock;

int
enter_room(struct sks_request *req)
{
	int i;

	if (sks_mutex_lock(room_lock) == -1)
		return -1;
	for (i = 0; i < 8 && room[i] != NULL; i++)
		;
	if (i < 8)
		room[i] = req;
	return sks_mutex_unlock(room_lock);
}

int
say_in_room(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);
	int i;

	if (n <= 0)
		return (int)n;
	if (sks_mutex_lock(room_lock) == -1)
		return -1;
	for (i = 0; i < 8; i++)
		if (room[i] != NULL && room[i] != req)
			(void)sks_post(room[i], line, (size_t)n);
	sks_mutex_unlock(room_lock);
	return sks_write(req->wfile, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

void
leave_room(struct sks_request *req)
{
	int i;

	while (sks_mutex_lock(room_lock) == -1 && errno != EDEADLK)
		;
	for (i = 0; i < 8; i++)
		if (room[i] == req)
			room[i] = NULL;
	sks_mutex_unlock(room_lock);
}

atomic_int set_up, finished;

int
count_setup(struct sks_request *req)
{
	set_up++;
	memset(req->state, 1, 5000);
	return 0;
}

void
count_finish(struct sks_request *req)
{
	finished++;
	(void)sks_puts(req->wfile, "bye\n");
}
