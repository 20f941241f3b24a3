/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The first index of a directory: libext2fs adds to indexes and splits them,
 * but never begins one. The entries move to a second block; the first becomes
 * the root, which looks like "." and ".." to those who know no index.
 */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

struct pair {
	uint8_t *root, *leaf;
	uint64_t root_blk, leaf_blk;
};

static unsigned tail_size(ext2_filsys fs)
{
	return ext2fs_has_feature_metadata_csum(fs->super) ?
		EXT_DIRENT_TAIL_SIZE : 0;
}

/* Entries behind ".." go to the leaf, close together. */
static int move_entries(struct vol_ext *v, struct pair *p)
{
	ext2_filsys fs = v->lib->fs;
	unsigned end = fs->blocksize - tail_size(fs), to = 0, last = 0;
	struct ext_dirent e;

	for (unsigned off = 0, n = 0; off < end; off += e.rec_len, n++) {
		struct ext2_dir_entry *d = (void *)(p->leaf + to);
		int ret = vol_ext_dirent(v, p->root, end, off, &e);

		if (ret)
			return ret;
		if (n < 2 || !e.ino)
			continue;
		last = to;
		to += sizeof(struct ext_dirent_disk) +
		      (unsigned)round_up(e.name_len, 4);
		memcpy(d, p->root + off, to - last);
		ext2fs_set_rec_len(fs, to - last, d);
	}
	ext2fs_set_rec_len(fs, end - last, (void *)(p->leaf + last));
	if (tail_size(fs))
		ext2fs_initialize_dirent_tail(fs, EXT2_DIRENT_TAIL(p->leaf,
							fs->blocksize));
	return 0;
}

static void make_root(struct vol_ext *v, struct pair *p)
{
	ext2_filsys fs = v->lib->fs;
	struct ext2_dir_entry *dotdot = (void *)(p->root + 12);
	struct ext_dx_root_disk *root = (void *)(p->root + EXT_DX_ROOT_OFF);
	struct ext_dx_entry_disk *first = (void *)(root + 1);
	uint32_t room = fs->blocksize - EXT_DX_ROOT_OFF - sizeof(*root) -
			(tail_size(fs) ? 8 : 0);
	le16_t limit = to_le16((uint16_t)(room / sizeof(*first)));
	le16_t count = to_le16(1);

	memset(root, 0, fs->blocksize - EXT_DX_ROOT_OFF);
	ext2fs_set_rec_len(fs, fs->blocksize - 12, dotdot);
	root->hash_version = fs->super->s_def_hash_version;
	root->info_length = sizeof(*root);
	memcpy(&first->hash.b[0], &limit, sizeof(limit));
	memcpy(&first->hash.b[2], &count, sizeof(count));
	first->block = to_le32(1);
}

static errcode_t find_blocks(ext2_filsys fs, uint32_t dir, struct pair *p)
{
	blk64_t blk;
	errcode_t err = ext2fs_bmap2(fs, dir, NULL, NULL, 0, 0, NULL, &blk);

	if (err)
		return err;
	p->root_blk = blk;
	err = ext2fs_bmap2(fs, dir, NULL, NULL, 0, 1, NULL, &blk);
	p->leaf_blk = blk;
	if (!err)
		err = ext2fs_read_dir_block4(fs, p->root_blk, p->root, 0, dir);
	return err;
}

static errcode_t write_index(ext2_filsys fs, uint32_t dir, struct pair *p)
{
	struct ext2_inode in;
	errcode_t err = ext2fs_read_inode(fs, dir, &in);

	if (err)
		return err;
	in.i_flags |= EXT2_INDEX_FL;
	err = ext2fs_write_inode(fs, dir, &in);
	if (!err)
		err = ext2fs_write_dir_block4(fs, p->leaf_blk, p->leaf, 0, dir);
	if (!err)
		err = ext2fs_write_dir_block4(fs, p->root_blk, p->root, 0, dir);
	return err;
}

int vol_ext_windex_make(struct vol_ext *v, uint32_t dir)
{
	ext2_filsys fs = v->lib->fs;
	struct pair p = {
		.root = mem_zalloc(1, fs->blocksize),
		.leaf = mem_zalloc(1, fs->blocksize),
	};
	int ret = -ENOMEM;

	if (p.root && p.leaf)
		ret = vol_ext_err(v, ext2fs_expand_dir(fs, dir));
	if (!ret)
		ret = vol_ext_err(v, find_blocks(fs, dir, &p));
	if (!ret)
		ret = move_entries(v, &p);
	if (!ret) {
		make_root(v, &p);
		ret = vol_ext_err(v, write_index(fs, dir, &p));
	}
	free(p.root);
	free(p.leaf);
	return ret;
}
