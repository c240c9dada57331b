// SPDX-License-Identifier: MIT
/*
 * A program that check_watched.sh compiles for a sanitizer, and links with the
 * library as it is installed. Nothing it does is wrong, so a sanitizer must say
 * nothing. It serves clients of its own, and ends with 0 when each had its answer.
 *
 * usage: watched longjmp|throw|exit|deep|share MODE [WORKERS]
 */
#include <socketserver.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

static int port;

// ---- frames that are left by a jump or an exception, and a large frame over them ----

__attribute__((noinline)) static const char *
fill(char (*words)[48], const char *line)
{
	for (int i = 0; i < 4; i++)
		std::snprintf(words[i], sizeof(words[i]), "%s", line);
	return words[3];
}

__attribute__((noinline)) static void
jump_if_bad(const char *line, std::jmp_buf *failed)
{
	char words[4][48];

	if (*fill(words, line) == 'x')
		std::longjmp(*failed, 1);
}

__attribute__((noinline)) static void
throw_if_bad(const char *line)
{
	char words[4][48];

	if (*fill(words, line) == 'x')
		throw std::runtime_error("bad");
}

__attribute__((noinline)) static int
answer(sks_request *req, const char *text)
{
	char page[6000];

	std::memset(page, '.', sizeof(page));
	std::snprintf(page + sizeof(page) - 8, 8, "%s\n", text);
	return sks_write(req->wfile, page, sizeof(page)) == -1 ? -1 : 0;
}

__attribute__((noinline)) static int
answer_or_jump(sks_request *req, const char *line)
{
	std::jmp_buf failed;

	if (setjmp(failed) != 0)
		return answer(req, "bad");
	jump_if_bad(line, &failed);
	return answer(req, "good");
}

__attribute__((noinline)) static int
answer_or_catch(sks_request *req, const char *line)
{
	try {
		throw_if_bad(line);
		return answer(req, "good");
	} catch (const std::exception &) {
		return answer(req, "bad");
	}
}

static int
jumps(sks_request *req)
{
	while (char *line = sks_gets(req->rfile))
		if (answer_or_jump(req, line) == -1)
			return -1;
	return 0;
}

static int
throws(sks_request *req)
{
	while (char *line = sks_gets(req->rfile))
		if (answer_or_catch(req, line) == -1)
			return -1;
	return 0;
}

// ---- exit(3) while a request is served ----

static int
exits(sks_request *req)
{
	(void)req;
	std::exit(0);
}

// ---- many tasks that wait deep in calls ----

struct depth {
	int fibers, calls;
};

__attribute__((noinline)) static int
wait_deep(int calls)
{
	volatile int here = calls;

	return calls == 0 ? sks_sleep(1) : wait_deep(calls - 1) + here - calls;
}

static int
waits_deep(void *arg)
{
	return wait_deep(*static_cast<int *>(arg));
}

// Frames are more than ThreadSanitizer has room for in one thread.
static int
deep(sks_request *req)
{
	depth d = { 250, 300 };
	sks_child *children[250];
	int failed = 0;

	for (int i = 0; i < d.fibers; i++)
		children[i] = sks_go(waits_deep, &d.calls);
	for (int i = 0; i < d.fibers; i++) {
		int rc = -1;

		if (children[i] == nullptr || sks_child_join(children[i], &rc) == -1 || rc != 0)
			failed++;
	}
	return answer(req, failed == 0 ? "good" : "bad");
}

// ---- memory that tasks of several threads have in common ----

static sks_mutex *mutex;
static sks_channel *channel;
static long counter;

static void
add_one(void *arg)
{
	++*static_cast<int *>(arg);
}

static int
add_one_later(void *arg)
{
	sks_yield();
	add_one(arg);
	return 0;
}

static int
count(void)
{
	if (sks_mutex_lock(mutex) == -1)
		return -1;
	counter++;
	sks_yield();
	counter++;
	return sks_mutex_unlock(mutex);
}

// Whoever receives it frees it.
static int
pass_on(void)
{
	int *number = new int(1);

	if (sks_channel_send(channel, &number) == -1 || sks_channel_recv(channel, &number) == -1)
		return -1;
	delete number;
	return 0;
}

static int
share(sks_request *req)
{
	int *lines = static_cast<int *>(req->state), numbers = 0;
	sks_child *child;

	if (sks_gets(req->rfile) == nullptr)
		return 0;
	if (count() == -1 || pass_on() == -1 || sks_offload(add_one, &numbers) == -1)
		return -1;
	child = sks_go(add_one_later, &numbers);
	if (child == nullptr || sks_child_join(child, nullptr) == -1)
		return -1;
	++*lines;
	return answer(req, numbers == 2 ? "good" : "bad") == -1 ? -1 : SKS_KEEP;
}

// ---- clients ----

static int
connected(void)
{
	sockaddr_in to = {};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_family = AF_INET;
	to.sin_port = htons(static_cast<in_port_t>(port));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof(to)) == -1)
		std::perror("connect");
	return fd;
}

// The last line of the page, which says whether it was good.
static bool
is_answered(int fd, const char *want)
{
	char page[6000];
	size_t n = 0;

	while (n < sizeof(page)) {
		ssize_t more = recv(fd, page + n, sizeof(page) - n, 0);

		if (more <= 0)
			return false;
		n += static_cast<size_t>(more);
	}
	return std::strstr(page + sizeof(page) - 8, want) != nullptr;
}

static void *
talk(void *arg)
{
	static const char *const lines[] = { "good\n", "xbad\n", "good\n", "xbad\n", "xbad\n", "good\n" };
	int fd = connected();
	bool always_good = arg == nullptr;

	for (const char *line : lines) {
		const char *want = always_good || *line == 'g' ? "good" : "bad";

		if (send(fd, line, std::strlen(line), MSG_NOSIGNAL) == -1 || !is_answered(fd, want))
			std::fprintf(stderr, "no answer %s\n", want);
	}
	close(fd);
	return nullptr;
}

static void *
serve(void *server)
{
	if (sks_serve_forever(static_cast<sks_server *>(server)) == -1)
		std::perror("serve_forever");
	return nullptr;
}

struct scenario {
	const char *name;
	int (*handle)(sks_request *);
	bool has_bad_lines;
	int lines; // that each client sends; 0: one client that only connects
} static const scenarios[] = {
	{ "longjmp", jumps, true, 6 },
	{ "throw", throws, true, 6 },
	{ "exit", exits, false, 0 },
	{ "deep", deep, false, 0 },
	{ "share", share, false, 6 },
};

int
main(int argc, char **argv)
{
	char *volatile only_here = static_cast<char *>(std::malloc(100));
	const scenario *s = nullptr;
	pthread_t server_thread, clients[8];
	char address[64];

	for (const scenario &each : scenarios)
		if (argc >= 3 && std::strcmp(argv[1], each.name) == 0)
			s = &each;
	if (s == nullptr)
		return 2;
	sks_handler handler = {};
	handler.name = s->name;
	handler.handle = s->handle;
	handler.state_size = sizeof(int);
	sks_options options = {};
	options.mode = std::atoi(argv[2]);
	options.workers = argc > 3 ? std::atoi(argv[3]) : 0;
	options.block_warn_ms = SKS_OFF;
	mutex = sks_mutex_new();
	channel = sks_channel_new(sizeof(int *), 100);
	sks_server *server = sks_tcp_server_new_abi("127.0.0.1:0", &handler, sizeof(handler), &options,
	    sizeof(options));
	if (server == nullptr || sks_server_address(server, 0, address, sizeof(address)) == nullptr)
		return 2;
	port = std::atoi(std::strchr(address, ':') + 1);
	if (s->lines == 0) {
		// On this thread, since what only its stack points to is no leak.
		int fd = connected();

		if (sks_handle_request(server, 60000) == -1 || !is_answered(fd, "good"))
			return 1;
		close(fd);
	} else {
		pthread_create(&server_thread, nullptr, serve, server);
		for (pthread_t &client : clients)
			pthread_create(&client, nullptr, talk, s->has_bad_lines ? server : nullptr);
		for (pthread_t client : clients)
			pthread_join(client, nullptr);
		sks_server_shutdown(server);
		pthread_join(server_thread, nullptr);
	}
	sks_server_free(server);
	sks_channel_free(channel);
	sks_mutex_free(mutex);
	std::free(only_here);
	return 0;
}
