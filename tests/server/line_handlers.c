/* SPDX-License-Identifier: MIT */
#include "line_handlers.h"

#include <string.h>

static int
take_whole_lines(struct sks_request *req)
{
	char *bytes, *line;
	ssize_t n = sks_peek(req->rfile, 1, &bytes);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (memchr(bytes, '\n', (size_t)n) == NULL)
		return SKS_KEEP;
	n = sks_readline(req->rfile, &line);
	return n > 0 && sks_write(req->wfile, line, (size_t)n) == 0 ? SKS_KEEP : -1;
}

const struct sks_handler looking = { .handle = take_whole_lines, .finish = acc_finish_bye };

static int
echo_and_keep(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	atomic_fetch_add(&seen->handles, 1);
	if (n <= 0)
		return (int)n;
	if (req->server == NULL)
		atomic_fetch_add(&seen->note, 1);
	sks_write(req->wfile, line, (size_t)n);
	return SKS_KEEP;
}

const struct sks_handler keeping = {
	.setup = acc_setup_counted, .handle = echo_and_keep, .finish = acc_finish_bye };
