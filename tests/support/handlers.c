/* SPDX-License-Identifier: MIT */
#include "handlers.h"

#include "assertions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct acc_record *seen;

void
acc_record_setup(void)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(seen, MAP_FAILED);
}

void
acc_record_teardown(void)
{
	munmap(seen, sizeof(*seen));
}

void
acc_stop_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, condition);
	abort();
}

int
acc_be_stubborn(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->handles, 1);
	while (!atomic_load(&seen->note))
		sks_yield();
	return SKS_DONE;
}

int
acc_echo_lines(struct sks_request *req)
{
	char *line;
	ssize_t n;

	while ((n = sks_readline(req->rfile, &line)) > 0)
		if (sks_write(req->wfile, line, (size_t)n) == -1)
			return -1;
	return sks_end(req->rfile);
}

int
acc_echo_keep(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	if (n <= 0)
		return sks_end(req->rfile);
	return sks_write(req->wfile, line, (size_t)n) == -1 ? -1 : SKS_KEEP;
}

int
acc_hello(struct sks_request *req)
{
	return sks_puts(req->wfile, "Hello World!\n");
}

int
acc_echo_line(struct sks_request *req)
{
	char *line;
	ssize_t n = sks_readline(req->rfile, &line);

	atomic_fetch_add(&seen->handles, 1);
	return n > 0 ? sks_write(req->wfile, line, (size_t)n) : (int)n;
}

int
acc_setup_counted(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->setups, 1);
	return 0;
}

void
acc_finish(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->finishes, 1);
}

void
acc_finish_bye(struct sks_request *req)
{
	sks_puts(req->wfile, "bye\n");
	acc_finish(req);
}

static int
run_script(struct sks_request *req)
{
	int *calls = req->state;
	char *line;

	if ((*calls)++ > 0)
		atomic_fetch_sub(&seen->resting, 1);
	atomic_fetch_add(&seen->handles, 1);
	while ((line = sks_gets(req->rfile)) != NULL) {
		switch (line[0]) {
		case 'e':
			sks_printf(req->wfile, "%s\n", line);
			break;
		case 'd':
			return SKS_DONE;
		case 'k':
			atomic_fetch_add(&seen->resting, 1);
			return SKS_KEEP;
		case 'f':
			errno = EPROTO;
			return -1;
		case 's':
			sks_server_shutdown(req->server);
			break;
		case 'q':
			sks_printf(req->wfile, "draining %d\n", sks_draining(req));
			break;
		case 'w':
			sks_puts(req->wfile, "waiting\n");
			if (sks_sleep(3600 * 1000) == -1)
				atomic_store(&seen->waited, errno);
			return SKS_DONE;
		case 'c':
			sks_printf(req->wfile, "call %d\n", *calls);
			break;
		}
	}
	return sks_end(req->rfile);
}

const struct sks_handler acc_script = {
	.name = "script",
	.setup = acc_setup_counted,
	.handle = run_script,
	.finish = acc_finish,
	.state_size = sizeof(int),
};

void
acc_make_small(int fd)
{
	static const int small = ACC_SMALL;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

int
acc_setup_small(struct sks_request *req)
{
	acc_make_small(req->fd);
	return 0;
}

void
acc_count_tick(struct sks_server *server, void *data)
{
	(void)server;
	(void)data;
	atomic_fetch_add(&seen->ticks, 1);
}

void
acc_on_error(struct sks_request *req, int error)
{
	(void)req;
	atomic_store(&seen->last_error, error);
	atomic_fetch_add(&seen->errors, 1);
}

int
acc_refuse(struct sks_request *req)
{
	(void)req;
	atomic_fetch_add(&seen->verified, 1);
	return 0;
}
