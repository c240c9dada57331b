/* SPDX-License-Identifier: MIT */
/*
 * check_access_log.c - the access log has a whole line for each request, in each mode, and waits
 * for nobody.
 */
#include "acceptance.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <socketserver/host.h>

static char path[100], text[65536];

static void
set_up(void)
{
	acc_setup();
	snprintf(path, sizeof(path), "%s/access", acc_dir);
}

static void
tear_down(void)
{
	sks_access_log_close();
	unlink(path);
	acc_teardown();
}

FIXTURE(set_up, tear_down);

/* Reads the file into text. How many lines it has, which are all whole. */
static int
read_lines(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), lines = 0;
	ssize_t n;
	char *p;

	if (fd == -1)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert(n == 0 || text[n - 1] == '\n');
	return lines;
}

static int
echo_with_note(struct sks_request *req)
{
	sks_set_note(req, "it \"said\" so\n");
	return acc_echo_line(req);
}

static const struct sks_handler echo = { .name = "an echo", .handle = echo_with_note };

static void
log_one(int i, const char *format)
{
	struct sks_options options = { .on_end = sks_access_log };
	struct acc acc;

	ck_assert_int_eq(sks_access_log_open(path, format), 0);
	acc_all(&acc, i, &echo, &options);
	acc_start(&acc);
	acc_ask(&acc, "line\n", "line\n");
	ck_eventually(read_lines(path) == 1);
	acc_free(&acc);
}

/* A line of text: words in a fixed order, with a space between, and the note. */
TEST(has_a_line_of_words, EACH_TRANSPORT)
{
	char handler[64], peer[160], listener[160], reason[32], first[32], tls[32];
	double duration;
	long in, out, exchanges;
	int at = 0;

	log_one(_i, NULL);
	ck_assert_int_eq(sscanf(text, "%*s %63s %159s %159s %31s %lf %31s %ld %ld %ld %31s %n",
	    handler, peer, listener, reason, &duration, first, &in, &out, &exchanges, tls, &at), 10);
	ck_assert_str_eq(handler, "an\\x20echo");
	ck_assert_str_ne(peer, "-");
	ck_assert_ptr_nonnull(strchr(listener, ':'));
	ck_assert_str_eq(reason, "done");
	ck_assert(duration > 0);
	ck_assert_str_ne(first, "-");
	ck_assert(atof(first) <= duration);
	ck_assert_int_eq(in, 5);
	ck_assert_int_eq(out, 5);
	ck_assert_int_eq(exchanges, 1);
	ck_assert_str_eq(tls, "-");
	ck_assert_str_eq(text + at, "\"it \\\"said\\\" so\\\\x0a\"\n");
	ck_assert_ptr_nonnull(strstr(text, "T"));
}

TEST(has_an_object, EACH_TRANSPORT)
{
	log_one(_i, "json");
	ck_assert_ptr_eq(strstr(text, "{\"time\":\"2"), text);
	ck_assert_ptr_nonnull(strstr(text, ",\"handler\":\"an echo\",\"peer\":\""));
	ck_assert_ptr_nonnull(strstr(text, ",\"reason\":\"done\",\"duration\":0."));
	ck_assert_ptr_nonnull(strstr(text, ",\"bytes_in\":5,\"bytes_out\":5,\"exchanges\":1,\"tls\":null,"
	    "\"note\":\"it \\\"said\\\" so\\\\x0a\"}\n"));
}

TEST(no_note_and_no_byte_are_told_as_such)
{
	static const struct sks_info nothing = { .reason = SKS_ENDED_IDLE };
	const struct sockaddr_storage none = { 0 };
	struct sks_request req = { .peer = (const struct sockaddr *)&none };

	ck_assert_int_eq(sks_access_log_open(path, "text"), 0);
	sks_access_log(&req, &nothing);
	ck_assert_int_eq(read_lines(path), 1);
	ck_assert_ptr_nonnull(strstr(text, " - idle 0.000000 - 0 0 0 - -\n"));
	ck_assert_int_eq(sks_access_log_open(path, "json"), 0);
	sks_access_log(&req, &nothing);
	ck_assert_int_eq(read_lines(path), 2);
	ck_assert_ptr_nonnull(strstr(text, "\"listener\":null,\"reason\":\"idle\",\"duration\":0.000000,"
	    "\"first\":null,"));
}

TEST(goes_on_in_a_new_file, EACH_MODE)
{
	struct sks_options options = { .on_end = sks_access_log };
	char old[120];
	struct acc acc;

	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(sks_access_log_open(path, NULL), 0);
	acc_serve(&acc, _i, &echo, &options);
	acc_ask(&acc, "one\n", "one\n");
	ck_eventually(read_lines(path) == 1);
	ck_assert_int_eq(rename(path, old), 0);
	ck_assert_int_eq(sks_access_log_reopen(), 0);
	acc_ask(&acc, "two\n", "two\n");
	ck_eventually(read_lines(path) == 1);
	ck_assert_int_eq(read_lines(old), 1);
	unlink(old);
	acc_free(&acc);
}

/*
 * Nobody reads the FIFO: the server goes on, and a later reader learns how many lines are missing.
 */
TEST(drops_what_is_not_taken, TIMES(2))
{
	static const char *const formats[] = { "text", "json" };
	static const char *const tells[] = { " lines dropped\n", "Z\",\"dropped\":" };
	static const struct sks_info info = { .reason = SKS_ENDED_DONE };
	const struct sockaddr_storage none = { 0 };
	struct sks_request req = { .peer = (const struct sockaddr *)&none };
	static char taken[1 << 20];
	ssize_t n;
	int fd, i;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(sks_access_log_open(path, formats[_i]), 0);
	for (i = 0; i < 10000; i++)
		sks_access_log(&req, &info);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	while ((n = read(fd, taken, sizeof(taken))) > 0)
		;
	sks_access_log(&req, &info);
	n = read(fd, taken, sizeof(taken) - 1);
	ck_assert_int_gt(n, 0);
	taken[n] = '\0';
	ck_assert_ptr_nonnull(strstr(taken, tells[_i]));
	close(fd);
}

TEST(without_one_nothing_is_written)
{
	static const struct sks_info info = { .reason = SKS_ENDED_DONE };
	struct sks_request req = { 0 };

	sks_access_log(&req, &info);
	ck_assert_int_eq(sks_access_log_reopen(), 0);
	ck_assert_int_eq(read_lines(path), 0);
}

TEST(says_what_is_wrong)
{
	char missing[140];

	snprintf(missing, sizeof(missing), "%s/missing/file", acc_dir);
	ck_fails(sks_access_log_open("", NULL), EINVAL);
	ck_fails(sks_access_log_open(path, "xml"), EINVAL);
	ck_assert_int_eq(log_count("the format is text or json"), 1);
	ck_fails(sks_access_log_open(missing, NULL), ENOENT);
	ck_assert_int_eq(log_count("missing/file: No such file or directory"), 1);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(sks_access_log_open(path, NULL), 0);
	unlink(path);
	fault("open:EACCES");
	ck_fails(sks_access_log_reopen(), EACCES);
	ck_assert_int_eq(log_count("/access: not opened again: Permission denied"), 1);
	sks_fault_clear();
}
