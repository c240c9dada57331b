/* SPDX-License-Identifier: MIT */
/*
 * check_smtp.c - examples/smtp without a network: what its handler answers, with a
 * configuration, and what it puts into a Maildir.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define plugin sks_plugin_descriptor

/* The configuration of the plugin, as its table of options says. */
static struct {
	const char *maildir, *host;
	int size;
} config;

static char folder[64];

static void
setup(void)
{
	static const char *const parts[] = { "tmp", "new", "cur" };
	char path[100];
	int i;

	no_leaks_setup();
	ck_assert_uint_eq(sizeof(config), plugin.config_size);
	snprintf(folder, sizeof(folder), "/tmp/sks-smtp-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, parts[i]);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	config.maildir = folder;
	config.host = "mx";
	config.size = 2000;
}

static void
teardown(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
	no_leaks_teardown();
}

FIXTURE(setup, teardown);

/* The answers to a whole session, which the caller frees. */
static char *
answers(const char *said)
{
	struct sks_options options = { .data = &config };
	char *out;

	ck_assert_int_eq(sks_handle_bytes_with(&plugin.handler, &options, "192.0.2.1:4711", said,
	    strlen(said), &out, NULL), 0);
	return out;
}

/* The codes of the answers, as "220 250 ", one for each line. */
static void
expect_codes(const char *said, const char *codes)
{
	char *out = answers(said), *line, *rest = out, got[1000] = "";
	size_t n = 0;

	while ((line = strtok_r(rest, "\r\n", &rest)) != NULL && n + 5 < sizeof(got))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.3s ", line);
	ck_assert_msg(strcmp(got, codes) == 0, "\"%s\" was answered by %s, not %s", said, got, codes);
	free(out);
}

/* How many mails are in a part of the Maildir; the last of them is read into text. */
static int
mails(const char *part, char *text, size_t size)
{
	char path[400];
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", folder, part);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", folder, part, entry->d_name);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		text[fread(text, 1, size - 1, file)] = '\0';
		fclose(file);
		n++;
	}
	closedir(dir);
	return n;
}

#define HELLO "EHLO me\r\n"
#define ENVELOPE "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"

TEST(a_mail_is_taken_into_the_maildir)
{
	char text[1000];

	expect_codes(HELLO ENVELOPE "RCPT TO:<c@y>\r\nDATA\r\nSubject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
	    "220 250 250 250 250 250 250 354 250 221 ");
	ck_assert_int_eq(mails("new", text, sizeof(text)), 1);
	ck_assert_str_eq(text, "Return-Path: <a@x>\nDelivered-To: b@y\nDelivered-To: c@y\n"
	    "Subject: hi\n\n.dot\n");
	ck_assert_int_eq(mails("tmp", text, sizeof(text)), 0);
}

TEST(ehlo_tells_what_it_can)
{
	char *out = answers(HELLO);

	ck_assert_str_eq(out, "220 mx ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250 SIZE 2000\r\n");
	free(out);
	out = answers("helo me\r\n");
	ck_assert_str_eq(out, "220 mx ESMTP\r\n250 mx\r\n");
	free(out);
}

TEST(commands_have_their_order)
{
	expect_codes("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n", "220 503 503 503 ");
	expect_codes(HELLO "RCPT TO:<b@y>\r\nMAIL FROM:<a@x>\r\nDATA\r\nMAIL FROM:<a@x>\r\n",
	    "220 250 250 250 503 250 503 503 ");
	expect_codes(HELLO ENVELOPE "RSET\r\nDATA\r\n" ENVELOPE HELLO "DATA\r\n",
	    "220 250 250 250 250 250 250 503 250 250 250 250 250 503 ");
	expect_codes("NOOP\r\nnoop x\r\nVRFY a\r\nRSET\r\nNOPE\r\n\r\nNOOPS\r\nQUIT\r\nNOOP\r\n",
	    "220 250 250 252 250 500 500 500 221 ");
}

TEST(what_is_wrong_is_told)
{
	expect_codes("HELO\r\nEHLO \r\n", "220 501 501 ");
	expect_codes(HELLO "MAIL\r\nMAIL FROM:a@x\r\nMAIL FROM:<a b>\r\nMAIL FROM:<a@x\r\n"
	    "MAIL FROM:<a@x>y\r\nMAIL FROM:<a@x> NO=1\r\nMAIL TO:<a@x>\r\n",
	    "220 250 250 250 501 501 501 501 501 555 501 ");
	expect_codes(HELLO "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<b@y> X=1\r\nRCPT TO: <b@y>\r\nDATA x\r\n",
	    "220 250 250 250 250 501 501 250 501 ");
}

TEST(a_mail_has_a_largest_size)
{
	char text[4000], body[2100];
	int i;

	expect_codes(HELLO "MAIL FROM:<a@x> SIZE=2001\r\nMAIL FROM:<a@x> size=2000\r\n",
	    "220 250 250 250 552 250 ");
	for (i = 0; i < 2; i++) {
		memset(body, 'x', sizeof(body));
		body[i == 0 ? 1998 : 1999] = '\0'; /* with CR LF 2000, and one more */
		snprintf(text, sizeof(text), HELLO ENVELOPE "DATA\r\n%s\r\n.\r\nNOOP\r\n", body);
		expect_codes(text, i == 0 ? "220 250 250 250 250 250 354 250 250 " :
					    "220 250 250 250 250 250 354 552 250 ");
	}
	ck_assert_int_eq(mails("new", text, sizeof(text)), 1);
}

/* Only CR LF ends a line: what one server takes for the end another may take for text. */
TEST(no_mail_hides_behind_another)
{
	static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r" };
	char text[1000];
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(text, sizeof(text), HELLO ENVELOPE "DATA\r\none%s" ENVELOPE "DATA\r\ntwo\r\n.\r\n",
		    ends[i]);
		expect_codes(text, i < 3 ? "220 250 250 250 250 250 354 554 " :
					   "220 250 250 250 250 250 354 250 ");
	}
}

TEST(a_mail_that_is_cut_is_dropped)
{
	char text[1000];

	expect_codes(HELLO ENVELOPE "DATA\r\nhalf\r\n", "220 250 250 250 250 250 354 ");
	expect_codes(HELLO ENVELOPE, "220 250 250 250 250 250 ");
	ck_assert_int_eq(mails("new", text, sizeof(text)) + mails("tmp", text, sizeof(text)), 0);
}

TEST(recipients_are_not_without_end)
{
	char text[4000] = HELLO "MAIL FROM:<a@x>\r\n", *out;
	int i;

	for (i = 0; i < 101; i++)
		strcat(text, "RCPT TO:<b@y>\r\n");
	out = answers(text);
	ck_assert_ptr_nonnull(strstr(out, "250 2.1.5 to there\r\n452 4.5.3"));
	free(out);
}

TEST(without_a_maildir_mail_is_dropped)
{
	log_keep();
	config.maildir = NULL;
	ck_assert_int_eq(plugin.init(&config, NULL), 0);
	expect_codes(HELLO ENVELOPE "DATA\r\nx\r\n.\r\n", "220 250 250 250 250 250 354 250 ");
	config.maildir = "/nonexistent";
	ck_fails(plugin.init(&config, NULL), ENOENT);
	expect_codes(HELLO ENVELOPE "DATA\r\nx\r\n.\r\n", "220 250 250 250 250 250 354 451 ");
	ck_assert_int_eq(log_count_error("a mail is not kept: ", ENOENT), 1);
}

TEST(a_folder_that_is_no_maildir_is_refused)
{
	char path[100];

	ck_assert_int_eq(plugin.init(&config, NULL), 0);
	snprintf(path, sizeof(path), "%s/new", folder);
	ck_assert_int_eq(rmdir(path), 0);
	ck_fails(plugin.init(&config, NULL), ENOENT);
}

TEST(a_browser_sends_no_mail)
{
	struct sks_options options = { .data = &config };
	char *out;

	ck_fails(sks_handle_bytes_with(&plugin.handler, &options, NULL, "POST / HTTP/1.1\r\n" HELLO, 26,
	    &out, NULL), EPROTONOSUPPORT);
	ck_assert_str_eq(out, "220 mx ESMTP\r\n");
	free(out);
}

TEST(a_line_that_is_too_long_is_told)
{
	struct sks_options options = { .data = &config, .max_line = 64 };
	char text[300], *out;

	snprintf(text, sizeof(text), "HELO %0100d\r\nNOOP\r\n", 0);
	ck_assert_int_eq(sks_handle_bytes_with(&plugin.handler, &options, NULL, text, strlen(text),
	    &out, NULL), 0);
	ck_assert_str_eq(out, "220 mx ESMTP\r\n500 5.5.2 too long\r\n250 2.0.0 fine\r\n");
	free(out);
	/* In a mail nobody knows what comes behind it. */
	snprintf(text, sizeof(text), HELLO ENVELOPE "DATA\r\n%0100d\r\n.\r\nNOOP\r\n", 0);
	ck_fails(sks_handle_bytes_with(&plugin.handler, &options, NULL, text, strlen(text), &out,
	    NULL), EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(out, "\r\n500 5.6.0 a line is too long\r\n"));
	ck_assert_ptr_null(strstr(out, "fine"));
	free(out);
}
