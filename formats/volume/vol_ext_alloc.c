/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks for file data: allocated in long pieces, never showing what they
 * held before. */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

/* Calls fn for every piece of [off, off + len) that has initialized blocks. */
static int each_piece(struct vol_ext *v, uint32_t ino, uint64_t off,
		      uint64_t len, int (*fn)(struct vol_ext *v, uint64_t at,
					      uint64_t n))
{
	uint32_t bits = v->sb.block_bits;
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, ino, &in);

	while (!ret && len) {
		uint64_t skip = off & (v->sb.block_size - 1), n;
		struct ext_run run;

		/* Blocks have 32-bit numbers: nothing lies behind. */
		if (off >> bits > UINT32_MAX)
			return 0;
		ret = vol_ext_map(v, &in, off >> bits, UINT32_MAX, &run);
		if (ret)
			return ret;
		n = min_of((run.len << bits) - skip, len);
		if (run.pblk && !run.unwritten)
			ret = fn(v, (run.pblk << bits) + skip, n);
		off += n;
		len -= n;
	}
	return ret;
}

static int zero_piece(struct vol_ext *v, uint64_t at, uint64_t n)
{
	return dev_zero(v->dev, at, n, false);
}

int vol_ext_alloc_zero(struct vol_ext *v, uint32_t ino, uint64_t off,
		       uint64_t len)
{
	return each_piece(v, ino, off, len, zero_piece);
}

static int forget_piece(struct vol_ext *v, uint64_t at, uint64_t n)
{
	vol_ext_io_forget(v->io, at >> v->sb.block_bits,
			  n >> v->sb.block_bits);
	return 0;
}

int vol_ext_alloc_punch(struct vol_ext *v, uint32_t ino, uint64_t first,
			uint64_t last)
{
	vol_ext_raw in;
	errcode_t err;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	err = ext2fs_punch(v->lib->fs, ino, EXT2_INODE(&in), NULL, first, last);
	ret = vol_ext_winode_write(v, ino, &in);
	return err ? vol_ext_err(v, err) : ret;
}

/* Enters blocks for a piece of a hole: the extent in front of it grows if it
 * can, which ext2fs_extent_insert() would not see to. */
static errcode_t map_piece(ext2_extent_handle_t h, uint64_t lblk, uint64_t pblk,
			   uint32_t len)
{
	struct ext2fs_extent ex, new = {
		.e_lblk = lblk, .e_pblk = pblk, .e_len = len,
	};
	errcode_t err;
	int op;

	ext2fs_extent_goto(h, lblk);	/* the extent beside a hole will do */
	err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &ex);
	if (err == EXT2_ET_NO_CURRENT_NODE)
		memset(&ex, 0, sizeof(ex));
	else if (err)
		return err;
	if (ex.e_len && ex.e_lblk + ex.e_len == lblk &&
	    ex.e_pblk + ex.e_len == pblk &&
	    !(ex.e_flags & EXT2_EXTENT_FLAGS_UNINIT) &&
	    ex.e_len + len <= EXT_INIT_MAX_LEN) {
		ex.e_len += len;
		return ext2fs_extent_replace(h, 0, &ex);
	}
	op = ex.e_lblk > lblk ? 0 : EXT2_EXTENT_INSERT_AFTER;
	err = ext2fs_extent_insert(h, op, &new);
	return err ? err : ext2fs_extent_fix_parents(h);
}

/* ext2fs_fallocate() would make an extent of each call, and fill the hole in
 * front of a file's first extent to its end. */
static errcode_t fill_extents(ext2_filsys fs, uint32_t ino, vol_ext_raw *in,
			      uint64_t lblk, uint64_t n)
{
	struct ext2_inode *inode = EXT2_INODE(in);
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(fs, ino, inode, &h);
	blk64_t goal;

	if (err)
		return err;
	goal = ext2fs_find_inode_goal(fs, ino, inode, lblk);
	while (n && !err) {
		blk64_t pblk, got;

		err = ext2fs_new_range(fs, 0, goal, min_of(n, (uint64_t)
				       EXT_INIT_MAX_LEN), NULL, &pblk, &got);
		if (err)
			break;
		got = min_of(got, n);
		vol_ext_blocks_used(fs, pblk, (uint32_t)got);
		err = ext2fs_iblk_add_blocks(fs, inode, got);
		if (!err)
			err = map_piece(h, lblk, pblk, (uint32_t)got);
		goal = pblk + got;
		if (goal >= ext2fs_blocks_count(fs->super))
			goal = fs->super->s_first_data_block;
		lblk += got;
		n -= got;
	}
	ext2fs_extent_free(h);
	return err;
}

static int fill_hole(struct vol_ext *v, uint32_t ino, uint64_t lblk, uint64_t n)
{
	ext2_filsys fs = v->lib->fs;
	bool plain = v->sb.cluster_blocks == 1;
	vol_ext_raw in;
	errcode_t err;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	if (n > ext2fs_free_blocks_count(fs->super) + v->sb.cluster_blocks - 1)
		return -ENOSPC;
	/* A cluster has more blocks than were asked for: they need zeros. */
	if (plain && in.i_flags & EXT4_EXTENTS_FL)
		err = fill_extents(fs, ino, &in, lblk, n);
	else
		err = ext2fs_fallocate(fs, EXT2_FALLOCATE_FORCE_INIT |
				       EXT2_FALLOCATE_ZERO_BLOCKS, ino,
				       EXT2_INODE(&in), ~0ULL, lblk, n);
	ret = vol_ext_winode_write(v, ino, &in);
	if (!err)
		return ret;
	/* What it did get shows old data: it must go. */
	if (vol_ext_alloc_punch(v, ino, lblk, lblk + n - 1))
		v->lib->damaged = true;
	return vol_ext_err(v, err);
}

static errcode_t set_written(ext2_filsys fs, uint32_t ino, vol_ext_raw *in,
			     uint64_t lblk, const struct ext_run *run)
{
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(fs, ino, EXT2_INODE(in), &h);

	if (err)
		return err;
	for (uint64_t i = 0; i < run->len && !err; i++)
		err = ext2fs_extent_set_bmap(h, lblk + i, run->pblk + i, 0);
	ext2fs_extent_free(h);
	return err;
}

static int convert(struct vol_ext *v, uint32_t ino, uint64_t lblk,
		   const struct ext_run *run)
{
	vol_ext_raw in;
	errcode_t err;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	err = set_written(v->lib->fs, ino, &in, lblk, run);
	ret = vol_ext_winode_write(v, ino, &in);
	return err ? vol_ext_err(v, err) : ret;
}

/* The parts of new blocks [lblk, lblk + n) that the write will not cover. */
static int zero_edges(struct vol_ext *v, uint32_t ino, uint64_t lblk,
		      uint64_t n, const uint64_t range[2])
{
	uint64_t from = lblk << v->sb.block_bits;
	uint64_t to = (lblk + n) << v->sb.block_bits;
	int ret = each_piece(v, ino, from, to - from, forget_piece);

	if (!ret && from < range[0])
		ret = vol_ext_alloc_zero(v, ino, from, range[0] - from);
	if (!ret && to > range[1])
		ret = vol_ext_alloc_zero(v, ino, range[1], to - range[1]);
	return ret;
}

int vol_ext_alloc_range(struct vol_ext *v, uint32_t ino, uint64_t off,
			uint64_t len)
{
	uint32_t bits = v->sb.block_bits;
	const uint64_t range[2] = { off, off + len };
	uint64_t lblk = off >> bits, end = (off + len - 1) >> bits;

	while (lblk <= end) {
		struct ext_inode in;
		struct ext_run run;
		int ret = vol_ext_inode_load(v, ino, &in);

		if (!ret)
			ret = vol_ext_map(v, &in, lblk, end - lblk + 1, &run);
		if (ret)
			return ret;
		if (!run.pblk)
			ret = fill_hole(v, ino, lblk, run.len);
		else if (run.unwritten)
			ret = convert(v, ino, lblk, &run);
		if (!ret && (!run.pblk || run.unwritten))
			ret = zero_edges(v, ino, lblk, run.len, range);
		if (ret)
			return ret;
		lblk += run.len;
	}
	return 0;
}

static errcode_t drop_inline_attr(ext2_filsys fs, uint32_t ino)
{
	struct ext2_xattr_handle *h;
	errcode_t err = ext2fs_xattrs_open(fs, ino, &h);

	if (err)
		return err;
	err = ext2fs_xattrs_read(h);
	if (!err)
		err = ext2fs_xattr_remove(h, "system.data");
	ext2fs_xattrs_close(&h);
	return err;
}

/* From here to the end of the write the contents are in memory only. */
static int move_out(struct vol_ext *v, const struct ext_inode *in,
		    const uint8_t *data)
{
	vol_ext_raw raw;
	struct ext_inode now;
	struct ext_run run;
	int ret = vol_ext_err(v, drop_inline_attr(v->lib->fs, in->ino));

	if (!ret)
		ret = vol_ext_winode_read(v, in->ino, &raw);
	if (ret)
		return ret;
	raw.i_flags &= ~(__u32)EXT4_INLINE_DATA_FL;
	memset(raw.i_block, 0, sizeof(raw.i_block));
	if (v->sb.incompat & EXT_INCOMPAT_EXTENTS)
		vol_ext_winode_extents(&raw);
	ret = vol_ext_winode_write(v, in->ino, &raw);
	if (ret || !in->size)
		return ret;
	/* Inline data is shorter than a block. */
	ret = vol_ext_alloc_range(v, in->ino, 0, in->size);
	if (!ret)
		ret = vol_ext_inode_load(v, in->ino, &now);
	if (!ret)
		ret = vol_ext_map(v, &now, 0, 1, &run);
	return ret ? ret : dev_write(v->dev, data, (size_t)in->size,
				     run.pblk << v->sb.block_bits);
}

int vol_ext_alloc_outline(struct vol_ext *v, uint32_t ino)
{
	struct ext_inode in;
	uint8_t *data;
	size_t len;
	int ret = vol_ext_inode_load(v, ino, &in);

	if (ret || !vol_ext_is_inline(&in))
		return ret;
	if (!S_ISREG(in.mode) || in.size > v->sb.block_size)
		return -ERR_CORRUPT;
	if (ext2fs_free_blocks_count(v->lib->fs->super) <
	    2 * v->sb.cluster_blocks)
		return -ENOSPC;
	ret = vol_ext_inline_load(v, &in, &data, &len);
	if (ret)
		return ret;
	ret = move_out(v, &in, data);
	if (ret)
		v->lib->damaged = true;
	free(data);
	return ret;
}
