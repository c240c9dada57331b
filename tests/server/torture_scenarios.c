/* SPDX-License-Identifier: MIT */
#include "faults.h"
#include "torture.h"

#include "base/util.h"

#include <stdlib.h>
#include <unistd.h>

/* -- the fault -- */

const char *rule_now;
atomic_ulong struck;
int is_lasting;

void
arm(void)
{
	sks_fault_clear();
	if (rule_now != NULL)
		must(sks_fault(rule_now) == 0);
}

int
is_of_a_fault(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENOSPC || error == EAGAIN;
}

void
disarm(void)
{
	struck += sks_fault_hits();
	sks_fault_clear();
}

/* -- without a server -- */

char unix_address[64], unix_dgram_address[64], abstract_address[64];

void
name_addresses(void)
{
	snprintf(unix_address, sizeof(unix_address), "unix:/tmp/sks-torture.%d", (int)getpid());
	snprintf(unix_dgram_address, sizeof(unix_dgram_address), "unix-dgram:/tmp/sks-torture.%dd",
	    (int)getpid());
	snprintf(abstract_address, sizeof(abstract_address), "unix:@sks-torture.%d", (int)getpid());
}

void
serve_a_descriptor(void)
{
	static const struct sks_handler handler = { .handle = acc_echo_keep, .state_size = 10 };
	char got[8];
	int fds[2], rc;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	must(send(fds[1], "one\ntwo\n", 8, 0) == 8 && shutdown(fds[1], SHUT_WR) == 0);
	arm();
	rc = sks_serve_fd(fds[0], &handler, NULL);
	must(rc == 0 || is_of_a_fault(errno));
	disarm();
	must(fcntl(fds[0], F_GETFD) == -1);
	must(rc == -1 || peer_receive(fds[1], got, 8) == 8);
	close(fds[1]);
}

void
handle_some_bytes(void)
{
	static const struct sks_handler handler = { .handle = print_much, .state_size = 10 };
	char *out;
	size_t n;
	int rc;

	arm();
	rc = sks_handle_bytes(&handler, "input", 5, &out, &n);
	must(rc == 0 || errno == ENOMEM);
	disarm();
	must(rc == -1 || n > 20000);
	free(out);
}

void
make_and_free(void)
{
	static const struct sks_options options[] = {
		{ .workers = 0 }, { .workers = 2 }, { .mode = SKS_THREADS }, { .mode = SKS_PROCESSES },
	};
	static const struct sks_handler handler = { .handle = acc_hello };
	size_t i;

	arm();
	for (i = 0; i < SKS_ARRAY_LEN(options); i++) {
		struct sks_server *server = sks_server_new(&handler, &options[i]);

		must(server != NULL || is_of_a_fault(errno));
		sks_server_free(server);
	}
	disarm();
}

void
listen_everywhere(void)
{
	static const char *const addresses[] = {
		"127.0.0.1:0", ":0", "localhost:0", "udp::0", unix_address, unix_dgram_address,
		abstract_address, "[::1]:0", "nonsense",
	};
	static const struct sks_handler handler = { .handle = acc_hello };
	static const struct sks_options options = { .unix_mode = 0600 };
	struct sks_server *server;
	size_t i;

	arm();
	server = sks_server_new(&handler, &options);
	must(server != NULL || is_of_a_fault(errno));
	for (i = 0; server != NULL && i < SKS_ARRAY_LEN(addresses); i++)
		must(sks_server_listen(server, addresses[i]) == 0 || is_of_a_fault(errno) ||
		    errno == EINVAL || errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
	sks_server_free(server);
	disarm();
	must(access(unix_address + 5, F_OK) == -1);
}

void
wait_for_a_request(void)
{
	static const struct sks_handler handler = { .handle = acc_hello };
	struct sks_options options = { .stop_signals = 1 };
	struct sks_server *server;
	int rc = -1;

	arm();
	server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	if (server != NULL)
		rc = sks_handle_request(server, 1);
	must(rc == -1 && (is_of_a_fault(errno) || errno == ETIMEDOUT));
	if (server != NULL) {
		sks_server_shutdown(server);
		rc = sks_serve_forever(server);
		must(rc == 0 || is_of_a_fault(errno));
	}
	sks_server_free(server);
	disarm();
}

static void
lock_and_sleep(void *arg)
{
	if (sks_mutex_lock(arg) == -1) {
		must(is_of_a_fault(errno));
		return;
	}
	(void)sks_sleep(1);
	sks_mutex_unlock(arg);
}

void
lock_from_fibers(void)
{
	struct sks_mutex *mutex = sks_mutex_new();
	struct rig_loop rig;
	int i;

	must(mutex != NULL);
	rig_loop_open(&rig);
	for (i = 0; i < 3; i++)
		rig_go(&rig, lock_and_sleep, mutex);
	arm();
	rig_run(&rig);
	disarm();
	rig_loop_close(&rig);
	sks_mutex_free(mutex);
	arm();
	mutex = sks_mutex_new();
	must(mutex != NULL || errno == ENOMEM);
	disarm();
	sks_mutex_free(mutex);
}

/* -- all of them -- */

const struct scenario scenarios[] = {
	{ "tcp echo", "127.0.0.1:0", { .handle = acc_echo_lines }, .client = talk },
	{ "tcp keep", "127.0.0.1:0", { .handle = acc_echo_keep }, .client = talk },
	{ "client first", "127.0.0.1:0", { .handle = acc_echo_keep, .client_first = 1 }, .client = talk },
	{ "silent", "127.0.0.1:0", { .handle = acc_echo_keep, .client_first = 1 }, .client = say_nothing },
	{ "unix echo", unix_address, { .handle = acc_echo_lines }, .client = talk },
	{ "unix keep", abstract_address, { .handle = acc_echo_keep }, .client = talk },
	{ "udp echo", "udp:127.0.0.1:0", { .handle = acc_echo_lines }, .client = talk_briefly },
	{ "unix dgram", unix_dgram_address, { .handle = acc_echo_lines }, .client = talk_briefly },
	{ "hello", "127.0.0.1:0", { .handle = acc_hello }, .client = only_read, .served = is_greeted },
	{ "large write", "127.0.0.1:0", { .handle = write_much }, .client = only_read,
	    .served = gets_much },
	{ "many prints", "127.0.0.1:0", { .handle = print_much }, .client = only_read,
	    .served = gets_the_print },
	{ "copy", "127.0.0.1:0", { .handle = copy_all }, .client = send_much, .served = is_copied },
	{ "all reads", "127.0.0.1:0", { .handle = use_all_reads }, .client = send_much,
	    .served = is_read },
	{ "long line", "127.0.0.1:0", { .handle = acc_echo_lines }, { .max_line = 100000 },
	    .client = long_line },
	{ "sleep, yield, wait", "127.0.0.1:0", { .handle = sleep_and_echo }, .client = talk },
	{ "post", "127.0.0.1:0",
	    { .setup = enter_room, .handle = say_in_room, .finish = leave_room }, .client = chat },
	{ "setup and finish", "127.0.0.1:0",
	    { .setup = count_setup, .handle = acc_echo_keep, .finish = count_finish, .state_size = 5000 },
	    .client = talk },
	{ "crowd", "127.0.0.1:0", { .handle = acc_echo_lines }, .client = come_in_crowds },
	{ "reset", "127.0.0.1:0", { .handle = acc_echo_keep }, .client = reset },
	{ "serial", "127.0.0.1:0", { .handle = acc_echo_keep }, { .mode = SKS_SERIAL }, .client = talk },
	{ "hosted", "127.0.0.1:0", { .handle = acc_echo_lines }, .client = talk, .hosted = 1 },
	{ "threads", "127.0.0.1:0", { .handle = acc_echo_lines }, { .mode = SKS_THREADS },
	    .client = talk, .threads = 1 },
	{ "threads keep", "127.0.0.1:0", { .handle = acc_echo_keep, .client_first = 1 },
	    { .mode = SKS_THREADS }, .client = talk, .threads = 1 },
	{ "threads udp", "udp:127.0.0.1:0", { .handle = acc_echo_lines }, { .mode = SKS_THREADS },
	    .client = talk_briefly, .threads = 1 },
	{ "tasks", "127.0.0.1:0", { .handle = use_tasks }, .client = talk, .threads = 1 },
	{ "tasks on threads", "127.0.0.1:0", { .handle = use_tasks }, { .mode = SKS_THREADS },
	    .client = talk, .threads = 1 },
	{ "workers", "127.0.0.1:0", { .handle = acc_echo_lines }, { .workers = 2 }, .client = talk,
	    .threads = 1 },
	/* One line each: the child has the client's end too, and would never see it close. */
	{ "processes", "127.0.0.1:0", { .handle = sleep_and_echo },
	    { .mode = SKS_PROCESSES, .linger_ms = 1 }, .client = talk },
	{ "serve_fd", .alone = serve_a_descriptor },
	{ "handle_bytes", .alone = handle_some_bytes },
	{ "new and free", .alone = make_and_free },
	{ "listen", .alone = listen_everywhere },
	{ "handle_request", .alone = wait_for_a_request },
	{ "mutex and fibers", .alone = lock_from_fibers },
};

const int nscenarios = SKS_ARRAY_LEN(scenarios);
