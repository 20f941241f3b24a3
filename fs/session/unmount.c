/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/unmount.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "fs/session/registry.h"

/* mountinfo writes blanks and the like as \\040. */
static void unescape(char *s)
{
	char *d = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*d++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				      (s[3] - '0'));
			s += 3;
		} else {
			*d++ = *s;
		}
	}
	*d = '\0';
}

bool unmount_find(const char *name, const char *dir, char dev[UNMOUNT_DEV])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *want = mem_printf("fuse.%s", name);
	size_t room = 0;
	bool ours = false;

	static_assert(UNMOUNT_DEV == 32, "the width that is scanned");
	while (f && want && getline(&line, &room, f) > 0) {
		char at[4096], type[256], id[UNMOUNT_DEV];
		char *rest = strstr(line, " - ");

		if (!rest || sscanf(line, "%*s %*s %31s %*s %4095s", id,
				    at) != 2 ||
		    sscanf(rest, " - %255s", type) != 1)
			continue;
		unescape(at);
		if (strcmp(at, dir))
			continue;
		ours = !strcmp(type, want);
		strcpy(dev, id);
	}
	if (f)
		fclose(f);
	free(line);
	free(want);
	return ours;
}

/* What the file system has not been told yet is told now, while a failure can
 * still be seen by whoever unmounts. */
static int flush(const char *dir, struct diag *why)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return unmount_dead(errno) || errno == EACCES ? 0 :
			diag_fail(why, errno, "%s: %s", dir, strerror(errno));
	if (syncfs(fd) || (fsync(fd) && errno != EINVAL && errno != EROFS))
		ret = diag_fail(why, errno, "%s: stays mounted: writing back: "
				"%s (--lazy gives up what is not written)",
				dir, strerror(errno));
	close(fd);
	return ret;
}

/* What fusermount3 says about it, a line, into text. */
static int run_fusermount(const char *dir, bool lazy, char *text, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		dup2(ends[1], 2);
		execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", "--",
		       dir, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	n = pid < 0 ? 0 : read(ends[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return strstr(text, "busy") ? -EBUSY : -EPERM;
}

static int detach(const char *dir, const struct unmount_opts *opts, char *text,
		  size_t size)
{
	int flags = UMOUNT_NOFOLLOW | (opts->lazy ? MNT_DETACH : 0) |
		    (opts->force ? MNT_FORCE : 0);

	*text = '\0';
	if (!umount2(dir, flags))
		return 0;
	return errno == EPERM ? run_fusermount(dir, opts->lazy, text, size)
			      : -errno;
}

static int explain(const char *dir, int ret, const char *text, struct diag *why)
{
	char users[DIAG_MAX / 2];

	if (ret == -ENOENT)
		return diag_fail(why, ret, "%s: cannot unmount: fusermount3 "
				 "(package fuse3) is not there", dir);
	if (ret != -EBUSY)
		return diag_fail(why, ret, "%s: cannot unmount: %s", dir,
				 *text ? text : strerror(-ret));
	unmount_users(dir, users, sizeof(users));
	if (!*users)
		return diag_fail_as(why, EBUSY, OUT_BUSY,
				    "%s: busy: in use by a process that cannot "
				    "be seen, or by a mount below it", dir);
	return diag_fail_as(why, EBUSY, OUT_BUSY, "%s: busy: used by %s", dir,
			    users);
}

/* Waits for the daemon's end: the lock on the image is free then. */
static int wait_end(int pidfd, pid_t pid, unsigned timeout, struct diag *why)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, timeout ? (int)timeout * 1000 : -1);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return diag_fail_as(why, ETIMEDOUT, OUT_BUSY,
			    "process %d still writes after %u s: the image "
			    "stays locked until it ends", (int)pid, timeout);
}

static int verdict(const char *name, const char *dir, pid_t pid,
		   struct diag *why)
{
	json_t *left = registry_take(name, pid);
	const char *text = json_string_value(json_object_get(left, "error"));
	int ret = 0;

	if (left)
		ret = diag_fail(
			why, EIO, "%s: %s", dir,
			text ? text
			     : "the daemon died before everything was written");
	json_decref(left);
	return ret;
}

int unmount_dir(const char *name, const char *dir,
		const struct unmount_opts *opts, struct diag *why)
{
	char text[256];
	char dev[UNMOUNT_DEV];
	json_t *entry;
	pid_t pid = 0;
	int pidfd = -1, ret;

	if (!unmount_find(name, dir, dev))
		return diag_fail_as(why, EINVAL, OUT_NOT_MOUNTED,
				    "%s: nothing of %s is mounted there", dir,
				    name);
	entry = registry_find(name, dir, dev);
	if (entry)
		pid = (pid_t)json_integer_value(json_object_get(entry, "pid"));
	json_decref(entry);
	if (pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ret = opts->force || opts->lazy ? 0 : flush(dir, why);
	if (!ret && (ret = detach(dir, opts, text, sizeof(text))))
		ret = explain(dir, ret, text, why);
	if (!ret && pidfd >= 0 && !opts->lazy)
		ret = wait_end(pidfd, pid, opts->timeout, why);
	if (!ret && pid > 0 && !opts->lazy)
		ret = verdict(name, dir, pid, why);
	if (pidfd >= 0)
		close(pidfd);
	return ret;
}
