/* SPDX-License-Identifier: MIT */
/*
 * users: a finger service (RFC 1288), which answers with a list of the clients that are
 * connected to it.
 *
 * An empty line gets one line for each connection, and the end, as finger(1) expects.
 * "name NAME" gives the connection a name; then it stays open and may ask as often as it
 * likes. Any other line asks for the connections of that name. A datagram gets the list,
 * too, but no more bytes than it has: its sender may be forged.
 *
 * It is a model for handlers that know their connections:
 * - setup lets each connection join a group, which it leaves by itself.
 * - The group becomes text a few connections at a time, and the text is sent between two
 *   parts. So neither a client that does not read nor a long list keeps others from coming
 *   and going.
 * - What a client changes, its name, is changed and read under one sks_mutex.
 * - setup returns SKS_KEEP, so that a connection that has said nothing yet is parked. With
 *   client_first it would be parked as well, but it would not be in the group.
 */
#include "datagram.h"

#include <ctype.h>
#include <errno.h>
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define NAME_MAX_LEN 31
#define PACKET 1400    /* bytes of a datagram's answer, which fit one packet */
#define LINE_MOST 256
#define REST_MOST 40  /* "and 12 more" */
#define SOME 32        /* connections that are read before the lock is released */

/* A connection, in req->state. */
struct user {
	char peer[128]; /* a client chooses the path of its socket: sks_peer() makes it printable */
	char name[NAME_MAX_LEN + 1]; /* "": none */
	time_t since;
	unsigned long asked; /* lines that it has sent */
};

/* The state that all connections share: req->data. */
struct users {
	struct sks_mutex *lock; /* of the names, and of what else a client changes */
	struct sks_group *group;
};

/* -- the answer -- */

/* A part of the answer. */
struct part {
	const char *name; /* only connections of that name are listed; NULL: all */
	int looks;        /* connections that it has looked at */
	size_t len;
	char bytes[SOME * LINE_MOST];
};

static size_t
format_user(char line[LINE_MOST], const struct user *u)
{
	char since[32];
	struct tm tm;

	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&u->since, &tm));
	return (size_t)snprintf(line, LINE_MOST, "%-21s  since %s  asked %lu%s%s\r\n", u->peer,
	    since, u->asked, u->name[0] != '\0' ? "  " : "", u->name);
}

static int
add_user(struct sks_request *member, void *arg)
{
	const struct user *u = member->state;
	struct part *part = arg;

	if (part->name == NULL || strcmp(part->name, u->name) == 0)
		part->len += format_user(part->bytes + part->len, u);
	return ++part->looks == SOME;
}

/* Sends the next part of the answer. 1: there is more; 0: that was the end; or -1. */
static int
send_some(struct sks_request *req, uint64_t *position, const char *name, int *found)
{
	struct users *users = req->data;
	struct part part;
	int more;

	part.name = name;
	part.looks = 0;
	part.len = 0;
	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	more = sks_group_each(users->group, position, add_user, &part);
	sks_mutex_unlock(users->lock);
	if (part.len > 0)
		*found = 1;
	if (sks_write(req->wfile, part.bytes, part.len) == -1)
		return -1;
	return more == 1 && sks_sleep(0) == -1 ? -1 : more;
}

/* Sends the whole answer: all connections, or those of a name. 0 or -1. */
static int
tell(struct sks_request *req, const char *name)
{
	uint64_t position = 0;
	int found = 0, rc;

	do
		rc = send_some(req, &position, name, &found);
	while (rc == 1);
	return rc == 0 && !found ? sks_puts(req->wfile, "nobody\r\n") : rc;
}

/* -- a datagram's answer, of at most max bytes -- */

struct packet {
	size_t max, len;
	size_t users, listed; /* connections that there are, and those in the packet */
	char bytes[PACKET];
};

/* Adds a connection, if it fits together with the line that says how many more there are. */
static int
pack_user(struct sks_request *member, void *arg)
{
	struct packet *packet = arg;
	char line[LINE_MOST];
	size_t n = format_user(line, member->state);

	if (packet->len + n + (packet->listed + 1 < packet->users ? REST_MOST : 0) > packet->max)
		return 1;
	memcpy(packet->bytes + packet->len, line, n);
	packet->len += n;
	return ++packet->listed == SOME;
}

/* Adds the last line; where not even that fits there is no answer. */
static void
end_packet(struct packet *packet)
{
	char line[LINE_MOST];
	size_t n = 0;

	if (packet->users == 0)
		n = (size_t)snprintf(line, sizeof(line), "nobody\r\n");
	else if (packet->listed < packet->users)
		n = (size_t)snprintf(line, sizeof(line), "and %zu more\r\n",
		    packet->users - packet->listed);
	if (packet->len + n > packet->max) {
		packet->len = 0;
		return;
	}
	memcpy(packet->bytes + packet->len, line, n);
	packet->len += n;
}

static int
answer_datagram(struct sks_request *req)
{
	struct users *users = req->data;
	struct packet packet;
	char *bytes;
	ssize_t came = sks_peek(req->rfile, 0, &bytes);

	if (came == -1 || sks_mutex_lock(users->lock) == -1)
		return -1;
	packet.max = (size_t)came < PACKET ? (size_t)came : PACKET;
	packet.len = packet.listed = 0;
	packet.users = sks_group_count(users->group);
	(void)sks_group_each(users->group, NULL, pack_user, &packet);
	sks_mutex_unlock(users->lock);
	end_packet(&packet);
	return sks_write(req->wfile, packet.bytes, packet.len);
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

/* Skips the /W that finger(1) may send for a longer answer; all answers have one length here. */
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
		rc = tell(req, line[0] != '\0' ? line : NULL);
	if (rc == -1)
		return -1;
	return me->name[0] != '\0' ? SKS_KEEP : SKS_DONE;
}

/* -- the handler -- */

static int
come(struct sks_request *req)
{
	struct users *users = req->data;
	struct user *me = req->state;

	if (sks_is_datagram(req))
		return 0; /* a datagram is no connection */
	sks_peer(req, me->peer, sizeof(me->peer));
	me->since = time(NULL);
	return sks_group_join(users->group, req) == 0 ? SKS_KEEP : -1;
}

static int
serve(struct sks_request *req)
{
	char *line;

	if (!admit(req))
		return SKS_DONE;
	if (sks_is_datagram(req))
		return answer_datagram(req);
	line = sks_gets(req->rfile);
	if (line == NULL)
		return sks_end(req->rfile);
	if (sks_is_http(line, strlen(line))) { /* a web page would choose the name */
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (count_line(req->data, req->state) == -1)
		return -1;
	return answer(req, line);
}

/* -- the plugin -- */

static void
end(void *data)
{
	struct users *users = data;

	sks_mutex_free(users->lock);
	sks_group_free(users->group);
	free(users);
}

static int
init(const void *config, void **data)
{
	struct users *users = calloc(1, sizeof(*users));

	(void)config;
	if (users == NULL)
		return -1;
	users->lock = sks_mutex_new();
	users->group = sks_group_new();
	if (users->lock == NULL || users->group == NULL) {
		end(users);
		errno = ENOMEM;
		return -1;
	}
	*data = users;
	return 0;
}

SKS_PLUGIN(
    .name = "users",
    .summary = "tells who is connected, by the finger protocol (RFC 1288)",
    .handler = { .setup = come, .handle = serve, .state_size = sizeof(struct user) },
    .init = init, .exit = end,
    .refuses = SKS_REFUSES(SKS_PROCESSES),
    .refuses_why = "each process would know its own client alone",
    .port = PORT_USERS);
