/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * THE BYTE SEAM. A dev is a run of bytes: a file, a partition, a VHDX made of
 * other devs, a differencing chain. Only dev.c calls the ops: it tests
 * arguments once and adds defaults.
 *
 * Threads: read, write, zero, map and flush may be called from many threads at
 * once; an implementation locks what it must. begin_write, resize and close
 * are for one thread, with no other call under way on that dev; the seam above
 * (tree.c) sees to that for begin_write.
 *
 * Lazy writing: a dev that was opened for writing is still untouched until
 * dev_begin_write(): only there are locks upgraded, logs replayed to the file
 * and tables checked in full. dev_write() before it fails with -EROFS.
 */
#ifndef IMGFS_BASE_DEV_H
#define IMGFS_BASE_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/base/diag.h"

enum dev_run_kind {
	DEV_RUN_FD,		/* bytes of fd at off */
	DEV_RUN_ZERO,		/* zeros */
	DEV_RUN_READ,		/* only dev_read() knows */
};

/* Where len bytes really are. off counts in fd for DEV_RUN_FD, else it is 0. */
struct dev_run {
	enum dev_run_kind kind;
	int fd;			/* belongs to the dev; valid until close */
	uint64_t off;
	uint64_t len;
};

struct dev;

struct dev_ops {
	const char *name;
	void (*close)(struct dev *dev);
	/* All len bytes, or -errno. dev.c has checked the range. */
	int (*read)(struct dev *dev, void *buf, size_t len, uint64_t off);
	int (*write)(struct dev *dev, const void *buf, size_t len,
		     uint64_t off);
	/* Reads give zeros afterwards. NULL: dev.c writes zeros. */
	int (*zero)(struct dev *dev, uint64_t off, uint64_t len,
		    bool may_unmap);
	/* A hint: contents undefined afterwards. NULL: nothing happens. */
	int (*discard)(struct dev *dev, uint64_t off, uint64_t len);
	int (*resize)(struct dev *dev, uint64_t size, struct diag *why);
	/* Everything written before is on stable storage when it returns 0.
	 * A failed flush stays failed: what was lost can't be known. */
	int (*flush)(struct dev *dev);
	/* Fills 1..max runs that cover [off, off + n) for some 0 < n <= len, in
	 * order, merged where they touch; returns their number or -errno.
	 * NULL: everything is DEV_RUN_READ. A run stays true as long as nobody
	 * writes, zeroes, discards or resizes that range. */
	int (*map)(struct dev *dev, uint64_t off, uint64_t len,
		   struct dev_run *runs, int max);
	/* NULL: nothing to prepare. */
	int (*begin_write)(struct dev *dev, struct diag *why);
	/* Would begin_write succeed? Looks, changes nothing. NULL: yes. */
	int (*check_write)(struct dev *dev, struct diag *why);
};

struct dev {
	const struct dev_ops *ops;
	uint64_t size;		/* bytes; implementations store it atomically */
	uint32_t sector_size;	/* logical: 512 or 4096 */
	uint32_t phys_sector_size;
	bool writable;		/* opened so that writing may begin */
	bool writing;		/* dev_begin_write() succeeded */
};

/* Takes NULL. Does not flush: whoever wrote and cares has called dev_flush. */
void dev_close(struct dev *dev);
uint64_t dev_size(const struct dev *dev);
void dev_set_size(struct dev *dev, uint64_t size);	/* implementations */

/* All or -errno; -EINVAL past the end. Never short. */
int dev_read(struct dev *dev, void *buf, size_t len, uint64_t off);
/* -EROFS before dev_begin_write(). Never grows the dev: -ENOSPC. */
int dev_write(struct dev *dev, const void *buf, size_t len, uint64_t off);
int dev_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap);
int dev_discard(struct dev *dev, uint64_t off, uint64_t len);
int dev_resize(struct dev *dev, uint64_t size, struct diag *why);
int dev_flush(struct dev *dev);
int dev_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	    int max);
int dev_begin_write(struct dev *dev, struct diag *why);
int dev_check_write(struct dev *dev, struct diag *why);

/* For map implementations: appends a run, merging it with the one before.
 * Returns the new count; n == max means full and nothing was added. */
int dev_run_add(struct dev_run *runs, int n, int max, struct dev_run run);

#endif
