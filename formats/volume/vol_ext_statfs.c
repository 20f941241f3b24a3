/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Free space: from the group descriptors, since the kernel brings the
 * superblock's counts up to date only now and then. */
#include "formats/volume/vol_ext_wint.h"

#include "formats/base/bounds.h"

/* What the file system itself takes, when the superblock does not say. */
static uint64_t overhead(const struct ext_super *s)
{
	uint64_t tables = (uint64_t)s->inodes_per_group * s->inode_size >>
			  s->block_bits;
	uint64_t desc = div_up((uint64_t)s->groups * s->desc_size,
			       s->block_size);

	if (s->overhead_clusters)
		return (uint64_t)s->overhead_clusters * s->cluster_blocks;
	return s->first_data_block + 1 + desc + s->reserved_gdt +
	       (tables + 2) * s->groups;
}

int vol_ext_statfs(struct tree *t, struct statvfs *out)
{
	struct vol_ext *v = vol_ext_of(t);
	const struct ext_super *s = &v->sb;
	uint64_t free_blocks = 0, free_inodes = 0, taken = overhead(s);

	if (v->lib) {
		free_blocks = ext2fs_free_blocks_count(v->lib->fs->super);
		free_inodes = v->lib->fs->super->s_free_inodes_count;
	}
	for (uint32_t i = 0; i < s->groups && !v->lib; i++) {
		struct ext_group g;
		int ret = vol_ext_group_load(v, i, &g);

		if (ret)
			return ret;
		free_blocks += (uint64_t)g.free_blocks * s->cluster_blocks;
		free_inodes += g.free_inodes;
	}
	*out = (struct statvfs) {
		.f_bsize = s->block_size, .f_frsize = s->block_size,
		.f_blocks = s->blocks - min_of(taken, s->blocks),
		.f_bfree = free_blocks,
		.f_bavail = free_blocks - min_of(s->r_blocks, free_blocks),
		.f_files = s->inodes, .f_ffree = free_inodes,
		.f_favail = free_inodes, .f_namemax = 255,
	};
	return 0;
}
