/* SPDX-License-Identifier: MIT */
/*
 * check_kv_ask.c - what clients ask kv before they begin, answered as redis-server 7.0.15
 * answers it: HELLO, AUTH, CLIENT, COMMAND, CONFIG, INFO.
 */
#include "harness.h"
#include "kv_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARITY(name) "-ERR wrong number of arguments for '" name "' command\r\n"
#define BAD_NAME "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

/* The answer to HELLO: its head, and the version of the protocol. */
#define HELLO(head, version) \
	head "\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:" version \
	     "\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n" \
	     "$7\r\nmodules\r\n*0\r\n"
#define HELLO2 HELLO("*14", "2")
#define HELLO3 HELLO("%7", "3")

#define GET_INFO(array, set) \
	array "$3\r\nget\r\n:2\r\n" set "2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n" set "0\r\n" \
	      set "0\r\n" set "0\r\n" set "0\r\n"

static const struct {
	const char *in, *out;
} exchanges[] = {
	{ "HELLO\r\n", HELLO2 },
	{ "HELLO 2\r\n", HELLO2 },
	{ "HELLO 3\r\nPING\r\n", HELLO3 "+PONG\r\n" },
	{ "HELLO 3\r\nHELLO\r\nHELLO 2\r\nGET k\r\n", HELLO3 HELLO3 HELLO2 "$-1\r\n" },
	{ "HELLO 1\r\nHELLO 4\r\nHELLO x\r\nHELLO SETNAME me\r\nGET k\r\n",
	    "-NOPROTO unsupported protocol version\r\n-NOPROTO unsupported protocol version\r\n"
	    "-ERR Protocol version is not an integer or out of range\r\n"
	    "-ERR Protocol version is not an integer or out of range\r\n$-1\r\n" },
	{ "HELLO 3 SETNAME me AUTH default x\r\nCLIENT GETNAME\r\n", HELLO3 "$2\r\nme\r\n" },
	{ "HELLO 3 SETNAME 'm e'\r\nCLIENT GETNAME\r\n", BAD_NAME "$-1\r\n" },
	{ "HELLO 3 AUTH me x\r\nGET k\r\n", WRONGPASS "$-1\r\n" },
	{ "HELLO 2 SETNAME\r\n", "-ERR Syntax error in HELLO option 'SETNAME'\r\n" },
	{ "HELLO 2 AUTH default\r\n", "-ERR Syntax error in HELLO option 'AUTH'\r\n" },
	{ "HELLO 2 FOO\r\n", "-ERR Syntax error in HELLO option 'FOO'\r\n" },
	{ "HELLO 3\r\nRESET\r\nGET k\r\nRESET now\r\n", HELLO3 "+RESET\r\n$-1\r\n" ARITY("reset") },

	/* version 3 has forms of its own */
	{ "HELLO 3\r\nGET k\r\nSET k v XX\r\nKEYS k\r\nEXISTS k\r\n", HELLO3 "_\r\n_\r\n*0\r\n:0\r\n" },
	{ "HELLO 3\r\nCONFIG GET save\r\nCONFIG GET x\r\n",
	    HELLO3 "%1\r\n$4\r\nsave\r\n$0\r\n\r\n%0\r\n" },
	{ "HELLO 3\r\nSET k v\r\nINFO keyspace\r\nINFO x\r\n",
	    HELLO3 "+OK\r\n=48\r\ntxt:# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n\r\n=4\r\ntxt:\r\n" },
	{ "HELLO 3\r\nCOMMAND INFO get x\r\nCOMMAND DOCS\r\n",
	    HELLO3 GET_INFO("*2\r\n*10\r\n", "~") "_\r\n%0\r\n" },

	{ "AUTH x\r\n",
	    "-ERR AUTH <password> called without any password configured for the default user. "
	    "Are you sure your configuration is correct?\r\n" },
	{ "AUTH default x\r\nAUTH me x\r\nAUTH a b c\r\nAUTH\r\n",
	    "+OK\r\n" WRONGPASS "-ERR syntax error\r\n" ARITY("auth") },

	{ "CLIENT ID\r\nCLIENT ID\r\nCLIENT ID x\r\n", ":1\r\n:1\r\n" ARITY("client|id") },
	{ "CLIENT GETNAME\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\nCLIENT GETNAME x\r\n",
	    "$-1\r\n+OK\r\n$2\r\nme\r\n" ARITY("client|getname") },
	{ "CLIENT SETNAME 'a b'\r\nCLIENT SETNAME \"a\\x80\"\r\nCLIENT SETNAME\r\n",
	    BAD_NAME BAD_NAME ARITY("client|setname") },
	{ "CLIENT SETNAME me\r\nCLIENT SETNAME ''\r\nCLIENT GETNAME\r\n", "+OK\r\n+OK\r\n$-1\r\n" },
	{ "CLIENT SETINFO lib-name x\r\nCLIENT KILL me\r\nCLIENT\r\n",
	    "+OK\r\n-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n" ARITY("client") },

	{ "COMMAND COUNT\r\nCOMMAND COUNT x\r\n", ":18\r\n" ARITY("command|count") },
	{ "COMMAND INFO get x\r\n", GET_INFO("*2\r\n*10\r\n", "*") "$-1\r\n" },
	{ "COMMAND DOCS\r\nCOMMAND DOCS get\r\nCOMMAND FOO\r\nCOMMAND LIST x\r\n",
	    "*0\r\n*0\r\n-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n-ERR syntax error\r\n" },

	{ "CONFIG GET save\r\nCONFIG GET x\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n*0\r\n" },
	{ "CONFIG GET save appendonly\r\n",
	    "*4\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$4\r\nsave\r\n$0\r\n\r\n" },
	{ "CONFIG GET MAXMEM*\r\n", "*4\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n"
				    "$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n" },
	{ "CONFIG GET maxmemory max?emory [m]axmemory\r\n",
	    "*2\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n" },
	{ "CONFIG\r\nCONFIG GET\r\nCONFIG SET a\r\n", ARITY("config") ARITY("config|get") ARITY("config|set") },
	{ "CONFIG SET a b\r\n", "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n" },
	{ "CONFIG SET maxmemory 1\r\nCONFIG FOO\r\n",
	    "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - can't set immutable "
	    "config\r\n-ERR unknown subcommand 'FOO'. Try CONFIG HELP.\r\n" },

	{ "INFO keyspace\r\nINFO x\r\n", "$12\r\n# Keyspace\r\n\r\n$0\r\n\r\n" },
	{ "SET k v EX 9\r\nINFO KEYSPACE keyspace\r\n",
	    "+OK\r\n$44\r\n# Keyspace\r\ndb0:keys=1,expires=1,avg_ttl=0\r\n\r\n" },
	{ "INFO stats Replication\r\n",
	    "$55\r\n# Stats\r\nexpired_keys:0\r\n\r\n# Replication\r\nrole:master\r\n\r\n" },

	{ "SELECT 0\r\nSELECT -1\r\nSELECT x\r\nQUIT now\r\n",
	    "+OK\r\n-ERR DB index is out of range\r\n"
	    "-ERR value is not an integer or out of range\r\n+OK\r\n" },
};

FIXTURE(no_leaks_setup, no_leaks_teardown);

TEST(answers_as_redis_does, EACH_OF(exchanges))
{
	kv_open(1 << 20, 1 << 20);
	kv_expect_reply(exchanges[_i].in, 1000, exchanges[_i].out);
	kv_close();
}

/* How often something stands in the answer to a command. */
static int
count_in_answer(const char *in, const char *what)
{
	const char *at;
	int n = 0, rc;
	char *out = kv_say(in, 1000, &rc);

	for (at = out; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	free(out);
	return n;
}

TEST(tells_of_each_command)
{
	kv_open(1 << 20, 1 << 20);
	ck_assert_int_eq(count_in_answer("COMMAND LIST\r\n", "$"), 18);
	ck_assert_int_eq(count_in_answer("COMMAND\r\n", "*10\r\n"), 18);
	ck_assert_int_eq(count_in_answer("COMMAND INFO\r\n", "*10\r\n"), 18);
	kv_close();
}

TEST(info_has_each_section_or_those_that_are_asked_for)
{
	static const char *const all[] = { "INFO\r\n", "info all\r\n", "INFO Default\r\n",
		"INFO everything server\r\n" };
	size_t i;

	kv_open(1 << 20, 1 << 20);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_int_eq(count_in_answer(all[i], "# "), 5);
	ck_assert_int_eq(count_in_answer("INFO server memory x\r\n", "# "), 2);
	ck_assert_int_eq(count_in_answer("INFO\r\n", "\r\nredis_version:7.0.15\r\n"), 1);
	kv_close();
}

/* A name that is as long as it may be, and one that is too long. */
TEST(a_name_is_bounded)
{
	char in[200], name[KV_NAME_MOST + 2];

	memset(name, 'x', sizeof(name));
	kv_open(1 << 20, 1 << 20);
	snprintf(in, sizeof(in), "CLIENT SETNAME %.*s\r\n", KV_NAME_MOST, name);
	kv_expect_reply(in, 1000, "+OK\r\n");
	snprintf(in, sizeof(in), "CLIENT SETNAME %.*s\r\n", KV_NAME_MOST + 1, name);
	kv_expect_reply(in, 1000, "-ERR Client names cannot be that long\r\n");
	kv_close();
}
