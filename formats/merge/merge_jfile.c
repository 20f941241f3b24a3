/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal as a file: whole under a temporary name, then in its place. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/merge/merge_int.h"

/* 256 links and 4096 merged files fit many times. */
#define JOURNAL_MAX (4u << 20)

int merge_sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_printf("%.*s", slash == path ? 1
				       : (int)(slash - path), path)
			  : mem_strdup(".");
	int fd, ret = 0;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

static int read_all(int fd, char **out)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text;

	if (size < 0 || size > (off_t)JOURNAL_MAX)
		return -EFBIG;
	text = mem_zalloc((size_t)size + 1, 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, (size_t)size, 0) != size) {
		free(text);
		return -EIO;
	}
	*out = text;
	return 0;
}

int merge_journal_load(const char *path, struct merge_journal *j,
		       struct diag *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct merge_journal new = { 0 };
	char *text = NULL;
	int ret;

	if (fd < 0)
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	ret = read_all(fd, &text);
	close(fd);
	if (ret)
		return diag_fail(why, ret, "%s: %s", path, strerror(-ret));
	ret = merge_journal_decode(&new, text, why);
	free(text);
	new.path = ret ? NULL : mem_strdup(path);
	if (!ret && !new.path)
		ret = -ENOMEM;
	if (ret) {
		merge_journal_free(&new);
		return diag_in(why, ret, "%s", path);
	}
	*j = new;
	return 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
		      O_NOFOLLOW, 0600);
	size_t len = strlen(text);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		ret = errno ? -errno : -ENOSPC;
	if (!ret && fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

int merge_journal_save(const struct merge_journal *j, struct diag *why)
{
	char *text = merge_journal_encode(j);
	char *temp = mem_printf("%s.new", j->path);
	int ret = text && temp ? 0 : -ENOMEM;

	errno = 0;
	if (!ret)
		ret = write_file(temp, text);
	if (!ret && rename(temp, j->path))
		ret = -errno;
	if (!ret)
		ret = merge_sync_dir(j->path);
	if (ret && temp)
		unlink(temp);
	free(temp);
	free(text);
	return ret ? diag_fail(why, ret, "%s: %s", j->path, strerror(-ret)) : 0;
}
