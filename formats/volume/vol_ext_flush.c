/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From libext2fs' memory to stable storage. */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

static bool test_bit(const uint8_t *map, uint32_t bit)
{
	return map[bit / 8] >> bit % 8 & 1;
}

/* What lies behind the volume's end counts as used. */
static void pad_last(ext2_filsys fs, uint8_t *buf)
{
	blk64_t blocks = ext2fs_blocks_count(fs->super) -
			 fs->super->s_first_data_block;
	blk64_t rest = blocks % EXT2_BLOCKS_PER_GROUP(fs->super);
	unsigned bits = fs->blocksize * 8;

	if (!rest)
		return;
	for (unsigned i = (unsigned)EXT2FS_NUM_B2C(fs, rest); i < bits; i++)
		ext2fs_set_bit(i, buf);
}

static errcode_t write_blocks(ext2_filsys fs, dgrp_t g, uint8_t *buf)
{
	unsigned n = EXT2_CLUSTERS_PER_GROUP(fs->super);
	blk64_t first = EXT2FS_B2C(fs, fs->super->s_first_data_block);
	errcode_t err;

	memset(buf, 0xff, fs->blocksize);
	err = ext2fs_get_block_bitmap_range2(fs->block_map,
					     first + (blk64_t)g * n, n, buf);
	if (err)
		return err;
	if (g == fs->group_desc_count - 1)
		pad_last(fs, buf);
	ext2fs_block_bitmap_csum_set(fs, g, (char *)buf, (int)(n / 8));
	ext2fs_group_desc_csum_set(fs, g);
	return io_channel_write_blk64(fs->io, ext2fs_block_bitmap_loc(fs, g), 1,
				      buf);
}

static errcode_t write_inodes(ext2_filsys fs, dgrp_t g, uint8_t *buf)
{
	unsigned n = EXT2_INODES_PER_GROUP(fs->super);
	errcode_t err;

	memset(buf, 0xff, fs->blocksize);
	err = ext2fs_get_inode_bitmap_range2(fs->inode_map,
					     1 + (__u64)g * n, n, buf);
	if (err)
		return err;
	ext2fs_inode_bitmap_csum_set(fs, g, (char *)buf, (int)((n + 7) / 8));
	ext2fs_group_desc_csum_set(fs, g);
	return io_channel_write_blk64(fs->io, ext2fs_inode_bitmap_loc(fs, g), 1,
				      buf);
}

static errcode_t write_group(struct vol_ext_lib *lib, dgrp_t g, uint8_t *buf)
{
	ext2_filsys fs = lib->fs;
	bool csum = ext2fs_has_group_desc_csum(fs);
	errcode_t err = 0;

	if (test_bit(lib->dirty_blocks, g) &&
	    !(csum && ext2fs_bg_flags_test(fs, g, EXT2_BG_BLOCK_UNINIT)))
		err = write_blocks(fs, g, buf);
	if (!err && test_bit(lib->dirty_inodes, g) &&
	    !(csum && ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT)))
		err = write_inodes(fs, g, buf);
	return err;
}

static errcode_t write_groups(struct vol_ext_lib *lib)
{
	ext2_filsys fs = lib->fs;
	dgrp_t n = fs->group_desc_count;
	uint8_t *buf = mem_alloc(1, fs->blocksize);
	errcode_t err = buf ? 0 : EXT2_ET_NO_MEMORY;

	for (dgrp_t g = 0; g < n && !err; g++) {
		if (!lib->dirty_blocks[g / 8] && !lib->dirty_inodes[g / 8]) {
			g |= 7;
			continue;
		}
		err = write_group(lib, g, buf);
	}
	free(buf);
	if (!err) {
		memset(lib->dirty_blocks, 0, n / 8 + 1);
		memset(lib->dirty_inodes, 0, n / 8 + 1);
		fs->flags &= ~(EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
	}
	return err;
}

/*
 * A superblock has two sectors, and its checksum is in the second: a power cut
 * may tear it. So it is written when the volume is marked, when it is clean
 * again, and between only for what e2fsck could not find out by itself.
 */
static int write_super(struct vol_ext *v)
{
	struct ext2_super_block *s = v->lib->fs->super, raw;
	struct ext2_super_block *w = &v->lib->written;

	if (s->s_state == w->s_state && s->s_last_orphan == w->s_last_orphan &&
	    s->s_feature_incompat == w->s_feature_incompat &&
	    s->s_feature_ro_compat == w->s_feature_ro_compat)
		return 0;
	s->s_block_group_nr = 0;
	ext2fs_superblock_csum_set(v->lib->fs, s);
	raw = *s;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	ext2fs_swap_super(&raw);
#endif
	*w = *s;
	return vol_ext_io_write(v->io, EXT_SUPER_OFF, &raw, sizeof(raw));
}

int vol_ext_flush(struct vol_ext *v)
{
	struct vol_ext_lib *lib = v->lib;
	ext2_filsys fs = lib->fs;
	errcode_t err = 0;
	int ret;

	if (fs->flags & (EXT2_FLAG_DIRTY | EXT2_FLAG_BB_DIRTY |
			 EXT2_FLAG_IB_DIRTY)) {
		err = write_groups(lib);
		if (!err)
			err = ext2fs_flush2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	}
	ret = vol_ext_err(v, err);
	if (!ret)
		ret = write_super(v);
	if (!ret)
		ret = vol_ext_io_write_back(v->io);
	if (!ret)
		ret = dev_flush(v->base);
	if (ret)
		lib->damaged = true;
	return ret;
}
