/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext2, ext3 and ext4 as they lie on disk: what reading needs (kernel:
 * Documentation/filesystems/ext4). Writing goes through libext2fs.
 */
#ifndef IMGFS_VOL_EXT_DISK_H
#define IMGFS_VOL_EXT_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"

#define EXT_SUPER_OFF	1024u
#define EXT_SUPER_SIZE	1024u
#define EXT_MAGIC	0xef53u

enum {
	EXT_STATE_VALID = 1,
	EXT_STATE_ERROR = 2,
};

enum {
	EXT_COMPAT_JOURNAL = 0x4,
	EXT_COMPAT_DIR_INDEX = 0x20,
	EXT_COMPAT_ORPHAN_FILE = 0x1000,
};

enum {
	EXT_INCOMPAT_COMPRESSION = 0x1,
	EXT_INCOMPAT_FILETYPE = 0x2,
	EXT_INCOMPAT_RECOVER = 0x4,
	EXT_INCOMPAT_JOURNAL_DEV = 0x8,
	EXT_INCOMPAT_META_BG = 0x10,
	EXT_INCOMPAT_EXTENTS = 0x40,
	EXT_INCOMPAT_64BIT = 0x80,
	EXT_INCOMPAT_MMP = 0x100,
	EXT_INCOMPAT_FLEX_BG = 0x200,
	EXT_INCOMPAT_EA_INODE = 0x400,
	EXT_INCOMPAT_CSUM_SEED = 0x2000,
	EXT_INCOMPAT_LARGEDIR = 0x4000,
	EXT_INCOMPAT_INLINE_DATA = 0x8000,
	EXT_INCOMPAT_ENCRYPT = 0x10000,
	EXT_INCOMPAT_CASEFOLD = 0x20000,
};

enum {
	EXT_RO_SPARSE_SUPER = 0x1,
	EXT_RO_LARGE_FILE = 0x2,
	EXT_RO_HUGE_FILE = 0x8,
	EXT_RO_GDT_CSUM = 0x10,
	EXT_RO_DIR_NLINK = 0x20,
	EXT_RO_EXTRA_ISIZE = 0x40,
	EXT_RO_QUOTA = 0x100,
	EXT_RO_BIGALLOC = 0x200,
	EXT_RO_METADATA_CSUM = 0x400,
	EXT_RO_READONLY = 0x1000,
	EXT_RO_PROJECT = 0x2000,
	EXT_RO_SHARED_BLOCKS = 0x4000,
	EXT_RO_VERITY = 0x8000,
	EXT_RO_ORPHAN_PRESENT = 0x10000,
};

/* s_flags: how characters above 127 enter the directory hash. */
#define EXT_FLAGS_UNSIGNED_HASH 2u

struct ext_super_disk {
	le32_t inodes_count;
	le32_t blocks_lo;
	le32_t r_blocks_lo;
	le32_t free_blocks_lo;
	le32_t free_inodes;
	le32_t first_data_block;
	le32_t log_block_size;
	le32_t log_cluster_size;
	le32_t blocks_per_group;
	le32_t clusters_per_group;
	le32_t inodes_per_group;
	le32_t mtime, wtime;
	le16_t mnt_count, max_mnt_count;
	le16_t magic;
	le16_t state;
	le16_t errors;
	le16_t minor_rev;
	le32_t lastcheck, checkinterval;
	le32_t creator_os;
	le32_t rev_level;
	le16_t resuid, resgid;
	le32_t first_ino;
	le16_t inode_size;
	le16_t block_group_nr;
	le32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	uint8_t volume_name[16];
	uint8_t last_mounted[64];
	le32_t algorithm_bitmap;
	uint8_t prealloc_blocks, prealloc_dir_blocks;
	le16_t reserved_gdt_blocks;
	uint8_t journal_uuid[16];
	le32_t journal_inum;
	le32_t journal_dev;
	le32_t last_orphan;
	le32_t hash_seed[4];
	uint8_t def_hash_version;
	uint8_t jnl_backup_type;
	le16_t desc_size;
	le32_t default_mount_opts;
	le32_t first_meta_bg;
	le32_t mkfs_time;
	le32_t jnl_blocks[17];
	le32_t blocks_hi;
	le32_t r_blocks_hi;
	le32_t free_blocks_hi;
	le16_t min_extra_isize, want_extra_isize;
	le32_t flags;
	uint8_t raid_mmp[16];
	uint8_t log_groups_per_flex;
	uint8_t checksum_type;
	uint8_t encryption_level;
	uint8_t pad;
	uint8_t between[208];
	le32_t overhead_clusters;
	uint8_t between2[36];
	le32_t checksum_seed;
	uint8_t time_hi[8];
	le16_t encoding, encoding_flags;
	le32_t orphan_file_inum;
	uint8_t reserved[376];
	le32_t checksum;
};
static_assert(sizeof(struct ext_super_disk) == 1024, "ext super size");
static_assert(offsetof(struct ext_super_disk, magic) == 0x38, "magic");
static_assert(offsetof(struct ext_super_disk, inode_size) == 0x58, "isize");
static_assert(offsetof(struct ext_super_disk, journal_inum) == 0xe0, "jnl");
static_assert(offsetof(struct ext_super_disk, desc_size) == 0xfe, "desc");
static_assert(offsetof(struct ext_super_disk, blocks_hi) == 0x150, "hi");
static_assert(offsetof(struct ext_super_disk, flags) == 0x160, "flags");
static_assert(offsetof(struct ext_super_disk, checksum_type) == 0x175, "ct");
static_assert(offsetof(struct ext_super_disk, overhead_clusters) == 0x248,
	      "overhead");
static_assert(offsetof(struct ext_super_disk, checksum_seed) == 0x270, "seed");
static_assert(offsetof(struct ext_super_disk, orphan_file_inum) == 0x280,
	      "orphan file");
static_assert(offsetof(struct ext_super_disk, checksum) == 0x3fc, "checksum");

struct ext_group_disk {
	le32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	le16_t free_blocks_lo, free_inodes_lo, used_dirs_lo;
	le16_t flags;
	le32_t exclude_lo;
	le16_t block_csum_lo, inode_csum_lo;
	le16_t itable_unused_lo;
	le16_t checksum;
	/* With 64bit only: */
	le32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	le16_t free_blocks_hi, free_inodes_hi, used_dirs_hi;
	le16_t itable_unused_hi;
	uint8_t rest[12];
};
static_assert(sizeof(struct ext_group_disk) == 64, "ext group size");
static_assert(offsetof(struct ext_group_disk, checksum) == 0x1e, "bg csum");

#define EXT_GROUP_SIZE_OLD	32u
#define EXT_INODE_SIZE_OLD	128u

enum {
	EXT_IMMUTABLE_FL = 0x10,
	EXT_APPEND_FL = 0x20,
	EXT_ENCRYPT_FL = 0x800,
	EXT_INDEX_FL = 0x1000,
	EXT_JOURNAL_DATA_FL = 0x4000,
	EXT_HUGE_FILE_FL = 0x40000,
	EXT_EXTENTS_FL = 0x80000,
	EXT_VERITY_FL = 0x100000,
	EXT_EA_INODE_FL = 0x200000,
	EXT_INLINE_FL = 0x10000000,
	EXT_PROJINHERIT_FL = 0x20000000,
	EXT_CASEFOLD_FL = 0x40000000,
};

struct ext_inode_disk {
	le16_t mode;
	le16_t uid_lo;
	le32_t size_lo;
	le32_t atime, ctime, mtime, dtime;
	le16_t gid_lo;
	le16_t links;
	le32_t blocks_lo;
	le32_t flags;
	le32_t version_lo;
	uint8_t block[60];
	le32_t generation;
	le32_t file_acl_lo;
	le32_t size_hi;
	le32_t faddr;
	le16_t blocks_hi;
	le16_t file_acl_hi;
	le16_t uid_hi, gid_hi;
	le16_t checksum_lo;
	le16_t reserved;
	/* Behind the old 128 bytes, as far as extra_isize says: */
	le16_t extra_isize;
	le16_t checksum_hi;
	le32_t ctime_extra, mtime_extra, atime_extra;
	le32_t crtime, crtime_extra;
	le32_t version_hi;
	le32_t projid;
};
static_assert(sizeof(struct ext_inode_disk) == 160, "ext inode size");
static_assert(offsetof(struct ext_inode_disk, block) == 0x28, "i_block");
static_assert(offsetof(struct ext_inode_disk, checksum_lo) == 0x7c, "csum lo");
static_assert(offsetof(struct ext_inode_disk, crtime) == 0x90, "crtime");

#define EXT_EXTENT_MAGIC	0xf30au
#define EXT_EXTENT_DEPTH_MAX	5u
/* Longer lengths mean "allocated, but reads as zeros". */
#define EXT_EXTENT_INIT_MAX	32768u

struct ext_extent_head_disk {
	le16_t magic;
	le16_t entries;
	le16_t max;
	le16_t depth;
	le32_t generation;
};
static_assert(sizeof(struct ext_extent_head_disk) == 12, "extent head");

struct ext_extent_disk {
	le32_t block;
	le16_t len;
	le16_t start_hi;
	le32_t start_lo;
};
static_assert(sizeof(struct ext_extent_disk) == 12, "extent");

struct ext_extent_idx_disk {
	le32_t block;
	le32_t leaf_lo;
	le16_t leaf_hi;
	le16_t unused;
};
static_assert(sizeof(struct ext_extent_idx_disk) == 12, "extent index");

struct ext_dirent_disk {
	le32_t inode;
	le16_t rec_len;
	uint8_t name_len;
	uint8_t type;		/* with FILETYPE; else high byte of name_len */
};
static_assert(sizeof(struct ext_dirent_disk) == 8, "dirent");

/* An empty entry of this type ends a block and holds its checksum. */
#define EXT_DIRENT_TAIL_TYPE	0xdeu
#define EXT_DIRENT_TAIL_SIZE	12u

struct ext_dx_root_disk {	/* at 24 of block 0 of an indexed directory */
	le32_t reserved;
	uint8_t hash_version;
	uint8_t info_length;
	uint8_t levels;
	uint8_t unused;
};
static_assert(sizeof(struct ext_dx_root_disk) == 8, "dx root");

#define EXT_DX_ROOT_OFF		24u
#define EXT_DX_NODE_OFF		8u

struct ext_dx_entry_disk {	/* the first one's hash is limit and count */
	le32_t hash;
	le32_t block;
};
static_assert(sizeof(struct ext_dx_entry_disk) == 8, "dx entry");

#define EXT_XATTR_MAGIC		0xea020000u

struct ext_xattr_head_disk {
	le32_t magic, refcount, blocks, hash, checksum;
	le32_t reserved[3];
};
static_assert(sizeof(struct ext_xattr_head_disk) == 32, "xattr head");

struct ext_xattr_entry_disk {
	uint8_t name_len;
	uint8_t name_index;
	le16_t value_offs;
	le32_t value_inum;
	le32_t value_size;
	le32_t hash;
};
static_assert(sizeof(struct ext_xattr_entry_disk) == 16, "xattr entry");

#endif
