/* SPDX-License-Identifier: MIT */
/*
 * users: who is connected. A finger service (RFC 1288) whose users are its own
 * connections.
 *
 * An empty line gets one line for each connection, and the end, as finger(1)
 * expects. "name NAME" names a connection, which stays from then on and may ask
 * as often as it likes; any other line asks for the connections of that name. A
 * datagram gets the list too, as much as fits a packet.
 *
 * A model for handlers that know their connections:
 * - setup puts each one on a list, finish takes it off, under one sks_mutex;
 * - the list is made into text under the lock, and sent without it: a client
 *   that does not read its answer must not keep others from coming and going;
 * - who came and said nothing yet is parked at once by SKS_KEEP. With
 *   client_first it would be parked as well, but not be on the list.
 */
#include "sender.h"

#include <ctype.h>
#include <errno.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define NAME_MAX_LEN 31
#define PACKET 1400 /* bytes of a datagram's answer, so that it travels in one piece */

/* A connection, in req->state. */
struct user {
	struct user *next, *prev;
	char peer[128];
	char name[NAME_MAX_LEN + 1]; /* "": none */
	time_t since;
	unsigned long asked; /* lines */
	int parked;          /* it was, when it came */
};

/* All of them, in the order in which they came: req->data. */
struct users {
	struct sks_mutex *lock;
	struct user *first, *last;
};

/* An answer that is being made. */
struct text {
	char *bytes;
	size_t len, room;
};

/* -- the answer -- */

static int
add_line(struct text *text, const char *line)
{
	size_t n = strlen(line);

	if (text->len + n + 1 > text->room) {
		size_t room = 2 * text->room + n + 1;
		char *bytes = realloc(text->bytes, room);

		if (bytes == NULL)
			return -1;
		text->bytes = bytes;
		text->room = room;
	}
	memcpy(text->bytes + text->len, line, n + 1);
	text->len += n;
	return 0;
}

static int
add_user(struct text *text, const struct user *u)
{
	char line[256], since[32];
	struct tm tm;

	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&u->since, &tm));
	snprintf(line, sizeof(line), "%-21s  since %s  asked %lu%s%s\r\n", u->peer, since, u->asked,
	    u->name[0] != '\0' ? "  " : "", u->name);
	return add_line(text, line);
}

/* All, or those of a name; of more than max bytes it says how many are missing. 0 or -1. */
static int
add_users(struct text *text, const struct users *users, const char *name, size_t max)
{
	const struct user *u;
	size_t missing = 0;
	char line[64];

	for (u = users->first; u != NULL; u = u->next) {
		size_t before = text->len;

		if (name != NULL && strcmp(name, u->name) != 0)
			continue;
		if (missing > 0) {
			missing++;
			continue;
		}
		if (add_user(text, u) == -1)
			return -1;
		if (text->len + sizeof(line) > max) {
			text->len = before;
			missing = 1;
		}
	}
	if (missing > 0) {
		snprintf(line, sizeof(line), "and %zu more\r\n", missing);
		return add_line(text, line);
	}
	return text->len > 0 ? 0 : add_line(text, "nobody\r\n");
}

/* Sends it without the lock. 0 or -1. */
static int
tell(struct sks_request *req, const char *name, size_t max)
{
	struct users *users = req->data;
	struct text text = { 0 };
	int rc, error;

	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	rc = add_users(&text, users, name, max);
	error = errno;
	sks_mutex_unlock(users->lock);
	errno = error;
	if (rc == 0)
		rc = sks_write(req->wfile, text.bytes, text.len);
	error = errno;
	free(text.bytes);
	errno = error;
	return rc;
}

/* -- lines -- */

static int
is_name(const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("-_.", name[i]) == NULL)
			return 0;
	return n > 0 && n <= NAME_MAX_LEN;
}

static int
take_name(struct sks_request *req, const char *name)
{
	struct users *users = req->data;
	struct user *me = req->state;

	if (!is_name(name)) {
		sks_printf(req->wfile, "a name is 1 to %d letters, digits, - _ .\r\n",
		    NAME_MAX_LEN);
		return SKS_KEEP;
	}
	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	snprintf(me->name, sizeof(me->name), "%s", name);
	sks_mutex_unlock(users->lock);
	return sks_printf(req->wfile, "you are %s\r\n", name) == 0 ? SKS_KEEP : -1;
}

static int
count_line(struct users *users, struct user *me)
{
	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	me->asked++;
	return sks_mutex_unlock(users->lock);
}

/* What finger(1) may say before a name: /W, for longer answers, which there are none of. */
static char *
skip_switch(char *line)
{
	if (strncasecmp(line, "/W", 2) == 0 && (line[2] == ' ' || line[2] == '\0'))
		line += 2;
	return line + strspn(line, " ");
}

static int
answer(struct sks_request *req, char *line)
{
	const struct user *me = req->state;
	int rc;

	line = skip_switch(line);
	if (strncmp(line, "name ", 5) == 0)
		return take_name(req, line + 5 + strspn(line + 5, " "));
	if (strchr(line, '@') != NULL)
		rc = sks_puts(req->wfile, "finger forwarding service denied\r\n");
	else if (line[0] != '\0' && !is_name(line))
		rc = sks_puts(req->wfile, "no such name\r\n");
	else
		rc = tell(req, line[0] != '\0' ? line : NULL, SIZE_MAX);
	if (rc == -1)
		return -1;
	return me->name[0] != '\0' ? SKS_KEEP : SKS_DONE;
}

/* -- the handler -- */

/* A client may choose the path of its socket, and others are shown it. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static int
come(struct sks_request *req)
{
	struct users *users = req->data;
	struct user *me = req->state;

	if (sks_is_datagram(req))
		return 0; /* here and gone */
	sks_peer(req, me->peer, sizeof(me->peer));
	make_printable(me->peer);
	me->since = time(NULL);
	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	me->prev = users->last;
	*(me->prev != NULL ? &me->prev->next : &users->first) = me;
	users->last = me;
	return sks_mutex_unlock(users->lock);
}

static int
serve(struct sks_request *req)
{
	struct user *me = req->state;
	char *line;

	if (is_from_a_service(req))
		return SKS_DONE;
	if (sks_is_datagram(req))
		return tell(req, NULL, PACKET);
	if (!me->parked) {
		me->parked = 1;
		return SKS_KEEP;
	}
	line = sks_gets(req->rfile);
	if (line == NULL)
		return sks_end(req->rfile);
	if (sks_is_http(line, strlen(line))) { /* its names would be a web page's */
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (count_line(req->data, me) == -1)
		return -1;
	return answer(req, line);
}

/* It may not give up: the list would keep a connection that is gone. */
static void
leave(struct sks_request *req)
{
	struct users *users = req->data;
	struct user *me = req->state;

	if (sks_is_datagram(req))
		return;
	while (sks_mutex_lock(users->lock) == -1)
		sks_yield();
	*(me->prev != NULL ? &me->prev->next : &users->first) = me->next;
	*(me->next != NULL ? &me->next->prev : &users->last) = me->prev;
	sks_mutex_unlock(users->lock);
}

/* -- the plugin -- */

static int
init(const void *config, void **data)
{
	struct users *users = calloc(1, sizeof(*users));

	(void)config;
	if (users == NULL)
		return -1;
	users->lock = sks_mutex_new();
	if (users->lock == NULL) {
		free(users);
		return -1;
	}
	*data = users;
	return 0;
}

static void
end(void *data)
{
	struct users *users = data;

	sks_mutex_free(users->lock);
	free(users);
}

SKS_PLUGIN(
    .name = "users",
    .summary = "tells who is connected, by the finger protocol (RFC 1288)",
    .handler = { .setup = come, .handle = serve, .finish = leave,
	.state_size = sizeof(struct user) },
    .init = init, .exit = end,
    .refuses = SKS_REFUSES(SKS_PROCESSES),
    .refuses_why = "each process would know its own client alone",
    .port = 7979);
