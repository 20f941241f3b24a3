/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inodes without a name that are still open, or were when the volume was last
 * in use: a list through i_dtime, and on newer volumes a file of numbers
 * (kernel: ext4/orphan.rst). We add to the list; both are emptied.
 */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/crc.h"

#define ORPHAN_MAGIC 0x0b10ca04u

int vol_ext_orphan_add(struct vol_ext *v, uint32_t ino)
{
	struct ext2_super_block *super = v->lib->fs->super;
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	in.i_dtime = super->s_last_orphan;
	ret = vol_ext_winode_write(v, ino, &in);
	if (ret)
		return ret;
	super->s_last_orphan = ino;
	ext2fs_mark_super_dirty(v->lib->fs);
	return 0;
}

int vol_ext_orphan_del(struct vol_ext *v, uint32_t ino)
{
	struct ext2_super_block *super = v->lib->fs->super;
	uint32_t at = super->s_last_orphan, prev = 0, next;
	vol_ext_raw in;
	int ret;

	for (uint32_t n = 0; at && at != ino; n++) {
		if (n > super->s_inodes_count)
			return -ERR_CORRUPT;
		ret = vol_ext_winode_read(v, at, &in);
		if (ret)
			return ret;
		prev = at;
		at = in.i_dtime;
	}
	if (!at)
		return 0;
	ret = vol_ext_winode_read(v, ino, &in);
	if (ret)
		return ret;
	next = in.i_dtime;
	if (!prev) {
		super->s_last_orphan = next;
		ext2fs_mark_super_dirty(v->lib->fs);
		return 0;
	}
	ret = vol_ext_winode_read(v, prev, &in);
	in.i_dtime = next;
	return ret ? ret : vol_ext_winode_write(v, prev, &in);
}

/* One that has names was being truncated. */
static int clean_one(struct vol_ext *v, uint32_t ino)
{
	ext2_filsys fs = v->lib->fs;
	vol_ext_raw in;
	int ret;

	if (ino < EXT2_FIRST_INODE(fs->super) ||
	    ino > fs->super->s_inodes_count ||
	    !ext2fs_test_inode_bitmap2(fs->inode_map, ino))
		return -ERR_CORRUPT;
	ret = vol_ext_winode_read(v, ino, &in);
	if (ret)
		return ret;
	if (!in.i_links_count)
		return vol_ext_winode_free(v, ino);
	in.i_dtime = 0;
	ret = vol_ext_winode_write(v, ino, &in);
	return ret ? ret : vol_ext_truncate(v, ino, EXT2_I_SIZE(&in));
}

static int clean_list(struct vol_ext *v)
{
	struct ext2_super_block *super = v->lib->fs->super;

	/* A freed inode is no orphan: a list in a circle ends as corrupt. */
	while (super->s_last_orphan) {
		uint32_t ino = super->s_last_orphan;
		vol_ext_raw in;
		int ret = vol_ext_winode_read(v, ino, &in);

		if (!ret)
			ret = clean_one(v, ino);
		if (ret)
			return ret;
		super->s_last_orphan = in.i_dtime;
		ext2fs_mark_super_dirty(v->lib->fs);
	}
	return 0;
}

static int clean_block(struct vol_ext *v, const struct ext_inode *file,
		       uint64_t lblk, uint8_t *buf)
{
	uint32_t bs = v->sb.block_size, n = (bs - 8) / 4, crc;
	struct ext_run run;
	le32_t sum;
	le64_t nr;
	int ret = vol_ext_map(v, file, lblk, 1, &run);

	if (ret || !run.pblk)
		return ret ? ret : -ERR_CORRUPT;
	ret = vol_ext_io_read(v->io, run.pblk * bs, buf, bs);
	if (!ret && le32_at(buf + bs - 8) != ORPHAN_MAGIC)
		ret = -ERR_CORRUPT;
	for (uint32_t i = 0; i < n && !ret; i++)
		if (le32_at(buf + 4 * (size_t)i))
			ret = clean_one(v, le32_at(buf + 4 * (size_t)i));
	if (ret)
		return ret;
	memset(buf, 0, 4 * (size_t)n);
	nr = to_le64(run.pblk);
	crc = crc32c_update(vol_ext_inode_seed(v, file), &nr, sizeof(nr));
	sum = to_le32(crc32c_update(crc, buf, 4 * (size_t)n));
	if (vol_ext_has_csum(&v->sb))
		memcpy(buf + bs - 4, &sum, sizeof(sum));
	return vol_ext_io_write(v->io, run.pblk * bs, buf, bs);
}

static int clean_file(struct vol_ext *v)
{
	ext2_filsys fs = v->lib->fs;
	struct ext_inode file;
	uint8_t *buf;
	int ret;

	if (!ext2fs_has_feature_orphan_present(fs->super))
		return 0;
	ret = vol_ext_inode_load(v, v->sb.orphan_file, &file);
	buf = ret ? NULL : mem_alloc(1, v->sb.block_size);
	if (!buf)
		return ret ? ret : -ENOMEM;
	for (uint64_t b = 0; b < file.size >> v->sb.block_bits && !ret; b++)
		ret = clean_block(v, &file, b, buf);
	free(buf);
	if (!ret) {
		ext2fs_clear_feature_orphan_present(fs->super);
		ext2fs_mark_super_dirty(fs);
	}
	return ret;
}

int vol_ext_orphan_clean(struct vol_ext *v, struct diag *why)
{
	int ret = clean_list(v);

	if (!ret)
		ret = clean_file(v);
	if (!ret)
		return 0;
	v->lib->damaged = true;
	return diag_fail(why, ret, "ext4: bad list of orphaned files");
}

void vol_ext_release(struct tree *t, struct tree_file *f)
{
	struct vol_ext *v = vol_ext_of(t);
	uint32_t ino = vol_ext_ino(f->id);
	struct ext_inode in;

	if (v->lib && !tree_is_open(t, f->id) &&
	    !vol_ext_inode_load(v, ino, &in) && !in.links)
		if (vol_ext_orphan_del(v, ino) || vol_ext_winode_free(v, ino))
			v->lib->damaged = true;
	free((struct vol_ext_file *)f);
}
