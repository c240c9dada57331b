/* SPDX-License-Identifier: MIT */
/*
 * The access log: a line for each request that has ended. It is a hook on_end, which runs on the
 * host's loops in every mode, so one process writes the file, each line by one write(2).
 */
#include "base/log.h"
#include "base/log_output.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <socketserver/host.h>

#define PEER_TEXT 160

static struct {
	int is_open, is_json;
	struct sks_log_output output;
} access_log;

static void
put_time(struct sks_log_line *line)
{
	struct timespec now;

	sks_sys_clock_gettime(CLOCK_REALTIME, &now);
	sks_log_line_time(line, &now);
}

/* Adds a space and a word; "-" stands for none. A space in it would look like the next word. */
static void
put_word(struct sks_log_line *line, const char *text)
{
	const char *space;

	sks_log_line_printf(line, " ");
	if (text == NULL || text[0] == '\0')
		text = "-";
	while ((space = strchr(text, ' ')) != NULL) {
		sks_log_line_escaped(line, text, (size_t)(space - text));
		sks_log_line_printf(line, "\\x20");
		text = space + 1;
	}
	sks_log_line_escaped(line, text, strlen(text));
}

/* Adds seconds, to the microsecond. */
static void
put_seconds(struct sks_log_line *line, uint64_t ns)
{
	sks_log_line_printf(line, "%" PRIu64 ".%06" PRIu64, ns / 1000000000,
	    ns % 1000000000 / 1000);
}

static void
put_text(struct sks_log_line *line, const char *peer, const struct sks_info *info)
{
	put_time(line);
	put_word(line, info->handler);
	put_word(line, peer);
	put_word(line, info->listener);
	put_word(line, sks_end_reason_name(info->reason));
	sks_log_line_printf(line, " ");
	put_seconds(line, info->duration_ns);
	sks_log_line_printf(line, " ");
	if (info->first_ns != 0)
		put_seconds(line, info->first_ns);
	else
		sks_log_line_printf(line, "-");
	sks_log_line_printf(line, " %" PRIu64 " %" PRIu64 " %u", info->bytes_in, info->bytes_out,
	    info->exchanges);
	put_word(line, info->tls_version);
	sks_log_line_printf(line, " ");
	if (info->note != NULL)
		sks_log_line_json(line, info->note, strlen(info->note));
	else
		sks_log_line_printf(line, "-");
	sks_log_line_end(line, "");
}

/* Adds a member that is a string; NULL is null. */
static void
put_member(struct sks_log_line *line, const char *name, const char *text)
{
	sks_log_line_printf(line, ",\"%s\":", name);
	if (text != NULL)
		sks_log_line_json(line, text, strlen(text));
	else
		sks_log_line_printf(line, "null");
}

/* The note is the last, as it may have to be cut. */
static void
put_object(struct sks_log_line *line, const char *peer, const struct sks_info *info)
{
	sks_log_line_printf(line, "{\"time\":\"");
	put_time(line);
	sks_log_line_printf(line, "\"");
	put_member(line, "handler", info->handler);
	put_member(line, "peer", peer);
	put_member(line, "listener", info->listener);
	put_member(line, "reason", sks_end_reason_name(info->reason));
	sks_log_line_printf(line, ",\"duration\":");
	put_seconds(line, info->duration_ns);
	sks_log_line_printf(line, ",\"first\":");
	if (info->first_ns != 0)
		put_seconds(line, info->first_ns);
	else
		sks_log_line_printf(line, "null");
	sks_log_line_printf(line,
	    ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"exchanges\":%u", info->bytes_in,
	    info->bytes_out, info->exchanges);
	put_member(line, "tls", info->tls_version);
	put_member(line, "note", info->note);
	sks_log_line_end(line, "}");
}

/* The line that says how many are missing. */
static void
put_missing(struct sks_log_line *line, const struct sks_log_output *output, unsigned long n)
{
	(void)output;
	line->used = 0;
	if (access_log.is_json)
		sks_log_line_printf(line, "{\"time\":\"");
	put_time(line);
	if (access_log.is_json)
		sks_log_line_printf(line, "\",\"dropped\":%lu", n);
	else
		sks_log_line_printf(line, " %lu lines dropped", n);
	sks_log_line_end(line, access_log.is_json ? "}" : "");
}

void
sks_access_log(struct sks_request *req, const struct sks_info *info)
{
	struct sks_log_line line;
	char peer[PEER_TEXT];

	if (!access_log.is_open)
		return;
	line.used = 0;
	sks_peer(req, peer, sizeof(peer));
	if (access_log.is_json)
		put_object(&line, peer, info);
	else
		put_text(&line, peer, info);
	(void)sks_log_output_write(&access_log.output, line.text, line.used);
}

void
sks_access_log_close(void)
{
	if (access_log.is_open)
		sks_log_output_close(&access_log.output);
	access_log.is_open = 0;
}

static int
complain(const char *path, const char *why, int error)
{
	return sks_fail(NULL, error, "access log %s: %s", path, why);
}

int
sks_access_log_open(const char *path, const char *format)
{
	int is_json = format != NULL && strcmp(format, "json") == 0;
	struct sks_log_output output;

	if (path[0] == '\0')
		return complain("\"\"", "a file has a name", EINVAL);
	if (!is_json && format != NULL && strcmp(format, "text") != 0)
		return complain(path, "the format is text or json", EINVAL);
	if (sks_log_output_open(&output, SKS_LOG_FILE, path, put_missing) == -1)
		return complain(path, strerror(errno), errno);
	sks_access_log_close();
	access_log.output = output;
	access_log.is_json = is_json;
	access_log.is_open = 1;
	return 0;
}

int
sks_access_log_reopen(void)
{
	if (!access_log.is_open || sks_log_output_reopen(&access_log.output) == 0)
		return 0;
	return sks_fail(NULL, errno, "access log %s: not opened again: %m", access_log.output.path);
}
