/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Open whatever disk this is, with its parents": VHD, VHDX or raw; walks the
 * chain, checks identities, locks every file, and guards the first write.
 */
#ifndef IMGFS_DISK_H
#define IMGFS_DISK_H

#include "formats/base/dev.h"

#define DISK_CHAIN_MAX 256

struct disk;

struct disk_opts {
	bool want_write;	/* open the leaf so that writing may begin */
	bool force_parent_write;
	bool force;		/* as struct vhd_opts */
	int size_rule;		/* enum vhd_size_rule */
	bool refuse_dirty_log;
	const char *const *parents;	/* parent=FILE, child to base order */
	size_t n_parents;
	const char *const *search;	/* search=DIR */
	size_t n_search;
	const char *const *drives;	/* drive=C:=/mnt/c, as "C:=/mnt/c" */
	size_t n_drives;
	const char *registry;	/* directory of our own mounts' entries, for the
				 * holder's name; or NULL */
	bool no_lock;		/* lock=none: read without locks, and write even
				 * where the file system has none */
};

enum disk_format { DISK_RAW, DISK_VHD, DISK_VHDX };

struct disk_link {			/* one file of the chain */
	const char *path;		/* absolute */
	enum disk_format format;
	const char *kind;		/* "fixed", "dynamic", "differencing",
					 * "raw" */
	char id[40];			/* what a child must name, at open */
	uint64_t size;			/* virtual, bytes */
	bool log_dirty;
	struct dev *file;		/* the file itself */
	void *container;		/* struct vhd or struct vhdx */
};

/*
 * Finds and locks the whole chain. opts is copied; its relative paths count
 * from the current directory. A parent is looked for in this order, and the
 * first file with the right identity is taken: parents[] (and then nothing
 * else), the relative path, the absolute path through drives[], the base name
 * in the child's directory, the base name in search[]. What lies outside the
 * child's directory, search[] and drives[] is never opened.
 *
 * -ESTALE, -ENOENT, -EACCES or -ELOOP with OUT_CHAIN: no usable parent, in
 * words that name the option that would help. -EBUSY with OUT_LOCKED.
 */
int disk_open(const char *path, const struct disk_opts *opts,
	      struct disk **out, struct diag *why);
/* Flushes nothing; whoever wrote has flushed. Releases the locks last. */
void disk_close(struct disk *d);
/*
 * The whole disk. dev_begin_write() on it runs the guard, then begins: it
 * takes the leaf for itself (-EBUSY), and refuses with -EBUSY when a merge
 * journal lies beside the chain or (OUT_HAS_CHILDREN) when another image in
 * its directory or in search[] names it as its parent. dev_check_write() looks
 * at the same things and changes nothing.
 */
struct dev *disk_dev(struct disk *d);
size_t disk_depth(const struct disk *d);
const struct disk_link *disk_link(const struct disk *d, size_t i); /* 0: leaf */
/* A VHD or VHDX of a directory, opened without locks and without parents. */
struct disk_image {
	const char *path;
	enum disk_format format;
	const char *kind;
	char id[40], wants[40], wants2[40];	/* "" where there is none */
	uint64_t size;
	uint64_t dev, ino;
};
/* img is NULL for a file that could not be read: why says it. Nonzero ends. */
typedef int (*disk_list_fn)(void *ctx, const struct disk_image *img,
			    const char *path, const struct diag *why);
/* All of dir; fn's nonzero result, 0 or -errno. */
int disk_list(const char *dir, disk_list_fn fn, void *ctx, struct diag *why);
/* Things worth saying once (a damaged footer, a stale .rct), or NULL. */
const char *disk_note(const struct disk *d, size_t i);

#endif
