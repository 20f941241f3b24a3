/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volumes: what lies in a dev, and the tree inside it. */
#ifndef IMGFS_VOLUME_H
#define IMGFS_VOLUME_H

#include "formats/base/dev.h"
#include "formats/tree.h"

struct volume_info {
	char type[24];		/* blkid's words: ntfs ext4 vfat exfat xfs btrfs
				 * LVM2_member BitLocker crypto_LUKS swap ReFS
				 * linux_raid_member ...; empty: unknown */
	char label[256];	/* UTF-8 */
	char uuid[40];
	uint64_t size;		/* bytes the file system says it has, or 0 */
	bool mountable;		/* volume_open can show it */
};

/* 0 with type "" when nothing is recognised. Only reads. */
int volume_probe(struct dev *dev, struct volume_info *out, struct diag *why);

enum volume_streams { STREAMS_XATTR, STREAMS_NONE, STREAMS_WINDOWS };

struct volume_opts {
	bool want_write;	/* tree->writable if it is safe */
	bool recover;		/* write to a dirty NTFS (resets its log) */
	bool remove_hiberfile;
	bool norecovery;	/* show it as it stands, no journal replay */
	bool ignore_case, windows_names, hide_hid_files, hide_dot_files;
	bool show_sys_files;
	enum volume_streams streams;
	uint64_t sb;		/* ext: superblock at this KiB; 0 = 1st */
	uid_t uid;		/* owner of what is made where the volume has */
	gid_t gid;		/* no owners of its own */
	/* Where drive letters lead, as "C:=/mnt/c", for links with absolute
	 * targets; a letter that is not listed means this volume. */
	const char *const *drives;
	size_t n_drives;
	/* Warnings (dirty, no journal replay ...): called zero or more times
	 * during open. May be NULL. */
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
};

/* dev outlives the tree and is not closed with it. When opts->want_write is
 * set but writing is unsafe the tree opens with writable = false and warn is
 * told why: the caller decides whether that is good enough. */
int volume_open(struct dev *dev, const struct volume_opts *opts,
		struct tree **out, struct diag *why);

/* [off, off + len) of the dev is used by nothing. 0 to go on, else it ends. */
typedef int (*volume_free_fn)(void *ctx, uint64_t off, uint64_t len);

/*
 * Every range that the file system in dev has free, ascending: what it holds
 * need not be kept. NTFS ($Bitmap), ext2, ext3, ext4 (block bitmaps); others
 * are -ERR_UNSUPP. OUT_VOLUME_DIRTY when the bitmaps may not be the last word:
 * not unmounted cleanly, a log to replay, hibernated, or NTFS with shadow
 * copies, which keep what is free in the present.
 * fn's nonzero result ends the walk and is returned.
 */
int volume_free_ranges(struct dev *dev, volume_free_fn fn, void *ctx,
		       struct diag *why);

#endif
