/* SPDX-License-Identifier: MIT */
/*
 * users: a finger service (RFC 1288) that tells who is connected to it.
 *
 * An empty line gets one line for each connection, and the end, as finger(1) expects.
 * "name NAME" gives the connection a name; then it stays open and may ask as often as it
 * likes. Any other line asks for the connections of that name. A datagram gets the list,
 * too, but no more bytes than it has: its sender may be forged.
 *
 * It is a model for handlers that know their connections:
 * - setup puts each connection on a list and finish takes it off, under one sks_mutex.
 * - The list becomes text under the lock, a few connections at a time, and the text is
 *   sent without the lock. So neither a client that does not read nor a long list keeps
 *   others from coming and going. A mark on the list keeps the place meanwhile.
 * - setup returns SKS_KEEP, so that a connection that has said nothing yet is parked. With
 *   client_first it would be parked as well, but it would not be on the list.
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
#define SOME 32        /* entries of the list that are read before the lock is released */

/* A connection, in req->state; or a mark on the list, which is no connection. */
struct user {
	struct user *next, *prev;
	int is_mark;
	char peer[128]; /* a client chooses the path of its socket: sks_peer() makes it printable */
	char name[NAME_MAX_LEN + 1]; /* "": none */
	time_t since;
	unsigned long asked; /* lines that it has sent */
};

/* All of them, in the order in which they came: req->data. */
struct users {
	struct sks_mutex *lock;
	struct user *first, *last;
	size_t n; /* connections */
};

/* A part of an answer. */
struct text {
	char bytes[SOME * LINE_MOST];
	size_t len;
};

/* -- the list, under the lock -- */

/* Inserts u behind `at`; NULL: at the begin. */
static void
put_behind(struct users *users, struct user *at, struct user *u)
{
	u->prev = at;
	u->next = at != NULL ? at->next : users->first;
	*(u->prev != NULL ? &u->prev->next : &users->first) = u;
	*(u->next != NULL ? &u->next->prev : &users->last) = u;
}

static void
take_off(struct users *users, struct user *u)
{
	*(u->prev != NULL ? &u->prev->next : &users->first) = u->next;
	*(u->next != NULL ? &u->next->prev : &users->last) = u->prev;
}

/* Locks, also when this task is cancelled: the list must not keep what is gone. */
static void
surely_lock(struct users *users)
{
	while (sks_mutex_lock(users->lock) == -1)
		sks_yield();
}

/* -- the answer -- */

static size_t
format_user(char line[LINE_MOST], const struct user *u)
{
	char since[32];
	struct tm tm;

	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&u->since, &tm));
	return (size_t)snprintf(line, LINE_MOST, "%-21s  since %s  asked %lu%s%s\r\n", u->peer,
	    since, u->asked, u->name[0] != '\0' ? "  " : "", u->name);
}

/*
 * Adds the next few connections behind the mark, and moves it. name may be NULL: all. 0:
 * that was the end.
 */
static int
add_some(struct users *users, struct user *mark, const char *name, struct text *text)
{
	struct user *u = mark->next;
	int looks;

	for (looks = 0; looks < SOME && u != NULL; looks++, u = u->next)
		if (!u->is_mark && (name == NULL || strcmp(name, u->name) == 0))
			text->len += format_user(text->bytes + text->len, u);
	if (u == NULL)
		return 0;
	take_off(users, mark);
	put_behind(users, u->prev, mark);
	return 1;
}

/* Sends the next part of the answer. 1: there is more; 0: that was the end; or -1. */
static int
tell_some(struct sks_request *req, struct user *mark, const char *name, int *told)
{
	struct users *users = req->data;
	struct text text = { .len = 0 };
	int more;

	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	more = add_some(users, mark, name, &text);
	sks_mutex_unlock(users->lock);
	if (text.len > 0)
		*told = 1;
	if (sks_write(req->wfile, text.bytes, text.len) == -1)
		return -1;
	return more ? (sks_sleep(0) == -1 ? -1 : 1) : 0;
}

/* Sends the whole answer: all connections, or those of a name. 0 or -1. */
static int
tell(struct sks_request *req, const char *name)
{
	struct users *users = req->data;
	struct user mark = { .is_mark = 1 };
	int told = 0, rc, error;

	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	put_behind(users, NULL, &mark);
	sks_mutex_unlock(users->lock);
	do
		rc = tell_some(req, &mark, name, &told);
	while (rc == 1);
	error = errno;
	surely_lock(users);
	take_off(users, &mark);
	sks_mutex_unlock(users->lock);
	errno = error;
	return rc == 0 && !told ? sks_puts(req->wfile, "nobody\r\n") : rc;
}

/* -- a datagram's answer, of at most max bytes -- */

/* Writes the first connections that fit, and how many more there are. 0: not even that fits. */
static size_t
fill(char *answer, size_t max, const struct users *users)
{
	const struct user *u = users->first;
	size_t len = 0, told = 0, n;
	char line[LINE_MOST];
	int looks;

	for (looks = 0; looks < SOME && u != NULL; looks++, u = u->next) {
		if (u->is_mark)
			continue;
		n = format_user(line, u);
		if (len + n + (told + 1 < users->n ? REST_MOST : 0) > max)
			break;
		memcpy(answer + len, line, n);
		len += n;
		told++;
	}
	n = 0;
	if (users->n == 0)
		n = (size_t)snprintf(line, sizeof(line), "nobody\r\n");
	else if (told < users->n)
		n = (size_t)snprintf(line, sizeof(line), "and %zu more\r\n", users->n - told);
	if (len + n > max)
		return 0;
	memcpy(answer + len, line, n);
	return len + n;
}

static int
answer_datagram(struct sks_request *req)
{
	struct users *users = req->data;
	char answer[PACKET], *bytes;
	ssize_t came = sks_peek(req->rfile, 0, &bytes);
	size_t n;

	if (came == -1 || sks_mutex_lock(users->lock) == -1)
		return -1;
	n = fill(answer, (size_t)came < sizeof(answer) ? (size_t)came : sizeof(answer), users);
	sks_mutex_unlock(users->lock);
	return sks_write(req->wfile, answer, n);
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
	if (sks_mutex_lock(users->lock) == -1)
		return -1;
	put_behind(users, users->last, me);
	users->n++;
	sks_mutex_unlock(users->lock);
	return SKS_KEEP;
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

static void
leave(struct sks_request *req)
{
	struct users *users = req->data;
	struct user *me = req->state;

	if (sks_is_datagram(req))
		return;
	surely_lock(users);
	take_off(users, me);
	users->n--;
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
    .port = PORT_USERS);
