/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the ext backend share. Reading is ours, on a thread-safe
 * block cache, so that readers overlap; libext2fs is opened by begin_write and
 * writes through the same cache (vol_ext_wint.h).
 */
#ifndef IMGFS_VOL_EXT_INT_H
#define IMGFS_VOL_EXT_INT_H

#include "formats/tree.h"
#include "formats/volume/vol_ext.h"
#include "formats/volume/vol_ext_disk.h"

struct vol_ext_io;
struct vol_ext_lib;

/* The superblock, checked. */
struct ext_super {
	uint32_t block_size, block_bits;
	uint32_t cluster_blocks;	/* blocks in a cluster; 1 */
	uint64_t blocks, r_blocks;
	uint32_t inodes, free_inodes;
	uint32_t first_data_block;
	uint32_t blocks_per_group, inodes_per_group;
	uint32_t groups;
	uint32_t inode_size, desc_size, first_ino;
	uint32_t compat, incompat, ro_compat;
	uint32_t first_meta_bg, reserved_gdt;
	uint16_t state;
	uint32_t journal_inum, last_orphan, orphan_file;
	uint32_t overhead_clusters;
	uint32_t hash_seed[4];
	bool hash_unsigned;
	uint32_t csum_seed;
	uint8_t uuid[16];
	char label[64];
};

struct ext_group {
	uint64_t inode_table;
	uint32_t free_blocks, free_inodes;	/* blocks: in clusters */
};

/* An inode, checked. */
struct ext_inode {
	uint32_t ino;
	uint16_t mode;
	uint32_t uid, gid, links, flags, gen, rdev;
	uint32_t dtime;
	uint64_t size, blocks;		/* bytes; 512-byte units */
	uint64_t file_acl;		/* block of attributes, or 0 */
	struct timespec atime, mtime, ctime, btime;
	uint8_t block[60];
	uint16_t ea_off;		/* of attributes in the inode, or 0 */
};

/* Blocks that lie together: pblk 0 is a hole. */
struct ext_run {
	uint64_t pblk;
	uint64_t len;
	bool unwritten;		/* allocated, reads as zeros */
};

struct vol_ext {
	struct tree tree;
	struct dev *base;		/* not owned: the volume */
	struct dev *ram;		/* owned: replayed journal, or NULL */
	struct dev *dev;		/* ram or base */
	struct vol_ext_io *io;		/* owned */
	struct ext_super sb;
	uint64_t super_off;		/* of the superblock in use */
	uint32_t super_group;		/* the group whose copy it is */
	struct vol_ext_lib *lib;	/* owned; NULL until begin_write */
	bool replayed;			/* a journal was replayed into ram */
	bool journal_fast;		/* fast commits were left out */
	bool journal_error;		/* the journal records an error */
	bool norecovery;		/* dirty, and shown as it stands */
	uint32_t journal_next;		/* sequence for the emptied journal */
};

struct vol_ext_file {
	struct tree_file f;
};

static inline struct vol_ext *vol_ext_of(struct tree *t)
{
	return (struct vol_ext *)t;
}
static_assert(offsetof(struct vol_ext, tree) == 0, "tree comes first");

/* FUSE's root is 1 and ext's is 2; ext's 1 is the bad blocks inode. */
static inline uint32_t vol_ext_ino(uint64_t id)
{
	return id == 1 ? 2 : id == 2 ? 1 : id > UINT32_MAX ? 0 : (uint32_t)id;
}

static inline uint64_t vol_ext_id(uint32_t ino)
{
	return ino == 1 ? 2 : ino == 2 ? 1 : ino;
}

static inline bool vol_ext_has_csum(const struct ext_super *sb)
{
	return sb->ro_compat & EXT_RO_METADATA_CSUM;
}

/* ---- vol_ext_io.c: blocks, cached; written ones are kept until sync ---- */
int vol_ext_io_new(struct dev *dev, uint32_t block_size,
		   struct vol_ext_io **out);
void vol_ext_io_free(struct vol_ext_io *io);	/* takes NULL */
int vol_ext_io_read(struct vol_ext_io *io, uint64_t off, void *buf, size_t len);
int vol_ext_io_write(struct vol_ext_io *io, uint64_t off, const void *buf,
		     size_t len);
/* A pinned block of the cache, as io_write left it. */
int vol_ext_io_get(struct vol_ext_io *io, uint64_t blk, const void **out);
void vol_ext_io_put(struct vol_ext_io *io, const void *block);
/* These blocks now hold file data, which bypasses the cache. */
void vol_ext_io_forget(struct vol_ext_io *io, uint64_t blk, uint64_t n);
/* Everything written goes to the dev, in ascending order; no flush. */
int vol_ext_io_write_back(struct vol_ext_io *io);
void vol_ext_io_drop_all(struct vol_ext_io *io);

/* ---- vol_ext_super.c ---- */
int vol_ext_super_decode(const void *raw, uint64_t dev_size,
			 struct ext_super *out, struct diag *why);
int vol_ext_group_load(struct vol_ext *v, uint32_t group,
		       struct ext_group *out);

/* ---- vol_ext_inode.c ---- */
/* Needs room for sb.inode_size bytes when raw is not NULL. -ENOENT: free. */
int vol_ext_inode_load(struct vol_ext *v, uint32_t ino, struct ext_inode *out);
int vol_ext_inode_raw(struct vol_ext *v, uint32_t ino, void *raw);
void vol_ext_inode_attr(const struct ext_inode *in, struct tree_attr *out);
/* The seed of this inode's blocks' checksums. */
uint32_t vol_ext_inode_seed(struct vol_ext *v, const struct ext_inode *in);
int vol_ext_getattr(struct tree *t, uint64_t id, struct tree_attr *out);

/* ---- vol_ext_map.c ---- */
/* Where block lblk is, and up to max blocks behind it. */
int vol_ext_map(struct vol_ext *v, const struct ext_inode *in, uint64_t lblk,
		uint64_t max, struct ext_run *out);
/* A block of metadata (directory) through the cache; holes are -EUCLEAN. */
int vol_ext_map_get(struct vol_ext *v, const struct ext_inode *in,
		    uint64_t lblk, const void **out);

/* ---- vol_ext_data.c ---- */
bool vol_ext_is_inline(const struct ext_inode *in);
/* All of it, at most 64 KiB: the caller frees *out. */
int vol_ext_inline_load(struct vol_ext *v, const struct ext_inode *in,
			uint8_t **out, size_t *len);
ssize_t vol_ext_data_read(struct vol_ext *v, const struct ext_inode *in,
			  void *buf, size_t len, uint64_t off);
int vol_ext_open_file(struct tree *t, uint64_t id, bool write,
		      struct tree_file **out);
void vol_ext_release(struct tree *t, struct tree_file *f);
ssize_t vol_ext_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		     uint64_t off);
int vol_ext_extents(struct tree *t, struct tree_file *f, uint64_t off,
		    uint64_t len, bool for_write, struct tree_extent *ext,
		    int max);
off_t vol_ext_seek(struct tree *t, struct tree_file *f, off_t off, int whence);
int vol_ext_readlink(struct tree *t, uint64_t id, char *buf, size_t size);

/* ---- vol_ext_dir.c ---- */
struct ext_dirent {
	uint32_t ino;
	uint32_t rec_len;
	uint8_t type;
	uint8_t name_len;
	const char *name;
};
/* The entry at off of a directory block of len bytes; checks everything. */
int vol_ext_dirent(struct vol_ext *v, const uint8_t *block, uint32_t len,
		   uint32_t off, struct ext_dirent *out);
/* Where a name is: for changing the entry in place. */
struct ext_dirpos {
	uint64_t lblk;
	uint32_t off, prev;	/* in the block; prev == off: the first */
	uint32_t ino;
	uint8_t type;
};
int vol_ext_dir_find(struct vol_ext *v, const struct ext_inode *dir,
		     const char *name, struct ext_dirpos *out);
int vol_ext_dir_scan(struct vol_ext *v, const uint8_t *block, uint32_t len,
		     const char *name, struct ext_dirpos *out);
int vol_ext_lookup(struct tree *t, uint64_t dir, const char *name,
		   struct tree_attr *out);
int vol_ext_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		 tree_emit_fn emit, void *ctx);
int vol_ext_dir_load(struct vol_ext *v, uint64_t id, struct ext_inode *out);

/* ---- vol_ext_htree.c ---- */
/* As vol_ext_dir_find; -EOPNOTSUPP: look through all blocks instead. */
int vol_ext_htree_find(struct vol_ext *v, const struct ext_inode *dir,
		       const char *name, struct ext_dirpos *out);

/* ---- vol_ext_xattr.c ---- */
/* Value of attribute "system.data": the second half of inline data. */
int vol_ext_xattr_data(struct vol_ext *v, const struct ext_inode *in,
		       void *buf, size_t size, size_t *len);
/* What values in inodes of their own add to this inode's block count. */
int vol_ext_xattr_outside(struct vol_ext *v, uint32_t ino, uint64_t *sectors);
ssize_t vol_ext_getxattr(struct tree *t, uint64_t id, const char *name,
			 void *buf, size_t size);
ssize_t vol_ext_listxattr(struct tree *t, uint64_t id, char *buf, size_t size);

/* ---- vol_ext_acl.c ---- */
/* ACLs are shorter on disk than in the attribute's value. */
ssize_t vol_ext_acl_value(const uint8_t *raw, size_t len, uint8_t *buf,
			  size_t size);

/* ---- vol_ext_journal.c ---- */
/* Finds a journal that must be replayed and does it into v->ram. */
int vol_ext_journal_replay(struct vol_ext *v, const struct volume_opts *opts,
			   struct diag *why);
/* After the overlay was applied and flushed: the journal is empty now. */
int vol_ext_journal_empty(struct vol_ext *v, struct diag *why);

/* ---- vol_ext_begin.c: the writing half's door ---- */
int vol_ext_check_write(struct tree *t, struct diag *why);
int vol_ext_begin_write(struct tree *t, struct diag *why);
int vol_ext_sync(struct tree *t, uint64_t id, bool data_only);
/* Flushes and marks the volume clean, if it was written to. */
void vol_ext_end_write(struct vol_ext *v);

/* ---- vol_ext.c ---- */
int vol_ext_statfs(struct tree *t, struct statvfs *out);

#endif
