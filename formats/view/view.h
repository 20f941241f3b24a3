/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk as files (view=raw): disk.raw, p1.raw, p2.raw ..., for fsck, mkfs,
 * dislocker, testdisk. And all of a disk at once (view=all): the same files,
 * and p1/, p2/ ... with the trees of its volumes, always read-only.
 */
#ifndef IMGFS_VIEW_H
#define IMGFS_VIEW_H

#include <time.h>

#include "formats/base/dev.h"
#include "formats/tree.h"

struct view_part {
	unsigned number;	/* "p3.raw" and "p3"; 0: the whole disk is a
				 * volume, shown as "disk" beside disk.raw */
	uint64_t off, len;	/* bytes, inside the disk */
	/* view_all_open() only; both are closed with the view. */
	struct tree *tree;	/* NULL: nothing that can be shown */
	struct dev *dev;	/* what tree stands on, or NULL */
};

struct view_what {
	struct dev *disk;		/* outlives the tree */
	const struct view_part *parts;	/* copied */
	size_t n;
	bool writable;			/* raw only: the disk may be written */
	struct timespec mtime;		/* of the image */
	uid_t uid;			/* owner of the raw files, and of trees
					 * without owners */
	gid_t gid;
};

/*
 * The files keep their size: writing past the end is -ENOSPC, truncating to
 * nothing -EPERM (a program that opens with O_TRUNC would destroy the disk),
 * to another size -EINVAL. Punching and zeroing are zeros in the disk, fsync
 * is the disk's flush. -EINVAL when a part does not lie inside the disk, or a
 * number comes twice.
 */
int view_raw_open(const struct view_what *what, struct tree **out,
		  struct diag *why);

/* Takes the trees and their devs over when it succeeds; they must be
 * read-only (-EINVAL). A node of a volume whose number needs more than 50 bits
 * is -EOVERFLOW: no backend has such. */
int view_all_open(const struct view_what *what, struct tree **out,
		  struct diag *why);

#endif
