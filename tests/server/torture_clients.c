/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <netinet/in.h>
#include <sys/time.h>
#include <unistd.h>

/* -- clients, who take whatever comes, and wait in vain only for a moment -- */

static void
be_impatient(int fd)
{
	struct timeval brief = { .tv_usec = 10000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
}

static int
visit(const char *address)
{
	int fd = peer_dial(address);

	if (fd != -1 && is_lasting)
		be_impatient(fd);
	return fd;
}

static void
try_line(int fd, const char *line)
{
	char got[100];

	(void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
	(void)peer_receive(fd, got, strlen(line));
}

void
talk(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	try_line(fd, "one\n");
	try_line(fd, "two and three\n");
	close(fd);
}

/* An answer may never come to a datagram, or from a room. */
void
talk_briefly(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	be_impatient(fd);
	try_line(fd, "one\n");
	try_line(fd, "two\n");
	close(fd);
}

static void
read_to_the_end(int fd)
{
	char drop[65536];

	while (recv(fd, drop, sizeof(drop), 0) > 0)
		;
}

void
only_read(const char *address)
{
	int fd = visit(address);

	if (fd == -1)
		return;
	read_to_the_end(fd);
	close(fd);
}

void
send_much(const char *address)
{
	static char block[100000];
	int fd = visit(address);

	if (fd == -1)
		return;
	memset(block, 'e', sizeof(block));
	block[3] = block[50] = block[sizeof(block) - 1] = '\n';
	(void)!send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	read_to_the_end(fd);
	close(fd);
}

void
long_line(const char *address)
{
	static char line[60000], got[60000];
	int fd = visit(address);

	if (fd == -1)
		return;
	memset(line, 'l', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	(void)!send(fd, line, sizeof(line), MSG_NOSIGNAL);
	(void)peer_receive(fd, got, sizeof(got));
	close(fd);
}

void
come_in_crowds(const char *address)
{
	int fds[70], i;
	char got[2];

	for (i = 0; i < 70; i++) {
		fds[i] = visit(address);
		if (fds[i] != -1)
			(void)!send(fds[i], "x\n", 2, MSG_NOSIGNAL);
	}
	for (i = 0; i < 70; i++) {
		if (fds[i] != -1) {
			(void)peer_receive(fds[i], got, 2);
			close(fds[i]);
		}
	}
}

void
say_nothing(const char *address)
{
	int fd = visit(address);

	if (fd != -1)
		close(fd);
}

void
reset(const char *address)
{
	static const struct linger now = { .l_onoff = 1 };
	int fd = visit(address);

	if (fd == -1)
		return;
	try_line(fd, "one\n");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

void
chat(const char *address)
{
	int listener = visit(address);
	char got[8];

	if (listener != -1) {
		be_impatient(listener);
		try_line(listener, "here\n");
	}
	talk_briefly(address);
	if (listener != -1) {
		(void)peer_receive(listener, got, 8);
		close(listener);
	}
}

/* -- and one who must be served -- */

int
echoes(const char *address)
{
	static const char line[] = "there and back\n";
	char got[sizeof(line)];
	size_t n = sizeof(line) - 1;
	int fd = peer_dial(address), same;

	if (fd == -1)
		return 0;
	same = send(fd, line, n, MSG_NOSIGNAL) == (ssize_t)n && peer_receive(fd, got, n) == n &&
	    memcmp(got, line, n) == 0;
	close(fd);
	return same;
}

int
is_greeted(const char *address)
{
	char got[13];
	int fd = peer_dial(address), same;

	if (fd == -1)
		return 0;
	same = peer_receive(fd, got, 13) == 13 && memcmp(got, "Hello World!\n", 13) == 0;
	close(fd);
	return same;
}

int
gets_much(const char *address)
{
	static char got[560000];
	int fd = peer_dial(address), all;

	all = peer_receive(fd, got, sizeof(got)) == sizeof(got);
	close(fd);
	return all;
}

int
gets_the_print(const char *address)
{
	static char got[100000];
	int fd = peer_dial(address);
	size_t n = peer_receive(fd, got, sizeof(got));

	close(fd);
	return n > 20001 && got[n - 1] == '\n' && got[n - 2] == '1';
}

int
is_copied(const char *address)
{
	char got[10];
	int fd = peer_dial(address), same;

	same = send(fd, "copy me", 7, MSG_NOSIGNAL) == 7 && shutdown(fd, SHUT_WR) == 0 &&
	    peer_receive(fd, got, 10) == 7 && memcmp(got, "copy me", 7) == 0;
	close(fd);
	return same;
}

int
is_read(const char *address)
{
	char got[10];
	int fd = peer_dial(address), same;

	same = send(fd, "skip\nabcxe\ngets\nrest", 20, MSG_NOSIGNAL) == 20 &&
	    shutdown(fd, SHUT_WR) == 0 && peer_receive(fd, got, 10) > 0;
	close(fd);
	return same;
}
