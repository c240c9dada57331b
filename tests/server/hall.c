/* SPDX-License-Identifier: MIT */
#include "hall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct sks_group *group;

void
hall_setup(void)
{
	acc_setup();
	group = sks_group_new();
	ck_assert_ptr_nonnull(group);
}

void
hall_teardown(void)
{
	sks_group_free(group);
	acc_teardown();
}

static int
join(struct sks_request *req)
{
	acc_setup_counted(req);
	return sks_group_join(group, req) == 0 ? SKS_KEEP : -1;
}

/* Not every C library has strerrorname_np(3). */
static const char *
error_name(int error)
{
	switch (error) {
	case ENOENT:
		return "ENOENT";
	case ENOTCONN:
		return "ENOTCONN";
	case EOPNOTSUPP:
		return "EOPNOTSUPP";
	default:
		return strerror(error);
	}
}

int
answer_result(struct sks_request *req, int rc)
{
	return sks_printf(req->wfile, "%d %s\n", rc, rc == -1 ? error_name(errno) : "");
}

static int
act(struct sks_request *req)
{
	char *line, text[128];
	int n;

	for (;;) {
		line = sks_gets(req->rfile);
		if (line == NULL)
			return sks_end(req->rfile);
		n = snprintf(text, sizeof(text), "%.100s\n", line);
		if (line[0] == 'd')
			return SKS_DONE;
		if (line[0] == 'e')
			sks_puts(req->wfile, text);
		else if (line[0] == 'j')
			answer_result(req, sks_group_join(group, req));
		else if (line[0] == 'l')
			answer_result(req, sks_group_leave(group, req));
		else if (line[0] != 'w')
			answer_result(req, sks_group_post(group, text, (size_t)n, req));
		if (line[0] != 'w')
			return SKS_KEEP;
		sks_puts(req->wfile, "waiting\n");
	}
}

const struct sks_handler hall = { .name = "hall", .setup = join, .handle = act };
const struct sks_handler hall_with_finish = { .name = "hall", .setup = join, .handle = act,
	.finish = acc_finish };

void
come(struct acc *acc, int *fd, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		fd[i] = acc_client(acc);
		if (!acc->mode->one_at_a_time && i % 2 == 1) {
			peer_puts(fd[i], "w\n");
			peer_expect(fd[i], "waiting\n");
		}
		ck_eventually(sks_group_count(group) == (size_t)i + 1);
	}
}
