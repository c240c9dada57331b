/* SPDX-License-Identifier: MIT */
/*
 * check_resolve.c - looking names up, with a name server of our own: one that
 * answers, answers late, answers rubbish, or never does.
 *
 * It listens on an address of the loopback net, and each test has a mount
 * namespace in which /etc/resolv.conf names it. Where that is not permitted
 * those tests are left out.
 */
#include "acceptance.h"
#include "rig.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#define PATIENT 30000 /* ms, where the answer comes */

/* -- the name server: what it does is the first label of the name -- */

static struct {
	int fd, wake;
	pthread_t thread;
	atomic_int asked;   /* queries that came */
	atomic_int go;      /* answer the late ones now */
	struct sockaddr_in late_from[128];
	unsigned char late[128][512];
	size_t late_len[128];
	int nlate;
} dns;

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

static void
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
	    put_file("/etc/hosts", "127.0.0.1 localhost\n127.9.9.9 short short.example.org\n") == -1)
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
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
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

/* Why there can be no name server of our own here; NULL: there can. */
static const char *
no_place(void)
{
	static const char *why;
	static int tried;

	if (!tried)
		why = try_place();
	tried = 1;
	return why;
}

FIXTURE(acc_setup, acc_teardown);

/* With a resolver that is patient. */
static void
setup_patient(void)
{
	acc_setup();
	start_dns("timeout:30 attempts:1");
}

static void
setup_brief(void)
{
	acc_setup();
	start_dns("timeout:1 attempts:1");
}

static void
teardown_dns(void)
{
	answer_late_ones();
	ck_eventually(threads() == before + 1); /* abandoned look-ups end now */
	stop_dns();
	acc_teardown();
}

/* -- what needs no name server -- */

TEST_ON_BOTH(numeric_ones_need_no_thread)
{
	static const struct {
		const char *host, *service;
		int family;
	} hosts[] = {
		{ "127.0.0.1", "80", AF_INET }, { "::1", "80", AF_INET6 }, { NULL, "80", AF_UNSPEC },
		{ "10.0.0.1", NULL, AF_INET }, { "fe80::1%1", "80", AF_INET6 },
	};
	unsigned long threads = sks_fault_calls("pthread_create");
	char host[64], service[32];
	struct addrinfo *list;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(hosts); i++) {
		ck_assert_int_eq(sks_getaddrinfo(hosts[i].host, hosts[i].service, NULL, &list, 1000), 0);
		if (hosts[i].family != AF_UNSPEC)
			ck_assert_int_eq(list->ai_family, hosts[i].family);
		ck_assert_int_eq(sks_getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof(host),
				     service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV, 1000), 0);
		if (hosts[i].family == AF_INET)
			ck_assert_str_eq(host, hosts[i].host);
		freeaddrinfo(list);
	}
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", host, sizeof(host), 1000), 0);
	ck_assert_str_eq(host, "127.0.0.1");
	ck_assert_int_eq(sks_gethostbyname("", host, sizeof(host), 1000), 0);
	ck_assert_str_eq(host, "0.0.0.0");
	ck_assert_uint_eq(sks_fault_calls("pthread_create"), threads);
}

static void
get_errors(void *arg)
{
	static const struct {
		const char *rule;
		int error, code;
	} errors[] = {
		{ "getaddrinfo:EAI_AGAIN:2", EAGAIN, EAI_AGAIN },
		{ "getaddrinfo:EAI_FAIL:2", EIO, EAI_FAIL },
		{ "getaddrinfo:EAI_NODATA:2", ENOENT, EAI_NODATA },
		{ "getaddrinfo:EAI_SERVICE:2", ENOENT, EAI_SERVICE },
		{ "getaddrinfo:EAI_MEMORY:2", ENOMEM, EAI_MEMORY },
		{ "getaddrinfo:EAI_BADFLAGS:1", EINVAL, EAI_BADFLAGS },
		{ "getaddrinfo:EAI_FAMILY:1", EAFNOSUPPORT, EAI_FAMILY },
		{ "getaddrinfo:EAI_SOCKTYPE:1", ESOCKTNOSUPPORT, EAI_SOCKTYPE },
		{ "getaddrinfo:EMFILE:2", EMFILE, EAI_SYSTEM },
		{ "malloc:ENOMEM:1", ENOMEM, 0 },
	};
	struct addrinfo *list = (struct addrinfo *)arg;
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(errors); i++) {
		sks_fault_clear();
		ck_assert_int_eq(sks_fault(errors[i].rule), 0);
		errno = 0;
		ck_assert_int_eq(sks_getaddrinfo("localhost", "80", NULL, &list, PATIENT), -1);
		ck_assert_ptr_null(list);
		ck_assert_msg(errno == errors[i].error, "%s: %s", errors[i].rule, strerror(errno));
		ck_assert_int_eq(sks_gai_error(), errors[i].code);
	}
	sks_fault_clear();
	ck_assert_int_eq(sks_getaddrinfo("localhost", "80", NULL, &list, PATIENT), 0);
	ck_assert_int_eq(sks_gai_error(), 0);
	freeaddrinfo(list);
}

TEST(errno_says_why, ON_BOTH)
{
	rig_run_on(_i, get_errors, NULL);
}

TEST_ON_BOTH(without_means_it_is_an_error)
{
	struct addrinfo *list;
	char text[64];

	ck_assert_int_eq(sks_fault("pthread_create:EAGAIN:1"), 0);
	errno = 0;
	ck_assert_int_eq(sks_getaddrinfo("localhost", "80", NULL, &list, PATIENT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), 0);
	ck_assert_int_eq(sks_fault("gethostbyaddr_r:ENOMEM:1"), 0);
	ck_assert_int_eq(sks_getfqdn("127.0.0.1", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "127.0.0.1");
	if (sks_task_current()->fiber == NULL) {
		ck_assert_int_eq(sks_fault("eventfd:EMFILE:1"), 0);
		errno = 0;
		ck_assert_int_eq(sks_getaddrinfo("localhost", "80", NULL, &list, PATIENT), -1);
		ck_assert_int_eq(errno, EMFILE);
	}
	ck_assert_int_eq(sks_getaddrinfo("localhost", "80", NULL, &list, PATIENT), 0);
	freeaddrinfo(list);
}

TEST(buffers_that_are_too_small)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[64];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, 9, 0), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, 10, 0), 0);
	errno = 0;
	ck_assert_int_eq(sks_getfqdn("", text, 1, 0), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), text, 2, NULL, 0,
			     NI_NUMERICHOST, 0), -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, sizeof(in), text, 2, NULL, 0, 0, 0),
	    -1);
	ck_assert_int_eq(errno, EOVERFLOW);
	errno = 0;
	ck_assert_int_eq(sks_getnameinfo((struct sockaddr *)&in, 4000, text, 64, NULL, 0, 0, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
}

/* -- with a name server that answers -- */

FIXTURE(setup_patient, teardown_dns, .left_out = no_place());

TEST_ON_BOTH(names_are_found)
{
	static const struct addrinfo stream = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct sockaddr_in *in;
	struct addrinfo *list;
	char text[64], service[32];

	ck_assert_int_eq(sks_getaddrinfo("good.example.org", "http", &stream, &list, PATIENT), 0);
	in = (struct sockaddr_in *)(void *)list->ai_addr;
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0x0a010203);
	ck_assert_int_eq(ntohs(in->sin_port), 80);
	freeaddrinfo(list);
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
	ck_assert_int_eq(sks_gethostbyname("short", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "127.9.9.9");
	ck_assert_int_eq(sks_getfqdn("short", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "short.example.org");
	ck_assert_int_eq(sks_getfqdn("127.9.9.9", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "short.example.org");
	ck_assert_int_eq(sks_getaddrinfo("127.9.9.9", "443", &stream, &list, PATIENT), 0);
	ck_assert_int_eq(sks_getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), service,
			     sizeof(service), 0, PATIENT), 0);
	ck_assert_str_eq(text, "short");
	ck_assert_str_eq(service, "https");
	freeaddrinfo(list);
	errno = 0;
	ck_assert_int_eq(sks_getaddrinfo("good.example.org", "no-such-service", &stream, &list,
			     PATIENT), -1);
	ck_assert_int_eq(errno, ENOENT);
}

/*
 * Its client says "<ms> <name>" and gets the address or the error, or "echo"
 * and gets that back.
 */
static int
look_up_or_echo(struct sks_request *req)
{
	char *line, name[64], text[32];

	while ((line = sks_gets(req->rfile)) != NULL) {
		int ms = atoi(line);

		if (ms == 0) {
			sks_printf(req->wfile, "%s\n", line);
			continue;
		}
		snprintf(name, sizeof(name), "%s", strchr(line, ' ') + 1);
		if (sks_gethostbyname(name, text, sizeof(text), ms) == 0)
			sks_printf(req->wfile, "%s\n", text);
		else {
			int error = errno;

			if (error == ECANCELED)
				atomic_store(&seen->waited, error);
			atomic_fetch_add(&seen->errors, 1);
			sks_printf(req->wfile, "%s\n", strerror(error));
		}
	}
	return sks_end(req->rfile);
}

static const struct sks_handler handler = { .name = "names", .handle = look_up_or_echo };

TEST(handlers_of_every_mode_find_them, EACH_MODE)
{
	struct acc acc;
	int fd[3], i;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	for (i = 0; i < 3; i++) {
		fd[i] = acc_client(&acc);
		peer_puts(fd[i], "30000 good.example.org\n30000 short\n30000 good.x\n");
		peer_half_close(fd[i]);
	}
	for (i = 0; i < 3; i++) {
		peer_expect(fd[i], "10.1.2.3\n127.9.9.9\n10.1.2.3\n");
		peer_expect_eof(fd[i]);
	}
	acc_free(&acc);
}

/* -- with one that does not -- */

TEST(a_dead_name_server_stops_nobody_else, EACH_MODE)
{
	struct acc acc;
	int dead, other, i;

	acc_tcp(&acc, _i, &handler, NULL);
	acc_start(&acc);
	dead = acc_client(&acc);
	peer_puts(dead, "200 dead.example.org\n");
	if (!acc.mode->one_at_a_time) {
		ck_eventually(dns.asked > 0);
		other = acc_client(&acc);
		for (i = 0; i < 20; i++) {
			peer_puts(other, "echo\n");
			peer_expect(other, "echo\n");
		}
		peer_puts(other, "30000 good.example.org\n");
		peer_expect(other, "10.1.2.3\n");
		close(other);
	}
	peer_expect(dead, strerror(ETIMEDOUT));
	peer_expect(dead, "\n");
	peer_puts(dead, "echo\n"); /* it goes on as if nothing had been */
	peer_expect(dead, "echo\n");
	close(dead);
	acc_free(&acc);
}

#define LOOKUPS 64

static void
look_up_late(void *arg)
{
	char text[32];
	int rc = sks_gethostbyname("late.example.org", text, sizeof(text), PATIENT);

	*(int *)arg = rc == 0 ? 0 : errno;
}

static void
note_arrival(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void
be_the_65th(void *arg)
{
	struct addrinfo *list;
	atomic_int here = 0;
	char text[32];

	(void)arg;
	while (sks_fault_calls("getaddrinfo") < 2 * LOOKUPS) /* each is asked twice, first as a number */
		ck_assert_int_eq(sks_sleep(1), 0);
	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), 0);
	/* What needs no name server does not suffer. */
	ck_assert_int_eq(sks_offload(note_arrival, &here), 0);
	ck_assert_int_eq(here, 1);
	ck_assert_int_eq(sks_getaddrinfo("127.0.0.1", "80", NULL, &list, PATIENT), 0);
	freeaddrinfo(list);
	answer_late_ones();
}

TEST(no_more_than_64_at_once)
{
	int error[LOOKUPS], i;
	struct rig_loop rig;

	rig_loop_open(&rig);
	for (i = 0; i < LOOKUPS; i++)
		rig_go(&rig, look_up_late, &error[i]);
	rig_go(&rig, be_the_65th, NULL);
	rig_run(&rig);
	rig_loop_close(&rig);
	for (i = 0; i < LOOKUPS; i++)
		ck_assert_int_eq(error[i], 0);
}

TEST_ON_BOTH(an_answer_that_comes_too_late_is_thrown_away)
{
	char text[32];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("late.example.org", text, sizeof(text), 100), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_eventually(dns.asked > 0);
	answer_late_ones(); /* to nobody */
	ck_assert_int_eq(sks_gethostbyname("good.example.org", text, sizeof(text), PATIENT), 0);
	ck_assert_str_eq(text, "10.1.2.3");
}

TEST_ON_BOTH(the_deadline_of_the_task_counts)
{
	char text[32];

	sks_task_current()->deadline = sks_clock_after(50);
	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("dead.example.org", text, sizeof(text), 0), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	errno = 0; /* nor does one begin any more */
	ck_assert_int_eq(sks_gethostbyname("127.0.0.1", text, sizeof(text), 0), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	sks_task_current()->deadline = SKS_NEVER;
}

FIXTURE(setup_brief, teardown_dns, .left_out = no_place());

TEST_ON_BOTH(rubbish_is_no_answer)
{
	char text[32];

	errno = 0;
	ck_assert_int_eq(sks_gethostbyname("rubbish.example.org", text, sizeof(text), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sks_gai_error(), EAI_AGAIN);
}

FIXTURE(setup_patient, teardown_dns, .left_out = no_place());

TEST(a_shutdown_ends_the_wait, EACH_MODE)
{
	struct sks_options options = { .drain_ms = 1 };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "30000 late.example.org\n");
	ck_eventually(dns.asked > 0);
	sks_server_shutdown(acc.server);
	peer_expect(fd, strerror(ECANCELED));
	close(fd);
	acc_join(&acc);
	ck_assert_int_eq(acc.rc, 0);
	ck_assert_int_eq(seen->waited, ECANCELED);
	acc_free(&acc); /* while the look-up goes on: nobody has answered */
	ck_assert_int_eq(dns.go, 0);
}

TEST(free_does_not_wait_for_the_resolver, EACH_MODE_IN_ONE_MEMORY)
{
	struct sks_options options = { .base = event_base_new() };
	struct acc acc;
	int fd;

	acc_tcp(&acc, _i, &handler, &options);
	ck_assert_int_eq(sks_server_start(acc.server), 0);
	fd = acc_client(&acc);
	peer_puts(fd, "30000 late.example.org\n");
	while (dns.asked == 0)
		event_base_loop(options.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	acc_free(&acc);
	ck_assert_int_eq(seen->waited, ECANCELED);
	ck_assert_int_eq(dns.go, 0);
	close(fd);
	event_base_free(options.base);
}
