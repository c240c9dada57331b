/* SPDX-License-Identifier: MIT */
/*
 * check_kv.c - what the kv handler says to good and bad bytes, in one piece and in many.
 */
#include "harness.h"
#include "kv_talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

/* In one piece, byte by byte, and in steps between. */
static void
expect_replies(const char *in, const char *reply)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, 100000 };
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		kv_open(0, 1 << 20);
		kv_expect_reply(in, steps[i], reply);
		kv_close();
	}
}

#define ARITY(name) "-ERR wrong number of arguments for '" name "' command\r\n"

static const struct {
	const char *in, *out;
} exchanges[] = {
	{ "", "" },
	{ "PING\r\n", "+PONG\r\n" },
	{ "ping\n", "+PONG\r\n" },
	{ "*1\r\n$4\r\nPiNg\r\n", "+PONG\r\n" },
	{ "*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", "$2\r\nhi\r\n" },
	{ "PING a b\r\n", ARITY("ping") },
	{ "ECHO \"a b\"\r\n", "$3\r\na b\r\n" },
	{ "ECHO\r\n", ARITY("echo") },
	{ "GET k\r\nSET k v\r\nGET k\r\n", "$-1\r\n+OK\r\n$1\r\nv\r\n" },
	{ "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
	    "+OK\r\n$0\r\n\r\n" },
	{ "GET\r\n", ARITY("get") },
	{ "SET k\r\n", ARITY("set") },
	{ "SET k v XX\r\nSET k v NX\r\nSET k w nx\r\nSET k w xx\r\nGET k\r\n",
	    "$-1\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\nw\r\n" },
	{ "SET k v NX XX\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX 1 PX 1\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX\r\n", "-ERR syntax error\r\n" },
	{ "SET k v KEEP\r\n", "-ERR syntax error\r\n" },
	{ "SET k v EX one\r\n", "-ERR value is not an integer or out of range\r\n" },
	{ "SET k v EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v PX -5\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v EX 9223372036854775807\r\n", "-ERR invalid expire time in 'set' command\r\n" },
	{ "SET k v PX 100 NX\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n" },
	{ "SET a 1\r\nSET b 2\r\nEXISTS a a c b\r\nDEL a c b\r\nDEL a\r\nEXISTS a\r\n",
	    "+OK\r\n+OK\r\n:3\r\n:2\r\n:0\r\n:0\r\n" },
	{ "DEL\r\n", ARITY("del") },
	{ "EXISTS\r\n", ARITY("exists") },
	{ "INCR n\r\nINCR n\r\nGET n\r\n", ":1\r\n:2\r\n$1\r\n2\r\n" },
	{ "SET n -2\r\nINCR n\r\nINCR n\r\n", "+OK\r\n:-1\r\n:0\r\n" },
	{ "SET n x\r\nINCR n\r\n", "+OK\r\n-ERR value is not an integer or out of range\r\n" },
	{ "SET n 9223372036854775807\r\nINCR n\r\nGET n\r\n",
	    "+OK\r\n-ERR increment or decrement would overflow\r\n"
	    "$19\r\n9223372036854775807\r\n" },
	{ "SET n -9223372036854775808\r\nINCR n\r\n", "+OK\r\n:-9223372036854775807\r\n" },
	{ "KEYS *\r\nSET ab 1\r\nSET cd 2\r\nKEYS a*\r\nKEYS x\r\nDBSIZE\r\n",
	    "*0\r\n+OK\r\n+OK\r\n*1\r\n$2\r\nab\r\n*0\r\n:2\r\n" },
	{ "DBSIZE now\r\n", ARITY("dbsize") },
	{ "QUIT\r\nPING\r\n", "+OK\r\n" },
	{ "SELECT 0\r\nSELECT 1\r\nSELECT x\r\n", "+OK\r\n-ERR DB index is out of range\r\n"
	    "-ERR value is not an integer or out of range\r\n" },
	/* What a client said does not become a reply of its own. */
	{ "*1\r\n$9\r\na\r\n+OK\r\nb\r\n",
	    "-ERR unknown command 'a  +OK  b', with args beginning with: \r\n" },
	{ "*2\r\n$1\r\na\r\n$8\r\n'\r\n+OK\r\n\r\n",
	    "-ERR unknown command 'a', with args beginning with: ''  +OK  ' \r\n" },
	{ "GETS a 'b c' ''\r\n",
	    "-ERR unknown command 'GETS', with args beginning with: 'a' 'b c' '' \r\n" },
	{ "ge k\r\n", "-ERR unknown command 'ge', with args beginning with: 'k' \r\n" },

	/* nothing is asked */
	{ "\r\n\n*0\r\n  \r\nPING\r\n", "+PONG\r\n" },
	{ "*-1\r\nPING\r\n", "+PONG\r\n" },
	{ "*-9223372036854775808\r\n*-5\r\nPING\r\n", "+PONG\r\n" },

	/* words */
	{ "ECHO \"\\x41\\n\\\\\\q\\\"\"\r\n", "$5\r\nA\n\\q\"\r\n" },
	{ "ECHO '\\n\\''\r\n", "$3\r\n\\n'\r\n" },
	{ "ECHO a\"b c\"\r\n", "$4\r\nab c\r\n" },
	{ "ECHO \"\"\r\n", "$0\r\n\r\n" },
	{ "\t ECHO\t x \r\n", "$1\r\nx\r\n" },
	{ "ECHO \"a\r\nPING\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO 'a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO \"a\"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
	{ "ECHO \"a\\\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },

	/* errors end it: what follows is not run */
	{ "*-\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*-0\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*-9223372036854775809\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*-1x\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*01\r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1048577\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1 \r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\rx$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*99999999999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*00000000000000000000000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
	{ "*1\r\n$-1\r\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$1048577\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$18446744073709551620\r\nPING\r\n",
	    "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n$\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
	{ "*1\r\n:4\r\nPING\r\n", "-ERR Protocol error: expected '$', got ':'\r\n" },
	{ "*1\r\n\r\n", "-ERR Protocol error: expected '$', got '?'\r\n" },
	{ "*1\r\n$4\r\nPINGxx", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "*1\r\n$4\r\nPING\rx", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "*1\r\n$3\r\nPING\r\n", "-ERR Protocol error: bulk string without its end\r\n" },
	{ "PING\r\n*-\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n" },

	/* cut off: there is nobody to answer, and nothing is run */
	{ "SET k v", "" },
	{ "*", "" },
	{ "*1", "" },
	{ "*1\r", "" },
	{ "*1\r\n", "" },
	{ "*1\r\n$4\r\nPIN", "" },
	{ "*1\r\n$4\r\nPING\r", "" },
	{ "PING\r\n*2\r\n$4\r\nECHO\r\n", "+PONG\r\n" },
};

TEST(answers_as_redis_does, EACH_OF(exchanges))
{
	expect_replies(exchanges[_i].in, exchanges[_i].out);
}

TEST(keys_and_values_hold_any_byte)
{
	static const char in[] = "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$4\r\n\r\n\0\n\r\n"
	    "*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n*2\r\n$3\r\nGET\r\n$3\r\na\0c\r\n";
	static const char reply[] = "+OK\r\n$4\r\n\r\n\0\n\r\n$-1\r\n";
	size_t step, len;
	int rc;

	for (step = 1; step < sizeof(in); step += 5) {
		char *out;

		kv_open(0, 1 << 20);
		out = kv_say_bytes(in, sizeof(in) - 1, step, &len, &rc);
		ck_assert_uint_eq(len, sizeof(reply) - 1);
		ck_assert_mem_eq(out, reply, len);
		free(out);
		kv_close();
	}
}

static const char *const http[] = {
	"POST / HTTP/1.1\r\nHost: localhost:6379\r\nContent-Length: 18\r\n\r\nSET planted yes\r\n",
	"pUt /SET HTTP/1.0\nSET planted yes\r\n",
	"x-of-the-page http://localhost:6379/ HTTP/1.1\r\n\r\nSET planted yes\r\n",
	"PRI * HTTP/2.0\r\n\r\nSET planted yes\r\n",
	"GET /\r\nHost: localhost\r\nSET planted yes\r\n",
	"\r\nCONNECT localhost:6379 HTTP/1.1\r\nSET planted yes\r\n",
};

TEST(nothing_behind_a_line_of_http_is_run, EACH_OF(http))
{
	static const size_t steps[] = { 1, 7, 100000 };
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char *out;
		int rc;

		kv_open(0, 1 << 20);
		out = kv_say(http[_i], steps[i], &rc);
		ck_assert_int_eq(rc, -1);
		ck_assert_int_eq(errno, EPROTONOSUPPORT);
		/* A page is told nothing beyond what came before it gave itself away. */
		ck_assert_str_eq(out, strncmp(http[_i], "GET", 3) == 0 ? "$-1\r\n" : "");
		free(out);
		ck_assert_uint_eq(kv_stats_of(kv->store).keys, 0);
		kv_expect_reply("SET k 'a b HTTP/1.1'\r\n*3\r\n$3\r\nSET\r\n$2\r\n/k\r\n$8\r\nHTTP/1.1\r\n",
		    steps[i], "+OK\r\n+OK\r\n");
		kv_close();
	}
}

/* Around the sizes where the rfile's buffer ends, and beyond. */
TEST(large_values_come_in_and_out)
{
	static const size_t sizes[] = { 250, 4096, 16384, 65000, 65510, 65536, 65537, 300000,
		1 << 20 };
	size_t i, s, n, len;
	int rc;

	kv_open(8 << 20, 1 << 20);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (s = 100; s <= 100000; s *= 10) {
			char *in = kv_make_command("ECHO", 1, sizes[i], &n);
			char *out = kv_say_bytes(in, n, s, &len, &rc);

			ck_assert_int_ne(rc, -1);
			ck_assert_uint_eq(len, n - 14);
			ck_assert_mem_eq(out, in + 14, len);
			free(in);
			free(out);
		}
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000); /* all was given back */
	kv_close();
}

TEST(many_arguments_are_taken)
{
	static const size_t counts[] = { 15, 16, 17, 1000, 10000, 100000 };
	size_t i, n, len;
	int rc;

	kv_open(8 << 20, 1 << 20);
	kv_expect_reply("SET a x\r\n", 100, "+OK\r\n");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		char *in = kv_make_command("EXISTS", counts[i], 1, &n);
		char *out = kv_say_bytes(in, n, 1000, &len, &rc);
		char reply[32];

		snprintf(reply, sizeof(reply), ":%zu\r\n", (counts[i] + 25) / 26);
		ck_assert_str_eq(out, reply);
		free(in);
		free(out);
	}
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000);
	kv_close();
}

TEST(what_is_too_large_is_refused)
{
	size_t n, len;
	char *in, *out;
	int rc;

	kv_open(8 << 20, 1 << 20);
	/* a line */
	in = malloc(70000);
	memset(in, 'a', 70000);
	out = kv_say_bytes(in, 70000, 10000, &len, &rc);
	ck_assert_str_eq(out, "-ERR Protocol error: too big inline request\r\n");
	free(out);
	free(in);
	/* a command, of arguments that are each fine */
	in = kv_make_command("DEL", 200000, 1, &n);
	out = kv_say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR Protocol error: command is too large\r\n");
	free(out);
	free(in);
	/* a key, a pattern: these end nothing */
	in = kv_make_command("INCR", 1, 65, &n);
	out = kv_say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR key is too long\r\n");
	free(out);
	free(in);
	in = kv_make_command("KEYS", 1, 1025, &n);
	out = kv_say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, "-ERR pattern is too long\r\n");
	free(out);
	free(in);
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000);
	kv_close();
}

static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

TEST(no_command_grows_beyond_the_bound)
{
	size_t n, len;
	char *in, *out;
	int rc;

	kv_open(300000, 1 << 20);
	/* One that is gathered, and its value: refused before they are held. */
	in = kv_make_command("ECHO", 1, 1 << 20, &n);
	out = kv_say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, oom);
	ck_assert_int_eq(rc, SKS_DONE);
	free(out);
	free(in);
	in = kv_make_command("EXISTS", 100000, 1, &n);
	out = kv_say_bytes(in, n, 100000, &len, &rc);
	ck_assert_str_eq(out, oom);
	free(out);
	free(in);
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000);
	/* One that was read well, and the connection goes on. */
	kv_fill(kv->store, 0);
	kv_expect_reply("SET k 12345678901234567890\r\nINCR j\r\nPING\r\n", 100,
	    "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	    "-OOM command not allowed when used memory > 'maxmemory'.\r\n+PONG\r\n");
	out = kv_say("KEYS *\r\n", 100, &rc);
	ck_assert_str_eq(out, oom);
	free(out);
	kv_close();
}

/* A name is read to its end, whatever stands behind a NUL in it. */
TEST(a_name_with_a_nul_is_no_command)
{
	static const size_t sizes[] = { 4, 5, 6, 7, 8, 9, 12, 16, 100, 1000, 1 << 20 };
	size_t i, n, len;
	char *in, *out;
	int rc;

	kv_open(8 << 20, 1 << 20);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in = calloc(1, sizes[i] + 64);
		n = (size_t)sprintf(in, "*1\r\n$%zu\r\nPING", sizes[i]) + sizes[i] - 4;
		memcpy(in + n, "\r\n", 2);
		out = kv_say_bytes(in, n + 2, 100000, &len, &rc);
		if (sizes[i] > 4)
			ck_assert_str_eq(out,
			    "-ERR unknown command 'PING', with args beginning with: \r\n");
		else
			ck_assert_str_eq(out, "+PONG\r\n");
		free(in);
		free(out);
	}
	kv_close();
}

/* A length is only a claim: nothing is held for it before its bytes are there. */
TEST(announced_bytes_take_no_memory)
{
	static const char claim[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\nxxx";
	char *out;
	int rc;

	kv_open(70000, 1 << 30); /* not one byte more than what is asked for first */
	out = kv_say(claim, 10, &rc);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(rc, SKS_KEEP); /* the end, in the middle of a command */
	free(out);
	out = kv_say("*1048576\r\n$1\r\na\r\n", 10, &rc);
	ck_assert_str_eq(out, "");
	free(out);
	ck_assert_uint_le(kv_stats_of(kv->store).used_memory, 1000);
	kv_close();
}

TEST(info_tells_what_is_there)
{
	char *out;
	int rc;

	kv_open(1 << 20, 1 << 20);
	out = kv_say("SET a 1\r\nSET b 2 EX 10\r\nINFO\r\n", 100, &rc);
	ck_assert_ptr_nonnull(strstr(out, "\r\nmaxmemory:1048576\r\n"));
	ck_assert_ptr_nonnull(strstr(out, "\r\ndb0:keys=2,expires=1,avg_ttl=0\r\n"));
	free(out);
	kv_now += 10000;
	kv_expect_reply("GET b\r\nDBSIZE\r\n", 100, "$-1\r\n:1\r\n");
	kv_close();
}

TEST(says_what_it_can_not_do)
{
	ck_assert_int_eq(sks_plugin_descriptor.refuses, SKS_REFUSES(SKS_PROCESSES));
	ck_assert_ptr_nonnull(sks_plugin_descriptor.refuses_why);
	ck_assert_int_eq(sks_plugin_descriptor.serves, SKS_STREAMS);
}
