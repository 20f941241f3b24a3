/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the writing half shares: libext2fs over the cache of vol_ext_io.c. Every
 * function here is called under the tree's lock, alone.
 */
#ifndef IMGFS_VOL_EXT_WINT_H
#define IMGFS_VOL_EXT_WINT_H

#include <ext2fs/ext2fs.h>

#include "formats/volume/vol_ext_int.h"

struct vol_ext_lib {
	ext2_filsys fs;		/* owned */
	uint8_t *dirty_blocks;	/* a bit a group: its bitmaps must be */
	uint8_t *dirty_inodes;	/* written. Owned, both */
	/* What the superblock on disk says of the things that matter while the
	 * volume is in use. */
	struct ext2_super_block written;
	bool damaged;		/* something failed halfway: not clean */
};

/* ---- vol_ext_lib.c ---- */
int vol_ext_lib_open(struct vol_ext *v, struct diag *why);
void vol_ext_lib_free(struct vol_ext_lib *lib);	/* takes NULL */
/* libext2fs' error as -errno; remembers what must not be called clean. */
int vol_ext_err(struct vol_ext *v, errcode_t err);
void vol_ext_inode_used(struct vol_ext *v, uint32_t ino, bool used, bool dir);
/* Blocks [blk, blk + n) are allocated from now on. */
void vol_ext_blocks_used(ext2_filsys fs, uint64_t blk, uint32_t n);
/* libext2fs used or freed this inode, or an unknown one, by itself. */
void vol_ext_inode_noted(struct vol_ext *v, uint32_t ino);
void vol_ext_all_noted(struct vol_ext *v);

/* ---- vol_ext_flush.c ---- */
/* Bitmaps, group descriptors and superblock into the cache, the cache to the
 * dev, the dev to stable storage. */
int vol_ext_flush(struct vol_ext *v);

/* ---- vol_ext_orphan.c ---- */
int vol_ext_orphan_add(struct vol_ext *v, uint32_t ino);
int vol_ext_orphan_del(struct vol_ext *v, uint32_t ino);
/* Frees what a former mount left on the lists. */
int vol_ext_orphan_clean(struct vol_ext *v, struct diag *why);

/* ---- vol_ext_winode.c ---- */
typedef struct ext2_inode_large vol_ext_raw;
int vol_ext_winode_read(struct vol_ext *v, uint32_t ino, vol_ext_raw *out);
int vol_ext_winode_write(struct vol_ext *v, uint32_t ino, vol_ext_raw *in);
/* A new one: everything behind the known fields is zeroed. */
int vol_ext_winode_new(struct vol_ext *v, uint32_t ino, const vol_ext_raw *in);
enum { EXT_ATIME = 1, EXT_MTIME = 2, EXT_CTIME = 4, EXT_BTIME = 8 };
void vol_ext_winode_time(vol_ext_raw *in, unsigned which,
			 const struct timespec *ts);
void vol_ext_winode_now(vol_ext_raw *in, unsigned which);
int vol_ext_winode_touch(struct vol_ext *v, uint32_t ino, unsigned which);
/* An empty tree of extents. */
void vol_ext_winode_extents(vol_ext_raw *in);
/* Frees blocks, attributes and the inode. */
int vol_ext_winode_free(struct vol_ext *v, uint32_t ino);
/* A name less: at 0 it is freed, or kept as an orphan while it is open. */
int vol_ext_winode_unlink(struct vol_ext *v, uint32_t ino, bool all_links);
/* Directories count their subdirectories' "..". */
int vol_ext_winode_count(struct vol_ext *v, uint32_t ino, int by);

/* ---- vol_ext_wdir.c ---- */
int vol_ext_wdir_add(struct vol_ext *v, uint32_t dir, const char *name,
		     uint32_t ino, mode_t mode);
int vol_ext_wdir_remove(struct vol_ext *v, uint32_t dir, const char *name);
/* Lets an existing name (or "..") stand for another inode. */
int vol_ext_wdir_set(struct vol_ext *v, uint32_t dir, const char *name,
		     uint32_t ino, mode_t mode);
/* -ENOTEMPTY when it is not. */
int vol_ext_wdir_empty(struct vol_ext *v, uint32_t dir);

/* ---- vol_ext_windex.c ---- */
/* Gives a directory of one block an index. */
int vol_ext_windex_make(struct vol_ext *v, uint32_t dir);

/* ---- vol_ext_alloc.c ---- */
/* Makes [off, off + len) of a file writable in place; what is new and will
 * not be overwritten is zeroed. */
int vol_ext_alloc_range(struct vol_ext *v, uint32_t ino, uint64_t off,
			uint64_t len);
/* Zeros to what is allocated of [off, off + len); holes stay. */
int vol_ext_alloc_zero(struct vol_ext *v, uint32_t ino, uint64_t off,
		       uint64_t len);
/* Blocks [first, last] are freed. */
int vol_ext_alloc_punch(struct vol_ext *v, uint32_t ino, uint64_t first,
			uint64_t last);
/* Inline data moves to a block of its own. */
int vol_ext_alloc_outline(struct vol_ext *v, uint32_t ino);

/* ---- the tree's writing ops ---- */
int vol_ext_create(struct tree *t, uint64_t dir, const char *name,
		   const struct tree_new *what, struct tree_attr *out);
int vol_ext_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		 struct tree_attr *out);
int vol_ext_remove(struct tree *t, uint64_t dir, const char *name,
		   bool dir_wanted);
int vol_ext_rename(struct tree *t, uint64_t dir, const char *name,
		   uint64_t ndir, const char *nname, unsigned flags);
int vol_ext_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		    unsigned mask, struct tree_attr *out);
ssize_t vol_ext_write(struct tree *t, struct tree_file *f, const void *buf,
		      size_t len, uint64_t off);
void vol_ext_wrote(struct tree *t, struct tree_file *f);
int vol_ext_truncate(struct vol_ext *v, uint32_t ino, uint64_t size);
int vol_ext_allocate(struct tree *t, struct tree_file *f, int mode,
		     uint64_t off, uint64_t len);
int vol_ext_setxattr(struct tree *t, uint64_t id, const char *name,
		     const void *value, size_t size, int flags);
int vol_ext_removexattr(struct tree *t, uint64_t id, const char *name);

#endif
