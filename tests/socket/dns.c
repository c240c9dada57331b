/* SPDX-License-Identifier: MIT */
#include "dns.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- the name server: what it does is the first label of the name -- */

struct dns dns;

/* The query, made its own answer: one A record, 10.1.2.3; none for AAAA. */
static size_t
make_answer(unsigned char *packet, size_t n)
{
	static const unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3 };
	size_t end = 12;

	while (end < n && packet[end] != 0)
		end += packet[end] + 1u;
	end += 5;
	packet[2] = 0x84;
	packet[3] = 0x80;
	packet[10] = packet[11] = 0;
	if (packet[end - 3] != 1)
		return end;
	packet[7] = 1;
	memcpy(packet + end, record, sizeof(record));
	return end + sizeof(record);
}

static void
answer(unsigned char *packet, size_t n, const struct sockaddr_in *to)
{
	n = make_answer(packet, n);
	sendto(dns.fd, packet, n, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void
take_query(void)
{
	static const char rubbish[] = "\377\377rubbish that is no answer at all";
	unsigned char packet[512];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(dns.fd, packet, sizeof(packet) - 64, MSG_DONTWAIT,
	    (struct sockaddr *)&from, &len);

	if (n < 17)
		return;
	switch (packet[13]) {
	case 'g': /* good */
		answer(packet, (size_t)n, &from);
		break;
	case 'r': /* rubbish */
		sendto(dns.fd, rubbish, sizeof(rubbish), 0, (struct sockaddr *)&from, len);
		break;
	default: /* late; dead: when the test is over */
		if (dns.nlate < 128) {
			memcpy(dns.late[dns.nlate], packet, sizeof(packet));
			dns.late_from[dns.nlate] = from;
			dns.late_len[dns.nlate++] = (size_t)n;
		}
		break;
	}
	atomic_fetch_add(&dns.asked, 1);
}

static void
answer_the_late(void)
{
	while (atomic_load(&dns.go) && dns.nlate > 0) {
		dns.nlate--;
		answer(dns.late[dns.nlate], dns.late_len[dns.nlate], &dns.late_from[dns.nlate]);
	}
}

static void *
serve_names(void *arg)
{
	struct pollfd p[2] = { { .fd = dns.fd, .events = POLLIN }, { .fd = dns.wake, .events = POLLIN } };
	uint64_t count;

	(void)arg;
	for (;;) {
		poll(p, 2, -1);
		if (p[0].revents != 0)
			take_query();
		if (p[1].revents != 0 && read(dns.wake, &count, sizeof(count)) > 0 && count > 1000)
			return NULL;
		answer_the_late();
	}
}

static void
wake_dns(uint64_t how)
{
	ck_assert_int_eq(write(dns.wake, &how, sizeof(how)), sizeof(how));
}

void
answer_late_ones(void)
{
	atomic_store(&dns.go, 1);
	wake_dns(1);
}

/* -- a place where it is the name server -- */

static char place[32];

static int
make_place(void)
{
	snprintf(place, sizeof(place), "/tmp/sks-names-XXXXXX");
	return mkdtemp(place) != NULL ? 0 : -1;
}

static int
put_file(const char *over, const char *text)
{
	char path[128];
	const char *name = strrchr(over, '/');
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", place, name);
	file = fopen(path, "w");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) == EOF)
		return -1;
	return mount(path, over, "none", MS_BIND, NULL);
}

static int
enter_place(const char *address, const char *options)
{
	char text[128];

	snprintf(text, sizeof(text), "nameserver %s\noptions %s\n", address, options);
	if (unshare(CLONE_NEWNS) == -1 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", place, "tmpfs", 0, NULL) == -1)
		return -1;
	if (put_file("/etc/resolv.conf", text) == -1 ||
	    put_file("/etc/nsswitch.conf", "hosts: files dns\nservices: files\n") == -1 ||
	    put_file("/etc/hosts", "127.9.9.9 short short.example.org\n") == -1)
		return -1;
	return 0;
}

static int
bind_name_server(char *address, size_t size)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Suites run side by side: an address of its own for each process. */
	snprintf(address, size, "127.%d.%d.53", 100 + getpid() / 250 % 100, 1 + getpid() % 250);
	inet_pton(AF_INET, address, &addr.sin_addr);
	if (fd != -1 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
threads(void)
{
	return count_entries("/proc/self/task");
}

static int before; /* threads, without the name server's */

static void
start_dns(const char *options)
{
	char address[32];

	memset(&dns, 0, sizeof(dns));
	before = threads();
	dns.fd = bind_name_server(address, sizeof(address));
	ck_assert_int_ne(dns.fd, -1);
	ck_assert_int_eq(make_place(), 0);
	ck_assert_int_eq(enter_place(address, options), 0);
	dns.wake = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&dns.thread, NULL, serve_names, NULL), 0);
}

static void
stop_dns(void)
{
	wake_dns(100000);
	pthread_join(dns.thread, NULL);
	close(dns.fd);
	close(dns.wake);
	umount2(place, MNT_DETACH);
	rmdir(place);
}

/* In a child: the namespace is for good. */
static const char *
try_place(void)
{
	char address[32];
	int status = 0, fd;
	pid_t pid;

	if (make_place() == -1)
		return "there is no directory for it";
	pid = fork();
	if (pid == 0) {
		fd = bind_name_server(address, sizeof(address));
		if (fd == -1)
			_exit(1);
		close(fd);
		_exit(enter_place(address, "timeout:1") == 0 ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	(void)rmdir(place);
	if (status == 0)
		return NULL;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? "port 53 is not permitted" :
							       "mount namespaces are not permitted";
}

const char *
no_place(void)
{
	static const char *why;
	static int tried;

	if (!tried)
		why = try_place();
	tried = 1;
	return why;
}

/* -- fixtures -- */

void
dns_setup_patient(void)
{
	acc_setup();
	start_dns("timeout:30 attempts:1");
}

void
dns_setup_brief(void)
{
	acc_setup();
	start_dns("timeout:1 attempts:1");
}

void
dns_teardown(void)
{
	answer_late_ones();
	ck_eventually(threads() == before + 1); /* abandoned look-ups end now */
	stop_dns();
	acc_teardown();
}
