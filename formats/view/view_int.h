/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGFS_VIEW_INT_H
#define IMGFS_VIEW_INT_H

#include "formats/base/bounds.h"
#include "formats/view/view.h"

/* Nodes of our own: the root, disk.raw, then a raw file for each part. Those
 * of part i's tree carry i + 1 above their own number (NTFS needs 49 bits). */
#define VIEW_DISK	2u
#define VIEW_PARTS	3u
#define VIEW_SUB_SHIFT	50
/* So that i + 1 fits above the shift; more than any table may have. */
#define VIEW_PARTS_MAX	4096u

/* Names are "disk.raw" or "p", up to ten digits, ".raw". */
#define VIEW_NAME	24

struct view {
	struct tree tree;
	struct dev *disk;
	struct view_part *parts;	/* owned */
	size_t n;
	uid_t uid;
	gid_t gid;
	int64_t mtime_ns;		/* atomic */
};

/* A handle on a raw file, or (sub set) on one of a volume's. */
struct view_file {
	struct tree_file f;
	uint64_t off, len;		/* in the disk */
	struct tree *sub;
	struct tree_file *sub_file;	/* owned */
};

static inline struct view *view_of(struct tree *t)
{
	return container_of(t, struct view, tree);
}

static inline struct view_file *view_file_of(struct tree_file *f)
{
	return container_of(f, struct view_file, f);
}

/* view.c */
int view_new(const struct view_what *what, const struct tree_ops *ops,
	     struct view **out, struct diag *why);
void view_close(struct tree *t);

/* view_raw.c: the half that both views share. */
void view_name(const struct view_part *p, bool raw, char name[VIEW_NAME]);
int view_raw_getattr(struct tree *t, uint64_t id, struct tree_attr *out);
int view_raw_lookup(struct tree *t, uint64_t dir, const char *name,
		    struct tree_attr *out);
/* The raw files of the root; their places end below VIEW_PARTS + n. */
int view_raw_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		  tree_emit_fn emit, void *ctx);
int view_raw_open_file(struct tree *t, uint64_t id, bool write,
		       struct tree_file **out);
void view_raw_release(struct tree *t, struct tree_file *f);
ssize_t view_raw_read(struct tree *t, struct tree_file *f, void *buf,
		      size_t len, uint64_t off);
int view_raw_extents(struct tree *t, struct tree_file *f, uint64_t off,
		     uint64_t len, bool for_write, struct tree_extent *ext,
		     int max);
off_t view_raw_seek(struct tree *t, struct tree_file *f, off_t off, int whence);
int view_raw_statfs(struct tree *t, struct statvfs *out);

#endif
