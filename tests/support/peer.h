/* SPDX-License-Identifier: MIT */
/*
 * peer.h - clients, good and bad, for the suites. They use plain sockets and
 * nothing of the library. Each fails the test when it does not get what it
 * expects within PEER_DEADLINE_MS.
 *
 * Addresses are those of sks_server_address(): "127.0.0.1:80", "[::1]:80",
 * "unix:/path", "unix:@name"; where it says so also with a scheme: "udp:127.0.0.1:80",
 * "unix-dgram:/path".
 */
#ifndef SKS_TEST_PEER_H
#define SKS_TEST_PEER_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define PEER_DEADLINE_MS 30000

union peer_name {
	struct sockaddr any;
	struct sockaddr_storage storage;
	struct sockaddr_un un;
};

/* Reads an address, which may have a scheme. Its length. */
socklen_t peer_name(const char *address, union peer_name *name);

/* A connection. peer_try: -1 and errno instead of a failed test; it never waits longer than
 * a Unix socket's full backlog takes to say EAGAIN. */
int peer_connect(const char *address);
int peer_try(const char *address);

/*
 * A datagram socket, connected to address. For Unix sockets own is the name it
 * is bound to ("unix:..."); NULL: an abstract one of the kernel's choice, ""
 * none at all, so that no reply can come.
 */
int peer_datagram(const char *address, const char *own);

/* A connection, or a datagram socket that can be answered, as the scheme says. -1 and errno. */
int peer_dial(const char *address);

void peer_send(int fd, const void *buf, size_t n);
void peer_puts(int fd, const char *text);

/* Once there is something: what recv(2) says. 0: the end. -1: errno. */
ssize_t peer_recv(int fd, void *buf, size_t n);

/* n bytes (or one datagram), or fewer at the end; a broken connection is an end. How many. */
size_t peer_receive(int fd, void *buf, size_t n);

/* Exactly these bytes come next; for a datagram socket, this datagram. */
void peer_expect(int fd, const char *text);
void peer_expect_bytes(int fd, const void *bytes, size_t n);

/* The end of input comes next; or an end or a reset. Then fd is closed. */
void peer_expect_eof(int fd);
void peer_expect_gone(int fd);

/* Everything up to the end of input, as a string the caller frees. */
char *peer_read_all(int fd, size_t *n);

/* 1 when nothing is there to read now, not even an end. */
int peer_is_silent(int fd);

/* Sends no more; the other direction stays open. */
void peer_half_close(int fd);

/* Closes with a reset: the other side reads ECONNRESET. TCP only. */
void peer_reset(int fd);

#endif
