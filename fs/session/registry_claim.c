/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names that one mount alone may have: a lock on a file of the registry, so
 * that a killed process leaves nothing behind that counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "fs/session/registry.h"

static char *claim_path(const char *what)
{
	const char *dir = registry_dir();

	return dir ? mem_printf("%s/%s", dir, what) : NULL;
}

static pid_t read_pid(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return (pid_t)atol(text);
}

/* The file may have been removed between open and lock. */
static int same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static int take(const char *path, int *out, pid_t *pid)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		*pid = read_pid(fd);
		close(fd);
		return -EEXIST;
	}
	if (!same_file(fd, path)) {
		close(fd);
		return -EAGAIN;
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		close(fd);
		return -EIO;
	}
	*out = fd;
	return 0;
}

int registry_claim(const char *what, int *fd, pid_t *pid)
{
	char *path = claim_path(what);
	int ret = -EAGAIN;

	*pid = 0;
	if (!path)
		return -ENOENT;
	while (ret == -EAGAIN)
		ret = take(path, fd, pid);
	free(path);
	return ret;
}

void registry_unclaim(const char *what, int fd)
{
	char *path;

	if (fd < 0)
		return;
	path = claim_path(what);
	if (path)
		unlink(path);
	free(path);
	close(fd);
}
