/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 1024 /* bytes of a text at most */

const struct sks_log_origin *(*sks_log_find_origin)(void);

const struct sks_log_origin *
sks_log_origin(void)
{
	return sks_log_find_origin != NULL ? sks_log_find_origin() : NULL;
}

/* -- levels -- */

static atomic_int threshold = SKS_LOG_INFO;

int
sks_log_is_on(enum sks_log_level level)
{
	return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

int
sks_set_log_level(enum sks_log_level level)
{
	if ((unsigned int)level >= SKS_LOG_LEVELS || sks_log_level_names[level] == NULL) {
		errno = EINVAL;
		return -1;
	}
	atomic_store(&threshold, (int)level);
	return 0;
}

int
sks_log_level_by_name(const char *name)
{
	int level;

	for (level = 0; level < SKS_LOG_LEVELS; level++)
		if (sks_log_level_names[level] != NULL &&
		    strcmp(sks_log_level_names[level], name) == 0)
			return level;
	errno = EINVAL;
	return -1;
}

/* -- lines -- */

/* Formats the text, with the errno that %m stands for, and logs it. */
static void SKS_PRINTF(3, 0)
log_text(struct sks_log_entry *entry, unsigned int dropped, const char *format, va_list args)
{
	char text[TEXT_SIZE + 1] = "";
	size_t length;

	errno = entry->error;
	vsnprintf(text, sizeof(text), format, args);
	length = strlen(text);
	if (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	/* At the end of this line: a line of its own would be one too many. */
	if (dropped > 0)
		snprintf(text + length, sizeof(text) - length, " (and %u more before it)", dropped);
	entry->text = text;
	sks_log_emit(entry);
}

/* As sks_log_about(), where `dropped` lines were not logged before this one. */
static void SKS_PRINTF(5, 0)
log_about(const struct sks_log_origin *origin, enum sks_log_level level, int error,
    unsigned int dropped, const char *format, va_list args)
{
	struct sks_log_entry entry = { .level = level, .error = error };
	int saved = errno;

	if (!sks_log_is_on(level))
		return;
	if (origin != NULL)
		entry.origin = *origin;
	log_text(&entry, dropped, format, args);
	errno = saved;
}

/* Returns 1 when the format has a %m, which may have flags and a width, as "%-20m". */
static int
names_error(const char *format)
{
	while ((format = strchr(format, '%')) != NULL) {
		format++;
		format += strspn(format, "-+ #0123456789.*$'");
		if (*format == 'm')
			return 1;
		if (*format == '%')
			format++;
	}
	return 0;
}

void
sks_vlog(enum sks_log_level level, const char *format, va_list args)
{
	int error = errno;

	if (sks_log_is_on(level))
		log_about(sks_log_origin(), level, names_error(format) ? error : 0, 0, format,
		    args);
}

void
sks_log(enum sks_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sks_vlog(level, format, args);
	va_end(args);
}

void
sks_log_about(const struct sks_log_origin *origin, enum sks_log_level level, int error,
    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_about(origin, level, error, 0, format, args);
	va_end(args);
}

int
sks_fail(const struct sks_log_origin *origin, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_about(origin, SKS_LOG_ERROR, error, 0, format, args);
	va_end(args);
	errno = error;
	return -1;
}

void
sks_log_with_dropped(unsigned int n, const struct sks_log_origin *origin, enum sks_log_level level,
    int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_about(origin, level, error, n, format, args);
	va_end(args);
}

int
sks_log_reopen(void)
{
	struct sks_log_output *output = sks_log_current_output();

	if (sks_log_output_reopen(output) == 0)
		return 0;
	return sks_fail(NULL, errno, "log %s: not opened again: %m", output->path);
}
