/* SPDX-License-Identifier: MIT */
/*
 * check_tls_both_ways.c - TLS while the sockets are full in both directions.
 */
#include "certs.h"
#include "tls_peer.h"
#include "tls_server.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

FIXTURE(tls_setup, tls_teardown, .timeout_s = 120);

#define LINE 1000
#define LINES 2000

/* The bytes of all lines, as one text. */
static char
byte_at(size_t at)
{
	return at % LINE == LINE - 1 ? '\n' : (char)('a' + (at / LINE + at) % 26);
}

/*
 * What the client has sent and got. It neither reads nor writes where the other would do, so
 * OpenSSL writes into memory: it does not read before a message of its own has gone.
 */
struct talk {
	struct tls_peer peer;
	BIO *out;
	size_t out_at; /* so much of what is in out has gone */
	size_t sent, got;
	int renews; /* the client renews both keys behind each block that it has sent */
};

static void
expect_no_failure(const struct talk *t, int rc)
{
	int error = SSL_get_error(t->peer.ssl, rc);

	ck_assert_msg(rc > 0 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE,
	    "error %d behind %zu bytes", error, t->sent);
}

static size_t
unsent(const struct talk *t)
{
	return (size_t)BIO_pending(t->out) - t->out_at;
}

/* Sends what OpenSSL has written. 1: the socket has taken some of it. */
static int
send_some(struct talk *t)
{
	char *bytes;
	ssize_t n;

	BIO_get_mem_data(t->out, &bytes);
	n = send(t->peer.fd, bytes + t->out_at, unsent(t), MSG_NOSIGNAL);
	if (n == -1) {
		ck_assert_int_eq(errno, EAGAIN);
		return 0;
	}
	t->out_at += (size_t)n;
	if (unsent(t) == 0) {
		t->out_at = 0;
		(void)BIO_reset(t->out);
	}
	return 1;
}

/* 1: some bytes were taken. */
static int
say_more(struct talk *t)
{
	char block[LINE * 16];
	size_t n = (size_t)LINE * LINES - t->sent, i;
	int rc;

	if (unsent(t) > 0)
		return send_some(t);
	if (n == 0)
		return 0;
	n = n < sizeof(block) ? n : sizeof(block);
	for (i = 0; i < n; i++)
		block[i] = byte_at(t->sent + i);
	rc = SSL_write(t->peer.ssl, block, (int)n);
	ck_assert_int_eq(rc, (int)n); /* memory takes all */
	t->sent += n;
	if (t->renews)
		ck_assert_int_eq(SSL_key_update(t->peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	return 1;
}

static int
hear_more(struct talk *t)
{
	char block[4096];
	int rc = SSL_read(t->peer.ssl, block, sizeof(block)), i;

	expect_no_failure(t, rc);
	for (i = 0; i < rc; i++)
		ck_assert_int_eq(block[i], byte_at(t->got + (size_t)i));
	if (rc > 0)
		t->got += (size_t)rc;
	return rc > 0;
}

static void
talk_both_ways(struct talk *t)
{
	struct pollfd p = { .fd = t->peer.fd };

	t->out = BIO_new(BIO_s_mem());
	SSL_set0_wbio(t->peer.ssl, t->out);
	ck_assert_int_eq(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
	while (t->got < (size_t)LINE * LINES) {
		while (say_more(t))
			;
		if (hear_more(t))
			continue;
		p.events = unsent(t) > 0 ? POLLIN | POLLOUT : POLLIN;
		ck_assert_int_eq(poll(&p, 1, PEER_DEADLINE_MS), 1);
	}
	ck_assert_int_eq(fcntl(p.fd, F_SETFL, 0), 0);
	SSL_set_fd(t->peer.ssl, p.fd);
}

static void
talk_with_server(int mode, int renews)
{
	static const struct sks_handler handler = { .setup = acc_setup_small, .handle = acc_echo_lines };
	struct talk t = { .renews = renews };
	struct acc acc;

	tls_start(&acc, mode, &handler, (struct sks_options){ .on_error = acc_on_error },
	    (struct sks_tls_options){ 0 });
	tls_peer_connect(&t.peer, acc.address);
	acc_make_small(t.peer.fd);
	sks_fault_clear();
	talk_both_ways(&t);
	/* Nothing is tried again and again that has to wait. In a process the calls are its own. */
	ck_assert_uint_le(sks_fault_calls("recv") + sks_fault_calls("send"), (size_t)LINE * LINES / 64);
	tls_peer_close(&t.peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

TEST(much_goes_both_ways_at_once, EACH_MODE)
{
	talk_with_server(_i, 0);
}

/* The server answers each of them, also while the socket has taken only a part of a record. */
TEST(keys_are_renewed_while_much_goes_both_ways, EACH_MODE)
{
	talk_with_server(_i, 1);
}

static int
answer_once(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line == NULL)
		return -1;
	if (strcmp(line, "end") == 0)
		return SKS_DONE;
	return sks_printf(req->wfile, "%s\n", line) == -1 ? -1 : SKS_KEEP;
}

/* All of the answer was sent, and what says its end finds no room. */
TEST(an_end_that_has_no_room_is_said_later, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = { .handle = answer_once };
	struct tls_peer peer;
	struct acc acc;
	size_t before;

	tls_start(&acc, _i, &handler, (struct sks_options){ .on_error = acc_on_error },
	    (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "hello\n");
	tls_peer_expect(&peer, "hello\n");
	before = sks_fault_calls("send");
	fault("send:EAGAIN:1+");
	tls_peer_puts(&peer, "end\n");
	ck_eventually(sks_fault_calls("send") >= before + 3);
	sks_fault_clear();
	tls_peer_expect_end(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

static atomic_int server_fd;

static int
say_all_lines(struct sks_request *req)
{
	static char text[LINE * LINES];
	size_t i;

	server_fd = req->fd;
	for (i = 0; i < sizeof(text); i++)
		text[i] = byte_at(i);
	return sks_write(req->wfile, text, sizeof(text)) == -1 ? -1 : SKS_DONE;
}

/* Returns 1 when the server has read what it was sent. */
static int
is_read(void)
{
	int bytes;

	return ioctl(server_fd, FIONREAD, &bytes) == 0 && bytes == 0;
}

/* Of the beginning of a record nothing can be read ahead, and no memory stays behind for it. */
TEST(a_part_of_a_record_comes_while_a_write_waits, EACH_MODE_IN_ONE_MEMORY)
{
	static const unsigned char part[] = { 23, 3, 3, 1, 0 }; /* of a record of 256 bytes */
	static const struct sks_handler handler = { .setup = acc_setup_small,
		.handle = say_all_lines };
	static char got[LINE * LINES];
	struct tls_peer peer;
	struct acc acc;

	tls_start(&acc, _i, &handler, (struct sks_options){ .on_error = acc_on_error },
	    (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	ck_assert_uint_eq(tls_peer_receive(&peer, got, 1), 1);
	ck_assert_int_eq(send(peer.fd, part, sizeof(part), MSG_NOSIGNAL), sizeof(part));
	ck_eventually(is_read());
	ck_assert_uint_eq(tls_peer_receive(&peer, got + 1, sizeof(got) - 1), sizeof(got) - 1);
	tls_peer_drop(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}
