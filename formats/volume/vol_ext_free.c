/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an ext volume has free, by its block bitmaps as libext2fs reads them
 * (it knows the groups whose bitmap was never written). */
#include "formats/base/bounds.h"
#include "formats/volume/vol_ext_wint.h"

static int check_clean(const struct vol_ext *v, struct diag *why)
{
	const struct ext_super *sb = &v->sb;

	if (v->replayed || v->norecovery || v->journal_error ||
	    (sb->incompat & EXT_INCOMPAT_RECOVER) || sb->last_orphan ||
	    !(sb->state & EXT_STATE_VALID) || (sb->state & EXT_STATE_ERROR))
		return diag_fail_as(why, EBUSY, OUT_VOLUME_DIRTY, "ext4: not "
				    "clean: what is free is not certain");
	/* One block may belong to several files: free means something else. */
	if (sb->ro_compat & EXT_RO_SHARED_BLOCKS)
		return diag_fail(why, ERR_UNSUPP, "ext4: with shared blocks");
	return 0;
}

static int walk(struct vol_ext *v, volume_free_fn fn, void *ctx)
{
	ext2_filsys fs = v->lib->fs;
	blk64_t blk = v->sb.first_data_block, end = v->sb.blocks, used;
	uint64_t bs = v->sb.block_size;

	while (blk < end) {
		int ret;

		if (ext2fs_find_first_zero_block_bitmap2(fs->block_map, blk,
							 end - 1, &blk))
			return 0;
		if (ext2fs_find_first_set_block_bitmap2(fs->block_map, blk,
							end - 1, &used))
			used = end;
		ret = fn(ctx, blk * bs, (used - blk) * bs);
		if (ret)
			return ret;
		blk = used;
	}
	return 0;
}

int vol_ext_free_ranges(struct dev *dev, volume_free_fn fn, void *ctx,
			struct diag *why)
{
	struct volume_opts opts = { 0 };
	struct vol_ext *v;
	struct tree *t;
	int ret = vol_ext_open(dev, &opts, &t, why);

	if (ret)
		return ret;
	v = vol_ext_of(t);
	ret = check_clean(v, why);
	if (!ret)
		ret = vol_ext_lib_open(v, why);
	if (!ret)
		ret = walk(v, fn, ctx);
	/* Nothing was begun, so nothing is to be ended. */
	vol_ext_lib_free(v->lib);
	v->lib = NULL;
	tree_close(t);
	return ret;
}
