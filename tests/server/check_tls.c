/* SPDX-License-Identifier: MIT */
/*
 * check_tls.c - connections of TLS are served as plain ones are: in each mode, whoever speaks
 * first, parked or not, and to an orderly end.
 */
#include "certs.h"
#include "tls_peer.h"
#include "tls_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

FIXTURE(tls_setup, tls_teardown);

/* A server of TLS that runs, with what is asked for beside the certificate. */
static void
start(struct acc *acc, int mode, const struct sks_handler *handler,
    struct sks_tls_options more)
{
	tls_start(acc, mode, handler, (struct sks_options){ .on_error = acc_on_error }, more);
}

static const struct sks_handler echo = { .name = "echo", .handle = acc_echo_lines };
static const struct sks_handler keep = { .name = "keep", .handle = acc_echo_keep };

TEST(lines_go_there_and_back, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &echo, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "one\n");
	tls_peer_expect(&peer, "one\n");
	tls_peer_puts(&peer, "two\nthree\n");
	tls_peer_expect(&peer, "two\nthree\n");
	tls_peer_close(&peer);
	acc_stop(&acc);
	ck_assert_uint_eq(acc_stats(&acc).handshakes, 1);
	ck_assert_uint_eq(acc_stats(&acc).handshakes_failed, 0);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	ck_assert_uint_eq(acc_stats(&acc).bytes_in, 14);
	ck_assert_int_eq(seen->errors, 0);
	acc_free(&acc);
}

TEST(a_parked_connection_goes_on, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;
	int i;

	start(&acc, _i, &keep, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	for (i = 0; i < 3; i++) {
		tls_peer_puts(&peer, "again\n");
		tls_peer_expect(&peer, "again\n");
		if (acc.mode->one_memory)
			ck_eventually(acc_has_parked(&acc, 1));
	}
	tls_peer_close(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

/* What is left in the engine wakes a connection that is parked, as no event of the socket will. */
TEST(what_the_engine_holds_is_no_reason_to_wait, EACH_MODE)
{
	enum { LINES = 3000 }; /* of one record, and more than a buffer holds at once */
	struct tls_peer peer;
	struct acc acc;
	char *lines = malloc(16 * LINES + 1), *got = malloc(16 * LINES + 1);
	int i;

	ck_assert(lines != NULL && got != NULL);
	for (i = 0; i < LINES; i++)
		snprintf(lines + 16 * i, 17, "line number %03d\n", i % 1000);
	start(&acc, _i, &keep, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, lines);
	ck_assert_uint_eq(tls_peer_receive(&peer, got, 16 * LINES), 16 * LINES);
	ck_assert_mem_eq(got, lines, 16 * LINES);
	tls_peer_close(&peer);
	acc_free(&acc);
	free(lines);
	free(got);
}

static int
count_and_echo(struct sks_request *req)
{
	atomic_fetch_add(&seen->handles, 1);
	return acc_echo_lines(req);
}

TEST(who_speaks_first_is_as_without_tls, EACH_MODE)
{
	static const struct sks_handler waits = { .name = "waits", .handle = count_and_echo,
		.client_first = 1 };
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &waits, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	ck_eventually(acc_stats(&acc).handshakes == 1);
	if (acc.mode->one_memory)
		ck_eventually(acc_stats(&acc).parked == 1);
	ck_assert_int_eq(seen->handles, 0);
	tls_peer_puts(&peer, "first\n");
	tls_peer_expect(&peer, "first\n");
	ck_assert_int_eq(seen->handles, 1);
	tls_peer_close(&peer);
	acc_free(&acc);
}

TEST(a_handler_speaks_first_too, EACH_MODE)
{
	static const struct sks_handler hello = { .name = "hello", .handle = acc_hello };
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &hello, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_expect(&peer, "Hello World!\n");
	tls_peer_expect_end(&peer);
	acc_free(&acc);
}

/* -- much in both directions: a write that waits, and the record that it has begun -- */

#define BLOCK 40000
#define BLOCKS 60

static int
send_blocks(struct sks_request *req)
{
	char *block = malloc(BLOCK);
	int i, rc = 0;

	if (block == NULL)
		return -1;
	for (i = 0; i < BLOCKS && rc == 0; i++) {
		memset(block, 'a' + i % 26, BLOCK);
		rc = sks_write(req->wfile, block, BLOCK);
		if (rc == 0)
			rc = sks_puts(req->wfile, "."); /* one byte, sent with the next block */
	}
	free(block);
	return rc;
}

/* Reads what send_blocks() sends, slowly at first. */
static void
expect_blocks(struct tls_peer *peer)
{
	char *got = malloc(BLOCK + 1), *want = malloc(BLOCK);
	int i;

	ck_assert(got != NULL && want != NULL);
	for (i = 0; i < BLOCKS; i++) {
		memset(want, 'a' + i % 26, BLOCK);
		ck_assert_uint_eq(tls_peer_receive(peer, got, BLOCK + 1), BLOCK + 1);
		ck_assert_mem_eq(got, want, BLOCK);
		ck_assert_int_eq(got[BLOCK], '.');
	}
	free(got);
	free(want);
}

/* The peer begins to read when nothing more fits into the sockets. */
TEST(a_large_reply_comes_whole_and_with_its_end, EACH_MODE)
{
	static const struct sks_handler blocks = { .name = "blocks", .handle = send_blocks };
	struct tls_peer peer;
	struct acc acc;
	uint64_t before;

	start(&acc, _i, &blocks, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	do {
		before = acc_stats(&acc).bytes_out;
		breathe();
		breathe();
	} while (before == 0 || acc_stats(&acc).bytes_out != before);
	expect_blocks(&peer);
	tls_peer_expect_end(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

TEST(one_byte_at_a_time_is_enough, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &keep, (struct sks_tls_options){ 0 });
	fault("recv:short=1,send:short=1,send:EAGAIN:%%7,recv:EAGAIN:%%5");
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "slow\nbut sure\n");
	tls_peer_expect(&peer, "slow\nbut sure\n");
	tls_peer_close(&peer);
	acc_free(&acc);
}

/* -- a file, which no sendfile(2) can encrypt -- */

#define FILE_SIZE 3000000

static int
send_file(struct sks_request *req)
{
	if (sks_puts(req->wfile, "head\n") == -1)
		return -1;
	if (sks_sendfile(req->wfile, *(const int *)req->data, 1, FILE_SIZE - 1) == -1)
		return -1;
	return sks_puts(req->wfile, "tail\n");
}

TEST(a_file_is_sent_between_a_head_and_a_tail, EACH_MODE)
{
	static const struct sks_handler sending = { .name = "sending", .handle = send_file };
	char *bytes = malloc(FILE_SIZE + 20), *got = malloc(FILE_SIZE + 20);
	struct sks_tls_options files = { .cert = certs_path("server") };
	int file = memfd_create("file", MFD_CLOEXEC), i;
	struct sks_options options = { .data = &file };
	struct tls_peer peer;
	struct acc acc;

	ck_assert(bytes != NULL && got != NULL);
	for (i = 0; i < FILE_SIZE; i++)
		bytes[4 + i] = (char)(i * 7 + i / 1000);
	ck_assert_int_eq(pwrite(file, bytes + 4, FILE_SIZE, 0), FILE_SIZE);
	memcpy(bytes, "head\n", 5);
	memcpy(bytes + 4 + FILE_SIZE, "tail\n", 5);
	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	acc_on(&acc, _i, "tls:127.0.0.1:0", &sending, &options);
	acc_start(&acc);
	tls_peer_connect(&peer, acc.address);
	ck_assert_uint_eq(tls_peer_receive(&peer, got, FILE_SIZE + 9), FILE_SIZE + 9);
	ck_assert_mem_eq(got, bytes, FILE_SIZE + 9);
	tls_peer_expect_end(&peer);
	acc_free(&acc);
	close(file);
	free(bytes);
	free(got);
}

/* -- the end -- */

TEST(an_end_without_a_word_is_a_reset, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &echo, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "x\n");
	tls_peer_expect(&peer, "x\n");
	peer_half_close(peer.fd);
	ck_eventually(seen->errors == 1);
	ck_assert_int_eq(seen->last_error, ECONNRESET);
	tls_peer_drop(&peer);
	acc_free(&acc);
}

TEST(unless_the_server_is_lenient, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &echo, (struct sks_tls_options){ .lenient_end = 1 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "x\ny");
	peer_half_close(peer.fd);
	tls_peer_expect(&peer, "x\ny");
	tls_peer_expect_end(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

/* The peer says its end at once, and still gets the answer. */
TEST(half_a_connection_is_enough_for_an_answer, EACH_MODE)
{
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &echo, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "question");
	ck_assert_int_ge(SSL_shutdown(peer.ssl), 0);
	tls_peer_expect(&peer, "question");
	tls_peer_expect_end(&peer);
	acc_free(&acc);
	ck_assert_int_eq(seen->errors, 0);
}

static int
say_and_listen(struct sks_request *req)
{
	char *line;

	if (sks_puts(req->wfile, "last word\n") == -1 || sks_wfile_shutdown(req->wfile) == -1)
		return -1;
	while ((line = sks_gets(req->rfile)) != NULL)
		if (strcmp(line, "heard") == 0)
			atomic_store(&seen->note, 1);
	return 0;
}

TEST(a_handler_ends_its_side_and_reads_on, EACH_MODE)
{
	static const struct sks_handler last = { .name = "last", .handle = say_and_listen };
	struct tls_peer peer;
	struct acc acc;
	char byte;

	start(&acc, _i, &last, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	tls_peer_expect(&peer, "last word\n");
	ck_assert_int_eq(tls_peer_read(&peer, &byte, 1), 0);
	tls_peer_puts(&peer, "heard\n");
	ck_eventually(seen->note == 1);
	tls_peer_close(&peer);
	acc_free(&acc);
}

/* A peer that speaks, and is gone before the server has sent its ticket, is still heard. */
static int
take_note(struct sks_request *req)
{
	char *line = sks_gets(req->rfile);

	if (line != NULL && strcmp(line, "and gone") == 0)
		atomic_store(&seen->note, 1);
	return 0;
}

TEST(who_speaks_and_goes_is_heard, EACH_MODE)
{
	static const struct sks_handler notes = { .name = "notes", .handle = take_note };
	struct tls_peer peer;
	struct acc acc;

	start(&acc, _i, &notes, (struct sks_tls_options){ 0 });
	fault("send:EPIPE:2+"); /* the first is the server's greeting, the second the ticket */
	tls_peer_connect(&peer, acc.address);
	tls_peer_puts(&peer, "and gone\n");
	ck_eventually(seen->note == 1);
	tls_peer_drop(&peer);
	acc_free(&acc);
}

/* -- posts, from another thread -- */

static struct sks_request *_Atomic posted_to;

static int
be_posted_to(struct sks_request *req)
{
	atomic_store(&posted_to, req);
	return acc_echo_lines(req);
}

TEST(posts_are_encrypted_beside_the_handlers_own_lines, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler target = { .name = "target", .handle = be_posted_to };
	struct tls_peer peer;
	struct acc acc;
	int i;

	start(&acc, _i, &target, (struct sks_tls_options){ 0 });
	tls_peer_connect(&peer, acc.address);
	ck_eventually(atomic_load(&posted_to) != NULL);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(sks_post(posted_to, "post\n", 5), 0);
		tls_peer_expect(&peer, "post\n");
		tls_peer_puts(&peer, "line\n");
		tls_peer_expect(&peer, "line\n");
	}
	tls_peer_close(&peer);
	acc_free(&acc);
}

static struct sks_group *group;

static int
join_group(struct sks_request *req)
{
	return sks_group_join(group, req) == 0 ? SKS_KEEP : -1;
}

/* Their bytes are shared by both connections, and wait in many pieces. */
TEST(posts_to_a_group_are_encrypted_whole_and_in_order, EACH_MODE_IN_ONE_MEMORY)
{
	static const struct sks_handler handler = {
		.name = "group", .setup = join_group, .handle = acc_echo_keep };
	static char all[60000], got[60000], text[2000];
	struct tls_peer peers[2];
	struct acc acc;
	int i;

	group = sks_group_new();
	start(&acc, _i, &handler, (struct sks_tls_options){ 0 });
	for (i = 0; i < 2; i++)
		tls_peer_connect(&peers[i], acc.address);
	ck_eventually(sks_group_count(group) == 2);
	for (i = 0; i < 30; i++) {
		memset(text, 'a' + i % 26, sizeof(text));
		ck_assert_int_eq(sks_group_post(group, text, sizeof(text), NULL), 2);
		memcpy(all + (size_t)i * sizeof(text), text, sizeof(text));
	}
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(tls_peer_receive(&peers[i], got, sizeof(got)), sizeof(got));
		ck_assert_mem_eq(got, all, sizeof(all));
		tls_peer_close(&peers[i]);
	}
	acc_free(&acc);
	sks_group_free(group);
}

/* -- addresses -- */

TEST(it_is_beside_plain_addresses)
{
	struct tls_peer peer;
	struct acc acc;
	char address[200], name[160];
	int fd;

	start(&acc, ACC_FIBERS, &echo, (struct sks_tls_options){ 0 });
	acc_stop(&acc);
	ck_assert_int_eq(sks_server_listen(acc.server, "127.0.0.1:0"), 0);
	snprintf(address, sizeof(address), "tls:%s", acc_listen_address(ACC_UNIX));
	ck_assert_int_eq(sks_server_listen(acc.server, address), 0);
	ck_assert_ptr_nonnull(sks_server_listen_address(acc.server, 0, name, sizeof(name)));
	ck_assert_int_eq(strncmp(name, "tls:127.0.0.1:", 14), 0);
	ck_assert_ptr_nonnull(sks_server_listen_address(acc.server, 2, name, sizeof(name)));
	ck_assert_str_eq(name, address);
	acc_start(&acc);
	fd = peer_connect(sks_server_address(acc.server, 1, name, sizeof(name)));
	peer_puts(fd, "plain\n");
	peer_expect(fd, "plain\n");
	close(fd);
	tls_peer_connect(&peer, acc_listen_address(ACC_UNIX));
	tls_peer_puts(&peer, "unix\n");
	tls_peer_expect(&peer, "unix\n");
	tls_peer_close(&peer);
	acc_free(&acc);
}

TEST(an_address_of_tls_needs_a_certificate)
{
	struct acc acc;
	static const struct sks_options none = { 0 };

	errno = 0;
	ck_assert_int_eq(acc_try(&acc, ACC_FIBERS, "tls:127.0.0.1:0", &echo, &none), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("there is no certificate for it (options.tls)"), 1);
	ck_assert_int_eq(acc_try(&acc, ACC_FIBERS, "tls:udp:127.0.0.1:0", &echo, &none), -1);
	ck_assert_int_eq(log_count("there is no TLS for datagrams"), 1);
}

/* The handshake begins in the segment in which the header of a proxy ends. */
TEST(behind_the_header_of_a_proxy_comes_the_handshake, EACH_MODE)
{
	static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
	struct sks_tls_options files = { .cert = certs_path("server") };
	struct sks_options options = { .proxy_from = "127.0.0.1" };
	struct tls_peer peer;
	struct acc acc;
	int fd;

	options.tls = tls = sks_tls_new(SKS_TLS_SERVER, &files);
	ck_assert_ptr_nonnull(tls);
	acc_on(&acc, _i, "proxy:tls:127.0.0.1:0", &echo, &options);
	acc_start(&acc);
	fd = acc_client(&acc);
	ck_assert_int_eq(send(fd, header, sizeof(header) - 1, MSG_MORE), (int)sizeof(header) - 1);
	tls_peer_open(&peer, fd);
	tls_peer_shake(&peer);
	tls_peer_puts(&peer, "one\n");
	tls_peer_expect(&peer, "one\n");
	tls_peer_close(&peer);
	acc_free(&acc);
}
