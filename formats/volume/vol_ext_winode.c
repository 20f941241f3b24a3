/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing inodes. */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>
#include <time.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

/* With dir_nlink a directory beyond this has the count 1: "many". */
#define LINKS_MAX 65000

int vol_ext_winode_read(struct vol_ext *v, uint32_t ino, vol_ext_raw *out)
{
	memset(out, 0, sizeof(*out));
	return vol_ext_err(v, ext2fs_read_inode_full(v->lib->fs, ino,
						     EXT2_INODE(out),
						     sizeof(*out)));
}

int vol_ext_winode_write(struct vol_ext *v, uint32_t ino, vol_ext_raw *in)
{
	return vol_ext_err(v, ext2fs_write_inode_full(v->lib->fs, ino,
						      EXT2_INODE(in),
						      sizeof(*in)));
}

int vol_ext_winode_new(struct vol_ext *v, uint32_t ino, const vol_ext_raw *in)
{
	size_t size = v->sb.inode_size;
	uint8_t *buf = mem_zalloc(1, max_of(size, sizeof(*in)));
	int ret;

	if (!buf)
		return -ENOMEM;
	memcpy(buf, in, sizeof(*in));
	ret = vol_ext_err(v, ext2fs_write_inode_full(v->lib->fs, ino,
						     (void *)buf, (int)size));
	free(buf);
	return ret;
}

static void set_time(__u32 *sec, __u32 *extra, const struct timespec *ts)
{
	int64_t s = ts->tv_sec;

	if (!extra) {
		s = min_of(s, (int64_t)INT32_MAX);
		*sec = (__u32)max_of(s, (int64_t)INT32_MIN);
		return;
	}
	*sec = (__u32)s;
	*extra = (__u32)((s - (int32_t)s) >> 32 & 3) |
		 (__u32)ts->tv_nsec << 2;
}

void vol_ext_winode_time(vol_ext_raw *in, unsigned which,
			 const struct timespec *ts)
{
	size_t have = EXT2_GOOD_OLD_INODE_SIZE + in->i_extra_isize;
#define EXTRA(f) (inode_includes(have, f) ? &in->f : NULL)
	if (which & EXT_ATIME)
		set_time(&in->i_atime, EXTRA(i_atime_extra), ts);
	if (which & EXT_MTIME)
		set_time(&in->i_mtime, EXTRA(i_mtime_extra), ts);
	if (which & EXT_CTIME)
		set_time(&in->i_ctime, EXTRA(i_ctime_extra), ts);
	if (which & EXT_BTIME && inode_includes(have, i_crtime))
		set_time(&in->i_crtime, EXTRA(i_crtime_extra), ts);
#undef EXTRA
}

void vol_ext_winode_now(vol_ext_raw *in, unsigned which)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	vol_ext_winode_time(in, which, &ts);
}

int vol_ext_winode_touch(struct vol_ext *v, uint32_t ino, unsigned which)
{
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	vol_ext_winode_now(&in, which);
	return vol_ext_winode_write(v, ino, &in);
}

void vol_ext_winode_extents(vol_ext_raw *in)
{
	struct ext3_extent_header *h = (void *)in->i_block;

	in->i_flags |= EXT4_EXTENTS_FL;
	h->eh_magic = ext2fs_cpu_to_le16(EXT3_EXT_MAGIC);
	h->eh_max = ext2fs_cpu_to_le16(4);
}

int vol_ext_winode_free(struct vol_ext *v, uint32_t ino)
{
	ext2_filsys fs = v->lib->fs;
	vol_ext_raw in;
	errcode_t err;
	bool dir;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	dir = LINUX_S_ISDIR(in.i_mode);
	err = ext2fs_free_ext_attr(fs, ino, &in);
	if (!err && ext2fs_inode_has_valid_blocks2(fs, EXT2_INODE(&in)))
		err = ext2fs_punch(fs, ino, EXT2_INODE(&in), NULL, 0, ~0ULL);
	if (err)
		return vol_ext_err(v, err);
	ext2fs_inode_size_set(fs, EXT2_INODE(&in), 0);
	in.i_links_count = 0;
	in.i_dtime = (__u32)time(NULL);
	ret = vol_ext_winode_write(v, ino, &in);
	if (!ret)
		vol_ext_inode_used(v, ino, false, dir);
	return ret;
}

int vol_ext_winode_unlink(struct vol_ext *v, uint32_t ino, bool all_links)
{
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	if (all_links || in.i_links_count <= 1)
		in.i_links_count = 0;
	else
		in.i_links_count--;
	vol_ext_winode_now(&in, EXT_CTIME);
	ret = vol_ext_winode_write(v, ino, &in);
	if (ret || in.i_links_count)
		return ret;
	if (tree_is_open(&v->tree, vol_ext_id(ino)))
		return vol_ext_orphan_add(v, ino);
	return vol_ext_winode_free(v, ino);
}

int vol_ext_winode_count(struct vol_ext *v, uint32_t ino, int by)
{
	bool many = v->sb.ro_compat & EXT_RO_DIR_NLINK;
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret || (many && in.i_links_count == 1))
		return ret;
	if (by > 0 && in.i_links_count >= LINKS_MAX) {
		if (!many)
			return -EMLINK;
		in.i_links_count = 1;
	} else {
		in.i_links_count = (__u16)(in.i_links_count + by);
	}
	return vol_ext_winode_write(v, ino, &in);
}
