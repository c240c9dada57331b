/* SPDX-License-Identifier: MIT */
/*
 * Compares a post to a group with an sks_post() to each of its members: the processor time of
 * the thread that posts, the best of many rounds, without what the loop does for them later.
 *
 *     build/tests/bench/group_post [MEMBERS]
 *
 * On one loop, whose members are parked clients of this process that read all they get.
 */
#include <err.h>
#include <pthread.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define MEMBERS_MOST 10000
#define ROUNDS 20

static struct sks_group *group;
static struct sks_request *members[MEMBERS_MOST];
static int nmembers;

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double
post_to_each(const char *bytes, size_t n)
{
	double begin = cpu_us();
	int i;

	for (i = 0; i < nmembers; i++)
		if (sks_post(members[i], bytes, n) == -1)
			err(1, "sks_post");
	return cpu_us() - begin;
}

static double
post_to_group(const char *bytes, size_t n)
{
	double begin = cpu_us();

	if (sks_group_post(group, bytes, n, NULL) != nmembers)
		errx(1, "sks_group_post: some were missed");
	return cpu_us() - begin;
}

static int
come(struct sks_request *req)
{
	members[nmembers++] = req;
	return sks_group_join(group, req) == 0 ? SKS_KEEP : -1;
}

/* Measures, in the handler of the client that has asked for it. */
static int
measure(struct sks_request *req)
{
	static const size_t sizes[] = { 10, 100, 1000, 4000 };
	static char bytes[4000];
	size_t i;
	int round;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double each = 1e12, whole = 1e12, us;

		for (round = 0; round < ROUNDS; round++) {
			us = post_to_each(bytes, sizes[i]);
			each = us < each ? us : each;
			sks_sleep(50); /* the loop sends, and the clients read */
			us = post_to_group(bytes, sizes[i]);
			whole = us < whole ? us : whole;
			sks_sleep(50);
		}
		printf("%4zu bytes to %d members: %7.1f us by sks_post, %7.1f us by sks_group_post: %.2f\n",
		    sizes[i], nmembers, each, whole, whole / each);
		fflush(stdout);
	}
	sks_server_shutdown(req->server);
	return SKS_DONE;
}

struct clients {
	struct sockaddr_storage server;
	socklen_t len;
	int count;
};

/* They read whatever comes until the server ends. The last one asks for the measurement. */
static void *
be_clients(void *arg)
{
	static char sink[65536];
	const struct clients *clients = arg;
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC), i;

	for (i = 0; i < clients->count; i++) {
		int fd = socket(clients->server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		event.data.fd = fd;
		if (fd == -1 || connect(fd, (const struct sockaddr *)&clients->server, clients->len) == -1 ||
		    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == -1)
			err(1, "client %d", i);
	}
	if (send(event.data.fd, "go\n", 3, 0) != 3)
		err(1, "send");
	while (epoll_wait(set, &event, 1, -1) == 1)
		if (recv(event.data.fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			break;
	return NULL;
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "group_post", .setup = come, .handle = measure };
	struct sks_options options = { .idle_ms = SKS_OFF, .linger_ms = 1, .block_warn_ms = SKS_OFF };
	struct sks_server *server;
	struct clients clients = { .count = argc > 1 ? atoi(argv[1]) : 1000 };
	char address[64];
	pthread_t thread;

	if (clients.count < 1 || clients.count > MEMBERS_MOST)
		errx(2, "usage: group_post [MEMBERS] (1 to %d)", MEMBERS_MOST);
	group = sks_group_new();
	server = sks_tcp_server_new("127.0.0.1:0", &handler, &options);
	if (group == NULL || server == NULL)
		return 1;
	sks_server_address(server, 0, address, sizeof(address));
	if (sks_address_parse(address, &clients.server, &clients.len) == -1 ||
	    pthread_create(&thread, NULL, be_clients, &clients) != 0)
		errx(1, "no thread");
	if (sks_serve_forever(server) == -1)
		err(1, "serve");
	sks_server_free(server);
	sks_group_free(group);
	return 0;
}
