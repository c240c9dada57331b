/* SPDX-License-Identifier: MIT */
#include "base/log_format.h"

#include "base/addr.h"
#include "base/util.h"

#include <errno.h>
#include <socketserver/request.h>
#include <string.h>
#include <unistd.h>

#define FACILITY_DAEMON (3 << 3) /* of syslog(3) */

const char *const sks_log_level_names[SKS_LOG_LEVELS] = { [SKS_LOG_ERROR] = "error",
	[SKS_LOG_WARN] = "warn", [SKS_LOG_INFO] = "info", [SKS_LOG_DEBUG] = "debug" };

const char *
sks_log_format_peer(const struct sks_log_origin *origin, char *buf, size_t size)
{
	char text[SKS_ADDR_TEXT];

	if (origin->peer == NULL)
		return NULL;
	sks_addr_format(origin->peer, origin->peer_len, text, sizeof(text));
	sks_escape(text, strlen(text), buf, size);
	return buf;
}

void
sks_log_format_origin(struct sks_log_line *line, const struct sks_log_origin *origin)
{
	char peer[SKS_ADDR_TEXT];

	if (origin->handler != NULL) {
		sks_log_line_escaped(line, origin->handler, strlen(origin->handler));
		sks_log_line_printf(line, ": ");
	}
	if (sks_log_format_peer(origin, peer, sizeof(peer)) != NULL)
		sks_log_line_printf(line, "%s: ", peer);
}

static void
put_head(struct sks_log_line *line, const struct sks_log_style *style,
    const struct sks_log_entry *entry)
{
	switch (style->head) {
	case SKS_LOG_HEAD_LEVEL:
		sks_log_line_printf(line, "<%d>", (int)entry->level);
		break;
	case SKS_LOG_HEAD_SYSLOG:
		sks_log_line_printf(line, "<%d>%.64s[%ld]: ", FACILITY_DAEMON | (int)entry->level,
		    program_invocation_short_name, (long)getpid());
		break;
	case SKS_LOG_HEAD_TIME:
		if (style->json)
			break;
		sks_log_line_time(line, &entry->wall);
		sks_log_line_printf(line, " %s ", sks_log_level_names[entry->level]);
		break;
	case SKS_LOG_HEAD_NAME:
	default:
		if (!style->json)
			sks_log_line_printf(line, "socketserver: ");
	}
}

static void
put_member(struct sks_log_line *line, const char *name, const char *text)
{
	sks_log_line_printf(line, ",\"%s\":", name);
	sks_log_line_json(line, text, strlen(text));
}

/* The text comes last, as it is the only member that may have to be cut. */
static void
put_object(struct sks_log_line *line, const struct sks_log_entry *entry)
{
	const struct sks_log_origin *origin = &entry->origin;
	char peer[SKS_ADDR_TEXT];

	sks_log_line_printf(line, "{\"time\":\"");
	sks_log_line_time(line, &entry->wall);
	sks_log_line_printf(line, "\",\"level\":\"%s\",\"pid\":%ld",
	    sks_log_level_names[entry->level], (long)getpid());
	if (origin->handler != NULL)
		put_member(line, "handler", origin->handler);
	if (sks_log_format_peer(origin, peer, sizeof(peer)) != NULL)
		put_member(line, "peer", peer);
	if (entry->error != 0)
		sks_log_line_printf(line, ",\"errno\":%d", entry->error);
	put_member(line, "text", entry->text);
}

void
sks_log_format(struct sks_log_line *line, const struct sks_log_style *style,
    const struct sks_log_entry *entry)
{
	line->used = 0;
	put_head(line, style, entry);
	if (style->json) {
		put_object(line, entry);
		sks_log_line_end(line, "}");
		return;
	}
	sks_log_format_origin(line, &entry->origin);
	sks_log_line_escaped(line, entry->text, strlen(entry->text));
	sks_log_line_end(line, "");
}
