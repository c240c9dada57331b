/* SPDX-License-Identifier: MIT */
/*
 * The commands of kv that are about the connection.
 *
 * There are no passwords and no rights. The only user is "default", whose password may be
 * anything.
 */
#include "kv.h"

#include "number.h"

#include <stdio.h>
#include <string.h>

static const char wrong_password[] =
    "-WRONGPASS invalid username-password pair or user is disabled.";

int
kv_ping(struct kv_call *c)
{
	struct resp_arg text;

	if (c->r->nargs == 1)
		return sks_write(c->w, "+PONG\r\n", 7);
	text = resp_arg(c->r, 1);
	return resp_bulk(c->w, text.at, text.len);
}

int
kv_echo(struct kv_call *c)
{
	struct resp_arg text = resp_arg(c->r, 1);

	return resp_bulk(c->w, text.at, text.len);
}

int
kv_quit(struct kv_call *c)
{
	c->quit = 1;
	return resp_line(c->w, "+OK");
}

int
kv_select(struct kv_call *c)
{
	int64_t n;

	if (parse_number(resp_arg(c->r, 1).at, resp_arg(c->r, 1).len, &n) == -1)
		return resp_line(c->w, kv_not_a_number);
	return resp_line(c->w, n == 0 ? "+OK" : "-ERR DB index is out of range");
}

/* RESET forgets what the client has said of itself. */
int
kv_reset(struct kv_call *c)
{
	c->client->resp3 = 0;
	c->client->name[0] = '\0';
	return resp_line(c->w, "+RESET");
}

/* -- the client and its name -- */

static int
is_default_user(struct resp_arg user)
{
	return user.len == 7 && memcmp(user.at, "default", 7) == 0;
}

int
kv_auth(struct kv_call *c)
{
	if (c->r->nargs == 2)
		return resp_line(c->w, "-ERR AUTH <password> called without any password "
				       "configured for the default user. Are you sure your "
				       "configuration is correct?");
	if (c->r->nargs > 3)
		return resp_line(c->w, "-ERR syntax error");
	return resp_line(c->w, is_default_user(resp_arg(c->r, 1)) ? "+OK" : wrong_password);
}

/* Returns NULL when the name is fine, or else the error for the client. */
static const char *
check_name(struct resp_arg name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if (name.at[i] < '!' || name.at[i] > '~')
			return "-ERR Client names cannot contain spaces, newlines or special "
			       "characters.";
	return name.len <= KV_NAME_MOST ? NULL : "-ERR Client names cannot be that long";
}

static void
set_name(struct kv_client *client, struct resp_arg name)
{
	memcpy(client->name, name.at, name.len);
	client->name[name.len] = '\0';
}

static int64_t
client_id(struct kv_call *c)
{
	if (c->client->id == 0)
		c->client->id = atomic_fetch_add(&c->kv->last_id, 1) + 1;
	return c->client->id;
}

/* -- HELLO [VERSION [AUTH USER PASSWORD] [SETNAME NAME]] -- */

struct hello {
	int64_t version; /* 0: the version does not change */
	struct resp_arg name;
	int is_named;
};

static int
refuse_hello(struct kv_call *c, size_t i)
{
	char word[KV_WORD_SHOWN + 1], line[2 * KV_WORD_SHOWN];

	snprintf(line, sizeof(line), "-ERR Syntax error in HELLO option '%s'",
	    kv_show(resp_arg(c->r, i), word, sizeof(word)));
	return resp_line(c->w, line);
}

/*
 * Returns 1 when it understands the words; or else it replies with an error, and returns what that
 * returned.
 */
static int
parse_hello(struct kv_call *c, struct hello *hello)
{
	const struct resp_reader *r = c->r;
	const char *problem = NULL;
	size_t i;

	if (r->nargs > 1 &&
	    parse_number(resp_arg(r, 1).at, resp_arg(r, 1).len, &hello->version) == -1)
		problem = "-ERR Protocol version is not an integer or out of range";
	else if (r->nargs > 1 && (hello->version < 2 || hello->version > 3))
		problem = "-NOPROTO unsupported protocol version";
	for (i = 2; i < r->nargs && problem == NULL; i++) {
		size_t left = r->nargs - 1 - i;

		if (kv_is_word(resp_arg(r, i), "auth") && left >= 2) {
			if (!is_default_user(resp_arg(r, i + 1)))
				problem = wrong_password;
			i += 2;
		} else if (kv_is_word(resp_arg(r, i), "setname") && left >= 1) {
			hello->name = resp_arg(r, ++i);
			hello->is_named = 1;
			problem = check_name(hello->name);
		} else
			return refuse_hello(c, i);
	}
	return problem != NULL ? resp_line(c->w, problem) : 1;
}

int
kv_hello(struct kv_call *c)
{
	struct hello hello = { 0 };
	int rc = parse_hello(c, &hello);

	if (rc != 1)
		return rc;
	if (hello.version != 0)
		c->client->resp3 = hello.version == 3;
	if (hello.is_named)
		set_name(c->client, hello.name);
	if (kv_reply_map(c, 7) == -1 || kv_reply_text(c, "server") == -1 ||
	    kv_reply_text(c, "redis") == -1 || kv_reply_text(c, "version") == -1 ||
	    kv_reply_text(c, KV_REDIS_VERSION) == -1 || kv_reply_text(c, "proto") == -1 ||
	    resp_number(c->w, c->client->resp3 ? 3 : 2) == -1 || kv_reply_text(c, "id") == -1 ||
	    resp_number(c->w, client_id(c)) == -1 || kv_reply_text(c, "mode") == -1 ||
	    kv_reply_text(c, "standalone") == -1 || kv_reply_text(c, "role") == -1 ||
	    kv_reply_text(c, "master") == -1 || kv_reply_text(c, "modules") == -1)
		return -1;
	return resp_array(c->w, 0);
}

/* -- CLIENT -- */

static int
set_client_name(struct kv_call *c)
{
	struct resp_arg name = resp_arg(c->r, 2);
	const char *problem = check_name(name);

	if (problem != NULL)
		return resp_line(c->w, problem);
	set_name(c->client, name);
	return resp_line(c->w, "+OK");
}

int
kv_client(struct kv_call *c)
{
	struct resp_arg what = resp_arg(c->r, 1);
	size_t n = c->r->nargs;

	if (kv_is_word(what, "id"))
		return n == 2 ? resp_number(c->w, client_id(c)) : kv_refuse_arity(c, "client|id");
	if (kv_is_word(what, "getname")) {
		if (n != 2)
			return kv_refuse_arity(c, "client|getname");
		return c->client->name[0] != '\0' ? kv_reply_text(c, c->client->name)
						  : kv_reply_null(c);
	}
	if (kv_is_word(what, "setname"))
		return n == 3 ? set_client_name(c) : kv_refuse_arity(c, "client|setname");
	if (kv_is_word(what, "setinfo")) /* newer clients say it; redis 7.0 does not know it */
		return n == 4 ? resp_line(c->w, "+OK") : kv_refuse_arity(c, "client|setinfo");
	return kv_refuse_subcommand(c, "CLIENT");
}
