/* SPDX-License-Identifier: MIT */
/*
 * The file of a plugin is code that runs in its host, and so are other files of its folder
 * that the loader may take. So the file and its folder must belong to root or to this user,
 * and nobody else may write to them.
 *
 * The folders above count, too: a folder that others can rename can be replaced by another
 * one. There a sticky folder such as /tmp is allowed, in which only the owner of a file
 * renames it, and a folder of root that a group may write (/usr/local belongs to the group
 * staff on some systems). sshd checks the files that grant access in the same way.
 *
 * A group may write when root and this user are its only members. Systems with umask 002
 * give each user such a group, and all files that the user makes are writable for it.
 *
 * The report has all that is wrong at once, with the command that mends it.
 */
#include "host/trust.h"

#include "base/sys.h"
#include "base/why.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 512

struct text {
	char bytes[TEXT_SIZE];
	size_t len;
};

/* Collects what is wrong, in words, and the paths that chmod(1) mends. */
struct findings {
	struct text words, paths;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends text, as much as there is room for. */
static void
add(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->bytes) - text->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->bytes + text->len, room, format, args);
	va_end(args);
	if (n > 0)
		text->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* -- users and groups -- */

static int
is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* Counts the users whose own group it is. -1: one of them is neither root nor this user. */
static int
count_users_of(gid_t gid)
{
	const struct passwd *user;
	int n = 0;

	setpwent();
	while (n >= 0 && (user = getpwent()) != NULL)
		if (user->pw_gid == gid)
			n = is_ours(user->pw_uid) ? n + 1 : -1;
	endpwent();
	return n;
}

/*
 * Returns 1 when root and this user are the only members. An empty group, as of set-group-ID
 * programs, gives 0.
 */
static int
is_nobody_else(gid_t gid)
{
	const struct group *group;
	const struct passwd *user;
	int n = count_users_of(gid);
	char **name;

	group = n >= 0 ? getgrgid(gid) : NULL;
	if (group == NULL)
		return 0;
	for (name = group->gr_mem; *name != NULL; name++, n++) {
		user = getpwnam(*name);
		if (user == NULL || !is_ours(user->pw_uid))
			return 0;
	}
	return n > 0;
}

/* Returns 1 for the number that a user namespace shows for all users that it does not have. */
static int
is_unknown_here(uid_t uid)
{
	unsigned int overflow = 65534, first = 0, there = 0, n = 0;
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");

	if (file != NULL) {
		if (fscanf(file, "%u", &overflow) != 1)
			overflow = 65534;
		fclose(file);
	}
	file = fopen("/proc/self/uid_map", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%u %u %u", &first, &there, &n) != 3)
		n = UINT32_MAX;
	fclose(file);
	return uid == overflow && n != UINT32_MAX;
}

/* -- what is wrong with a file or folder -- */

static int
others_may_write(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && !is_nobody_else(st->st_gid));
}

/* Returns 1 when others may replace a folder that lies in this one. */
static int
lets_others_rename(const struct stat *st)
{
	if (st->st_mode & S_ISVTX)
		return 0;
	return st->st_uid == 0 ? (st->st_mode & S_IWOTH) != 0 : others_may_write(st);
}

static void
note(struct findings *found, const char *path, int is_folder, const char *problem)
{
	add(&found->words, "%s%s%s %s", found->words.len > 0 ? ", " : "",
	    is_folder ? "its folder " : "it", is_folder ? path : "", problem);
}

static void
judge(struct findings *found, const struct stat *st, const char *path, int is_folder, int is_open)
{
	if (!is_ours(st->st_uid))
		note(found, path, is_folder,
		    is_unknown_here(st->st_uid)
			? "belongs to a user that this user namespace does not know"
			: "belongs neither to root nor to this user");
	if (is_open) {
		note(found, path, is_folder, "may be written by others");
		add(&found->paths, " %s", path);
	}
}

/* Cuts the last name off: "/a" becomes "/". 0: there is nothing to cut. */
static int
go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0')
		return 0;
	slash[slash == path] = '\0';
	return 1;
}

/* Judges all folders of a path, which is cut meanwhile. 0, or -1: lstat(2) failed for one. */
static int
judge_folders(struct findings *found, char *path, char *why, size_t size)
{
	struct stat st;
	int holds_it;

	for (holds_it = 1; go_up(path); holds_it = 0) {
		if (sks_sys_lstat(path, &st) == -1)
			return sks_refuse_in(errno, why, size, "%s: %s", path, strerror(errno));
		judge(found, &st, path, 1,
		    holds_it ? others_may_write(&st) : lets_others_rename(&st));
	}
	return 0;
}

/* Writes the report. 0: there is none; -1: EPERM. */
static int
tell(const struct findings *found, char *why, size_t size)
{
	if (found->words.len == 0)
		return 0;
	if (found->paths.len == 0)
		return sks_refuse_in(EPERM, why, size, "%s", found->words.bytes);
	return sks_refuse_in(EPERM, why, size, "%s (chmod go-w%s)", found->words.bytes,
	    found->paths.bytes);
}

int
sks_trust_file(int fd, const char *path, char *why, size_t size)
{
	struct findings found = { 0 };
	struct stat st;
	char *folder;
	int rc;

	rc = sks_sys_fstat(fd, &st);
	folder = rc == 0 ? sks_sys_malloc(strlen(path) + 1) : NULL;
	if (folder == NULL)
		return sks_refuse_in(errno, why, size, "%s", strerror(errno));
	strcpy(folder, path);
	if (!S_ISREG(st.st_mode))
		note(&found, path, 0, "is not a regular file");
	else
		judge(&found, &st, path, 0, others_may_write(&st));
	rc = judge_folders(&found, folder, why, size);
	sks_sys_free(folder);
	return rc == 0 ? tell(&found, why, size) : -1;
}
