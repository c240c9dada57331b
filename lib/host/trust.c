/* SPDX-License-Identifier: MIT */
/*
 * Who may write a plugin's file may run code in its host. So the file and its
 * folder belong to root or to us, and only their owner may write.
 *
 * The folders above count too, since who may rename a folder may put another
 * one in its place. There a sticky folder such as /tmp is fine, which lets
 * nobody rename what is not his, and so is one that root lets a group write
 * (/usr/local belongs to the group staff on some systems). That is the check
 * that sshd makes of the files that grant access, and for the same reason.
 */
#include "host/trust.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOT_OURS "belongs neither to root nor to this user"
#define OTHERS_WRITE "may be written by others (chmod go-w)"

static int
refuse(char *why, size_t size, const char *reason)
{
	snprintf(why, size, "%s", reason);
	errno = EPERM;
	return -1;
}

static int
is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* May others put something else in the place of a folder in this one? */
static int
lets_others_rename(const struct stat *st)
{
	if (st->st_mode & S_ISVTX)
		return 0;
	return (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_uid != 0);
}

static int
check_file(const struct stat *st, char *why, size_t size)
{
	if (!S_ISREG(st->st_mode))
		return refuse(why, size, "not a regular file");
	if (!is_ours(st))
		return refuse(why, size, "it " NOT_OURS);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(why, size, "it " OTHERS_WRITE);
	return 0;
}

static int
check_folder(const struct stat *st, const char *path, int holds_it, char *why, size_t size)
{
	const char *wrong = NULL;

	if (!is_ours(st))
		wrong = NOT_OURS;
	else if (holds_it ? (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 : lets_others_rename(st))
		wrong = OTHERS_WRITE;
	if (wrong == NULL)
		return 0;
	snprintf(why, size, "its folder %s %s", path, wrong);
	errno = EPERM;
	return -1;
}

/* Cuts the last name off; "/a" becomes "/", and then there is no more. */
static int
go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0')
		return 0;
	slash[slash == path] = '\0';
	return 1;
}

int
sks_trust_file(int fd, const char *path, char *why, size_t size)
{
	struct stat st;
	char *folder;
	int rc, holds_it;

	rc = sks_sys_fstat(fd, &st);
	folder = rc == 0 ? sks_sys_malloc(strlen(path) + 1) : NULL;
	if (folder == NULL) {
		snprintf(why, size, "%s", strerror(errno));
		return -1;
	}
	strcpy(folder, path);
	rc = check_file(&st, why, size);
	for (holds_it = 1; rc == 0 && go_up(folder); holds_it = 0) {
		rc = sks_sys_lstat(folder, &st);
		if (rc == -1)
			snprintf(why, size, "%s: %s", folder, strerror(errno));
		else
			rc = check_folder(&st, folder, holds_it, why, size);
	}
	sks_sys_free(folder);
	return rc;
}
