/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Open this image as a tree": file, chain, partition table, volume, view. What
 * vhdfs mounts and imgctl lists.
 */
#ifndef IMGFS_VIEW_IMAGE_H
#define IMGFS_VIEW_IMAGE_H

#include "formats/disk/disk.h"
#include "formats/tree.h"
#include "formats/volume/volume.h"

enum view_kind { VIEW_TREE, VIEW_RAW, VIEW_ALL };

struct view_image_opts {
	struct disk_opts disk;		/* want_write: the volume's too */
	struct volume_opts volume;
	enum view_kind kind;
	const char *part;		/* as volume_select(); NULL: auto */
};

struct view_image;

/*
 * The tree's writable says whether a first modification may be tried; where
 * it was wanted and is not, not_writable tells why, in one sentence.
 * VIEW_ALL is always read-only.
 */
int view_image_open(const char *path, const struct view_image_opts *opts,
		    struct view_image **out, struct diag *not_writable,
		    struct diag *why);
struct tree *view_image_tree(struct view_image *v);
struct disk *view_image_disk(struct view_image *v);
/* Ends everything cleanly, the locks last. 0, or what could not be flushed.
 * Takes NULL. */
int view_image_close(struct view_image *v);

#endif
