/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name of whoever holds a lock. For messages only: what it says may be
 * out of date when it is read. */
#ifndef IMGFS_BASE_DEV_HOLDER_H
#define IMGFS_BASE_DEV_HOLDER_H

#include <stddef.h>

/*
 * Words for the holder of byte at of the file fd, as "process 123 (qemu-io)";
 * never empty: a process that this user cannot see is "a process of another
 * user". registry: the directory of the entries of our own mounts (JSON
 * objects with "pid", "dir", "image" and "chain"), or NULL.
 */
void dev_holder_find(int fd, int at, const char *registry, char *buf,
		     size_t size);

#endif
