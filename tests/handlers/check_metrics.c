/* SPDX-License-Identifier: MIT */
/*
 * check_metrics.c - the metrics handler beside another one, and the text that it serves: what
 * sks_server_metrics() writes is read as the OpenMetrics format says.
 */
#include "acceptance.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct sks_plugin sks_plugin_descriptor;

#define handler sks_plugin_descriptor.handler

FIXTURE(acc_setup, acc_teardown);

/* -- what the format wants -- */

#define NAMES 100

struct reading {
	char *names[NAMES]; /* "# TYPE " and a family; or a sample, with its label */
	int n, samples;
	char family[80];
	int is_counter, is_histogram;
	uint64_t in_class; /* of a histogram: the last number, which does not become smaller */
};

static void
take_name(struct reading *r, const char *name, size_t n)
{
	int i;

	for (i = 0; i < r->n; i++)
		ck_assert_msg(strlen(r->names[i]) != n || strncmp(r->names[i], name, n) != 0,
		    "twice: %s", r->names[i]);
	ck_assert_int_lt(r->n, NAMES);
	r->names[r->n++] = strndup(name, n);
}

static void
read_type(struct reading *r, const char *line)
{
	char type[20];

	ck_assert_int_eq(sscanf(line, "# TYPE %79s %19s", r->family, type), 2);
	r->is_counter = strcmp(type, "counter") == 0;
	r->is_histogram = strcmp(type, "histogram") == 0;
	r->in_class = 0;
	ck_assert(r->is_counter || r->is_histogram || strcmp(type, "gauge") == 0);
	take_name(r, line, strlen("# TYPE ") + strlen(r->family));
}

static void
read_help(const struct reading *r, const char *line)
{
	char name[80];
	int n = 0;

	ck_assert_int_eq(sscanf(line, "# HELP %79s %n", name, &n), 1);
	ck_assert_str_eq(name, r->family);
	ck_assert_msg(line[n] != '\0' && strpbrk(line, "\\\"") == NULL, "%s", line);
}

/* Classes with bounds that grow and hold those below, then the number of all, then their sum. */
static void
read_part(struct reading *r, const char *rest, const char *value)
{
	uint64_t n = strtoull(value, NULL, 10);

	if (strncmp(rest, "_bucket{le=\"", 12) == 0) {
		ck_assert_msg(n >= r->in_class, "%s", rest);
		r->in_class = n;
	} else if (strncmp(rest, "_count ", 7) == 0)
		ck_assert_uint_eq(n, r->in_class);
	else
		ck_assert_msg(strncmp(rest, "_sum ", 5) == 0, "%s", rest);
}

/* NAME VALUE, or NAME{LABEL="TEXT"} VALUE */
static void
read_sample(struct reading *r, const char *line)
{
	size_t n = strlen(r->family);
	const char *value = strrchr(line, ' '), *rest = line + n;

	ck_assert_msg(n > 0 && strncmp(line, r->family, n) == 0, "not of %s: %s", r->family, line);
	if (r->is_counter) {
		ck_assert_msg(strncmp(rest, "_total", 6) == 0, "%s", line);
		rest += 6;
	}
	if (r->is_histogram) {
		read_part(r, rest, value + 1);
		take_name(r, line, (size_t)(value - line));
		return;
	}
	ck_assert_msg(value == rest || (rest[0] == '{' && strncmp(value - 2, "\"}", 2) == 0),
	    "%s", line);
	ck_assert_msg(value[1] != '\0' && strspn(value + 1, "0123456789") == strlen(value + 1),
	    "%s", line);
	take_name(r, line, (size_t)(value - line));
	r->samples++;
}

/* Checks each line of a text, and returns how many samples there are. */
static int
read_text(const char *text)
{
	struct reading r = { .n = 0 };
	char *copy = strdup(text), *line, *rest = copy;
	int ended = 0;

	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		ck_assert_msg(!ended, "behind the end: %s", line);
		if (strncmp(line, "# TYPE ", 7) == 0)
			read_type(&r, line);
		else if (strncmp(line, "# HELP ", 7) == 0)
			read_help(&r, line);
		else if (strcmp(line, "# EOF") == 0)
			ended = 1;
		else
			read_sample(&r, line);
	}
	ck_assert(ended && line != NULL && line[0] == '\0');
	free(copy);
	while (r.n > 0)
		free(r.names[--r.n]);
	return r.samples;
}

static uint64_t
value_of(const char *text, const char *name)
{
	char before[100];
	const char *at;

	snprintf(before, sizeof(before), "\n%s ", name);
	at = strstr(text, before);
	ck_assert_msg(at != NULL, "no %s", name);
	return strtoull(at + strlen(before), NULL, 10);
}

/* -- the handler, beside another one -- */

/* All that a client gets for a request, which the caller frees. */
static char *
get(const char *address, const char *request)
{
	int fd = peer_connect(address);
	char *all;
	size_t n;

	peer_puts(fd, request);
	peer_half_close(fd);
	all = peer_read_all(fd, &n);
	close(fd);
	return all;
}

static void
open_server(struct acc *acc, int i, char address[200])
{
	acc_tcp(acc, i, &acc_script, NULL);
	snprintf(address, 200, "unix:%s/metrics", acc_dir);
	ck_assert_int_eq(sks_server_listen_with(acc->server, address, &handler, NULL), 0);
	acc_start(acc);
}

static int
take_all(void *arg, const char *text, size_t n)
{
	(void)arg;
	ck_assert(n > 0 && n < 512 && text[n - 1] == '\n');
	return 0;
}

/* Connections that are kept stay in their processes, and are active there. */
TEST(each_number_is_told_once_and_as_it_is, EACH_MODE)
{
	static const char head[] = "HTTP/1.0 200 OK\r\nContent-Type: application/openmetrics-text; "
	                           "version=1.0.0; charset=utf-8\r\nConnection: close\r\n\r\n# TYPE ";
	struct sks_stats stats;
	struct acc acc;
	char address[200], *all;
	const char *text;
	int fd;

	open_server(&acc, _i, address);
	/* From the first look on things are timed. */
	ck_assert_int_eq(sks_server_metrics(acc.server, take_all, NULL), 0);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	acc_ask(&acc, "f\n", "");
	ck_eventually(acc_stats(&acc).finished == 2 && acc_stats(&acc).lingering == 0);
	fd = acc_client(&acc);
	peer_puts(fd, "k\n");
	ck_eventually(acc_has_parked(&acc, 1));
	stats = acc_stats(&acc);
	all = get(address, "GET /metrics HTTP/1.0\r\nAccept: */*\r\n\r\n");
	ck_assert_msg(strncmp(all, head, strlen(head)) == 0, "%s", all);
	text = strstr(all, "# TYPE ");
	ck_assert_int_eq(read_text(text),
	    (int)(sizeof(struct sks_stats) / sizeof(uint64_t)) + SKS_ENDED_EVICTED + 4);
	ck_assert_uint_eq(value_of(text, "socketserver_connections_accepted_total"),
	    stats.accepted + 1);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_finished_total"), 2);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_failed_total"), 1);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_refused_total"), 0);
	ck_assert_uint_eq(value_of(text, "socketserver_requests{state=\"active\"}"),
	    stats.active + 1);
	ck_assert_uint_eq(value_of(text, "socketserver_requests{state=\"parked\"}"), stats.parked);
	ck_assert_uint_ge(value_of(text, "socketserver_received_bytes_total"), stats.bytes_in);
	ck_assert_uint_eq(value_of(text, "socketserver_sent_bytes_total"), stats.bytes_out);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_ended_total{reason=\"done\"}"), 1);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_ended_total{reason=\"error\"}"), 1);
	ck_assert_uint_eq(value_of(text, "socketserver_requests_ended_total{reason=\"idle\"}"), 0);
	ck_assert_uint_eq(value_of(text, "socketserver_tasks{state=\"waiting\"}"), 0);
	ck_assert_uint_eq(value_of(text, "socketserver_exchange_seconds_count"), 3);
	ck_assert_uint_eq(value_of(text, "socketserver_exchange_seconds_bucket{le=\"+Inf\"}"), 3);
	free(all);
	close(fd);
	acc_free(&acc);
}

static const struct {
	const char *request, *status;
} requests[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.0 200 OK\r\n" },
	{ "GET /metrics?name=a HTTP/1.0\n\n", "HTTP/1.0 200 OK\r\n" },
	{ "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found\r\n" },
	{ "GET /metrics/a HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found\r\n" },
	{ "POST /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found\r\n" },
	{ "GET /metrics\r\n\r\n", "HTTP/1.0 400 Bad Request\r\n" },
	{ "\r\n", "HTTP/1.0 400 Bad Request\r\n" },
	{ "GET /metrics HTTP/1.0\r\nHost: a\r\n", "HTTP/1.0 400 Bad Request\r\n" },
};

TEST(the_rest_of_http_is_refused, EACH_OF(requests))
{
	struct acc acc;
	char address[200], *all;

	open_server(&acc, ACC_FIBERS, address);
	all = get(address, requests[_i].request);
	ck_assert_msg(strncmp(all, requests[_i].status, strlen(requests[_i].status)) == 0, "%s", all);
	free(all);
	ck_assert_uint_eq(acc_stats(&acc).failed, 0);
	acc_free(&acc);
}

/* A line is at most as long as max_line, and there are at most 100 of them. */
TEST(headers_without_end_are_refused, TIMES(2))
{
	static const char first[] = "GET /metrics HTTP/1.0\r\n";
	char request[10000], *at = request + strlen(first), *out;
	size_t n;

	memcpy(request, first, strlen(first));
	memset(at, 'a', sizeof(request) - strlen(first));
	for (; _i == 1 && at < request + sizeof(request); at += 4)
		memcpy(at, "a:b\n", at + 4 <= request + sizeof(request) ? 4 : 1);
	ck_assert_int_eq(sks_handle_bytes(&handler, request, sizeof(request), &out, &n), 0);
	ck_assert_msg(strncmp(out, "HTTP/1.0 400 ", 13) == 0, "%s", out);
	free(out);
}

TEST(without_a_server_there_are_none)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	char *out;
	size_t n;

	ck_assert_int_eq(sks_handle_bytes(&handler, request, strlen(request), &out, &n), 0);
	ck_assert_msg(strncmp(out, "HTTP/1.0 503 ", 13) == 0, "%s", out);
	free(out);
}

/* -- the call -- */

/* A number of the text; the caller has no connection for it. */
struct wanted {
	const char *name;
	uint64_t value;
};

static int
find_value(void *arg, const char *text, size_t n)
{
	struct wanted *w = arg;
	size_t length = strlen(w->name);

	if (n > length && strncmp(text, w->name, length) == 0 && text[length] == ' ')
		w->value = strtoull(text + length, NULL, 10);
	return 0;
}

static uint64_t
ask_for(const struct acc *acc, const char *name)
{
	struct wanted w = { .name = name, .value = UINT64_MAX };

	ck_assert_int_eq(sks_server_metrics(acc->server, find_value, &w), 0);
	ck_assert_msg(w.value != UINT64_MAX, "no %s", name);
	return w.value;
}

#define TOGETHER 3

/* As many as run at once, which is one in serial mode; no process is kept. */
TEST(tasks_that_have_ended_are_idle, EACH_MODE)
{
	struct acc acc;
	int i, fds[TOGETHER], running = _i == ACC_SERIAL ? 1 : TOGETHER;

	acc_tcp(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	for (i = 0; i < TOGETHER; i++) {
		fds[i] = acc_client(&acc);
		peer_puts(fds[i], "echo\n");
	}
	for (i = 0; i < running; i++)
		peer_expect(fds[i], "echo\n");
	ck_assert_uint_eq(ask_for(&acc, "socketserver_tasks{state=\"running\"}"), (unsigned int)running);
	ck_assert_uint_eq(ask_for(&acc, "socketserver_tasks{state=\"idle\"}"), 0);
	for (i = 0; i < TOGETHER; i++)
		close(fds[i]);
	ck_eventually(acc_stats(&acc).finished == TOGETHER);
	if (acc.mode->mode == SKS_PROCESSES)
		running = 0;
	ck_eventually((int)ask_for(&acc, "socketserver_tasks{state=\"idle\"}") == running);
	ck_assert_uint_eq(ask_for(&acc, "socketserver_tasks{state=\"running\"}"), 0);
	acc_free(&acc);
}

/* Fibers have their buffers of the loop; threads have none of its own. */
TEST(buffers_that_were_given_back_are_idle)
{
	struct acc acc;
	uint64_t before;
	int fd;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	ck_eventually(acc_stats(&acc).finished == 1);
	before = ask_for(&acc, "socketserver_idle_buffer_bytes");
	ck_assert_int_eq(before > 0, sks_buf_is_pooled);
	fd = acc_client(&acc);
	peer_puts(fd, "a line without its end");
	ck_eventually(!sks_buf_is_pooled || ask_for(&acc, "socketserver_idle_buffer_bytes") < before);
	close(fd);
	ck_eventually(ask_for(&acc, "socketserver_idle_buffer_bytes") == before);
	acc_free(&acc);
}

static int
take_three(void *arg, const char *text, size_t n)
{
	ck_assert(n > 0 && n < 512 && text[n - 1] == '\n');
	return ++*(int *)arg < 3 ? 0 : -7;
}

TEST(it_ends_when_its_text_is_not_taken)
{
	struct acc acc;
	int calls = 0;

	acc_tcp(&acc, ACC_FIBERS, &acc_script, NULL);
	ck_assert_int_eq(sks_server_metrics(acc.server, take_three, &calls), -7);
	ck_assert_int_eq(calls, 3);
	acc_free(&acc);
}
