/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing the contents of files. Data goes straight to the dev in large
 * pieces; only metadata is cached. */
#include "formats/volume/vol_ext_wint.h"

#include <linux/falloc.h>

#include "formats/base/bounds.h"

/* The largest size that the inode's way of mapping can hold. */
static uint64_t size_max(struct vol_ext *v, const vol_ext_raw *in)
{
	uint64_t per = v->sb.block_size / 4;

	if (in->i_flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL))
		return (uint64_t)UINT32_MAX << v->sb.block_bits;
	return min_of(12 + per + per * per + per * per * per,
		      (uint64_t)UINT32_MAX) << v->sb.block_bits;
}

/* May the contents change, up to this end? Inline data is moved out. */
static int prepare(struct vol_ext *v, uint32_t ino, uint64_t end,
		   vol_ext_raw *in)
{
	int ret = vol_ext_winode_read(v, ino, in);

	if (ret)
		return ret;
	if (!LINUX_S_ISREG(in->i_mode))
		return LINUX_S_ISDIR(in->i_mode) ? -EISDIR : -EINVAL;
	if (in->i_flags & (EXT2_IMMUTABLE_FL | EXT4_VERITY_FL))
		return -EPERM;
	if (in->i_flags & EXT4_ENCRYPT_FL)
		return -EACCES;
	if (end > size_max(v, in))
		return -EFBIG;
	if (!(in->i_flags & EXT4_INLINE_DATA_FL))
		return 0;
	ret = vol_ext_alloc_outline(v, ino);
	return ret ? ret : vol_ext_winode_read(v, ino, in);
}

/* What lies behind the end in its block may be anything. */
static int zero_tail(struct vol_ext *v, uint32_t ino, uint64_t size)
{
	uint64_t rest = round_up(size, v->sb.block_size) - size;

	return rest ? vol_ext_alloc_zero(v, ino, size, rest) : 0;
}

static int set_size(struct vol_ext *v, uint32_t ino, uint64_t size)
{
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (!ret)
		ret = vol_ext_err(v, ext2fs_inode_size_set(v->lib->fs,
					EXT2_INODE(&in), (ext2_off64_t)size));
	if (ret)
		return ret;
	vol_ext_winode_now(&in, EXT_MTIME | EXT_CTIME);
	return vol_ext_winode_write(v, ino, &in);
}

static int put_data(struct vol_ext *v, uint32_t ino, const uint8_t *p,
		    size_t len, uint64_t off)
{
	uint32_t bits = v->sb.block_bits;
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, ino, &in);

	while (!ret && len) {
		uint64_t skip = off & (v->sb.block_size - 1);
		struct ext_run run;
		size_t n;

		ret = vol_ext_map(v, &in, off >> bits, UINT32_MAX, &run);
		if (ret)
			return ret;
		if (!run.pblk || run.unwritten)
			return -ERR_CORRUPT;
		n = (size_t)min_of((run.len << bits) - skip, (uint64_t)len);
		ret = dev_write(v->dev, p, n, (run.pblk << bits) + skip);
		p += n;
		off += n;
		len -= n;
	}
	return ret;
}

/* The part of a write that lies in one run of blocks; *len becomes its length.
 * Blocks that were new show nothing that they held before, even if it fails. */
static int write_run(struct vol_ext *v, uint32_t ino, const uint8_t *p,
		     size_t *len, uint64_t off)
{
	uint32_t bits = v->sb.block_bits;
	uint64_t lblk = off >> bits, end = (off + *len - 1) >> bits;
	struct ext_inode in;
	struct ext_run run;
	int ret = vol_ext_inode_load(v, ino, &in);

	if (!ret)
		ret = vol_ext_map(v, &in, lblk, end - lblk + 1, &run);
	if (ret)
		return ret;
	*len = (size_t)min_of((uint64_t)*len,
			      ((lblk + run.len) << bits) - off);
	ret = vol_ext_alloc_range(v, ino, off, *len);
	if (!ret)
		ret = put_data(v, ino, p, *len, off);
	if (ret && (!run.pblk || run.unwritten) &&
	    vol_ext_alloc_punch(v, ino, lblk, lblk + run.len - 1))
		v->lib->damaged = true;
	return ret;
}

ssize_t vol_ext_write(struct tree *t, struct tree_file *f, const void *buf,
		      size_t len, uint64_t off)
{
	struct vol_ext *v = vol_ext_of(t);
	uint32_t ino = vol_ext_ino(f->id);
	vol_ext_raw in;
	uint64_t size;
	size_t done = 0;
	int ret = prepare(v, ino, off + len, &in), err;

	if (ret)
		return ret;
	size = EXT2_I_SIZE(&in);
	if (in.i_flags & EXT2_APPEND_FL && off < size)
		return -EPERM;
	if (off > size)
		ret = zero_tail(v, ino, size);
	while (!ret && done < len) {
		size_t n = len - done;

		ret = write_run(v, ino, (const uint8_t *)buf + done, &n,
				off + done);
		if (!ret)
			done += n;
	}
	if (!done)
		return ret;
	err = set_size(v, ino, max_of(size, off + done));
	return err ? err : (ssize_t)done;
}

void vol_ext_wrote(struct tree *t, struct tree_file *f)
{
	vol_ext_winode_touch(vol_ext_of(t), vol_ext_ino(f->id),
			     EXT_MTIME | EXT_CTIME);
}

int vol_ext_truncate(struct vol_ext *v, uint32_t ino, uint64_t size)
{
	vol_ext_raw in;
	uint64_t old;
	int ret = prepare(v, ino, size, &in);

	if (ret)
		return ret;
	if (in.i_flags & EXT2_APPEND_FL)
		return -EPERM;
	old = EXT2_I_SIZE(&in);
	if (size > old)
		ret = zero_tail(v, ino, old);
	else
		ret = zero_tail(v, ino, size);
	if (!ret)
		ret = set_size(v, ino, size);
	if (!ret && size <= old && ext2fs_inode_has_valid_blocks2(v->lib->fs,
							EXT2_INODE(&in)))
		ret = vol_ext_alloc_punch(v, ino, div_up(size,
						v->sb.block_size), ~0ULL);
	return ret;
}

/* Unwritten blocks for the holes of [off, off + len). */
static int reserve(struct vol_ext *v, uint32_t ino, uint64_t off, uint64_t len)
{
	uint64_t first = off >> v->sb.block_bits;
	uint64_t n = div_up(off + len, v->sb.block_size) - first;
	vol_ext_raw in;
	errcode_t err;
	int ret = vol_ext_winode_read(v, ino, &in);

	if (ret)
		return ret;
	/* Older mappings know no unwritten blocks; Linux says the same. */
	if (!(in.i_flags & EXT4_EXTENTS_FL))
		return -EOPNOTSUPP;
	err = ext2fs_fallocate(v->lib->fs, EXT2_FALLOCATE_FORCE_UNINIT, ino,
			       EXT2_INODE(&in), ~0ULL, first, n);
	ret = vol_ext_winode_write(v, ino, &in);
	return err ? vol_ext_err(v, err) : ret;
}

/* Whole blocks are freed, parts of blocks zeroed. */
static int punch(struct vol_ext *v, uint32_t ino, uint64_t off, uint64_t len)
{
	uint64_t bs = v->sb.block_size, end = off + len;
	uint64_t first = div_up(off, bs), last = end / bs;

	if (first >= last)
		return vol_ext_alloc_zero(v, ino, off, len);
	if (off < first * bs) {
		int ret = vol_ext_alloc_zero(v, ino, off, first * bs - off);

		if (ret)
			return ret;
	}
	if (end > last * bs) {
		int ret =
			vol_ext_alloc_zero(v, ino, last * bs, end - last * bs);

		if (ret)
			return ret;
	}
	return vol_ext_alloc_punch(v, ino, first, last - 1);
}

int vol_ext_allocate(struct tree *t, struct tree_file *f, int mode,
		     uint64_t off, uint64_t len)
{
	struct vol_ext *v = vol_ext_of(t);
	uint32_t ino = vol_ext_ino(f->id);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	vol_ext_raw in;
	uint64_t size;
	int ret;

	mode &= ~FALLOC_FL_KEEP_SIZE;
	if ((mode && mode != FALLOC_FL_PUNCH_HOLE &&
	     mode != FALLOC_FL_ZERO_RANGE) ||
	    (mode == FALLOC_FL_PUNCH_HOLE && !keep))
		return -EOPNOTSUPP;
	ret = prepare(v, ino, off + len, &in);
	if (ret)
		return ret;
	size = EXT2_I_SIZE(&in);
	if (in.i_flags & EXT2_APPEND_FL && mode)
		return -EPERM;
	if (!keep && off + len > size)
		ret = zero_tail(v, ino, size);
	if (!ret && mode)
		ret = punch(v, ino, off, len);
	if (!ret && mode != FALLOC_FL_PUNCH_HOLE)
		ret = reserve(v, ino, off, len);
	if (ret)
		return ret;
	return set_size(v, ino, keep ? size : max_of(size, off + len));
}
