/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A regular file or block device as a dev. It may be written past its end by
 * its owner (dev_file_extend), which a format that appends needs.
 */
#ifndef IMGFS_BASE_DEV_FILE_H
#define IMGFS_BASE_DEV_FILE_H

#include <sys/types.h>

#include "formats/base/dev.h"

/* want_write: open for reading and writing if that is allowed, else for
 * reading; dev->writable tells which. Opening changes nothing on disk (atime
 * excepted where O_NOATIME is refused). */
int dev_file_open(const char *path, bool want_write, struct dev **out,
		  struct diag *why);
/* Takes fd over, also when it fails. path is for messages. */
int dev_file_from_fd(int fd, const char *path, bool writable, struct dev **out,
		     struct diag *why);
/* A new file, mode 0666 & ~umask, already open for writing (dev->writing).
 * -EEXIST when there is one. */
int dev_file_create(const char *path, struct dev **out, struct diag *why);

/* -1 when dev is no file. */
int dev_file_fd(const struct dev *dev);
const char *dev_file_path(const struct dev *dev);
/* Makes the file at least size bytes long (zeros). Needs dev->writing. */
int dev_file_extend(struct dev *dev, uint64_t size);
/* Writes at or behind the file's end, with one system call where dev is a
 * file: a killed process leaves no longer file without it. */
int dev_file_append(struct dev *dev, const void *buf, size_t len,
		    uint64_t off);
/* Cuts the file to size bytes. Needs dev->writing. */
int dev_file_truncate(struct dev *dev, uint64_t size);
/* After dev_file_create: makes the file's name durable. */
int dev_file_sync_dir(const struct dev *dev);

#endif
