/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contents of files: blocks, inline data (kernel: ext4/inlinedata.rst),
 * links' targets. */
#include "formats/volume/vol_ext_int.h"

#include <stdlib.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

bool vol_ext_is_inline(const struct ext_inode *in)
{
	return in->flags & EXT_INLINE_FL;
}

int vol_ext_inline_load(struct vol_ext *v, const struct ext_inode *in,
			uint8_t **out, size_t *len)
{
	size_t first = sizeof(in->block), more = 0, room = v->sb.inode_size;
	uint8_t *p = mem_zalloc(1, first + room);
	int ret;

	if (!p)
		return -ENOMEM;
	memcpy(p, in->block, first);
	ret = vol_ext_xattr_data(v, in, p + first, room, &more);
	if (!ret && S_ISREG(in->mode) && in->size > first + more)
		ret = -ERR_CORRUPT;
	if (ret) {
		free(p);
		return ret;
	}
	*out = p;
	*len = first + more;
	return 0;
}

static ssize_t read_inline(struct vol_ext *v, const struct ext_inode *in,
			   void *buf, size_t len, uint64_t off)
{
	uint8_t *all;
	size_t n;
	int ret = vol_ext_inline_load(v, in, &all, &n);

	if (ret)
		return ret;
	if (range_within(off, len, n)) {
		memcpy(buf, all + off, len);
		ret = 0;
	} else {
		ret = -ERR_CORRUPT;
	}
	free(all);
	return ret ? ret : (ssize_t)len;
}

/* What libext2fs writes goes through the cache; file data does not. */
static int read_run(struct vol_ext *v, const struct ext_inode *in, uint64_t at,
		    void *buf, size_t len)
{
	if (!S_ISREG(in->mode) || in->flags & EXT_EA_INODE_FL)
		return vol_ext_io_read(v->io, at, buf, len);
	return dev_read(v->dev, buf, len, at);
}

ssize_t vol_ext_data_read(struct vol_ext *v, const struct ext_inode *in,
			  void *buf, size_t len, uint64_t off)
{
	uint32_t bits = v->sb.block_bits;
	uint8_t *p = buf;
	size_t left;

	if (off >= in->size)
		return 0;
	len = (size_t)min_of((uint64_t)len, in->size - off);
	if (vol_ext_is_inline(in))
		return read_inline(v, in, buf, len, off);
	for (left = len; left;) {
		uint32_t skip = (uint32_t)(off & (v->sb.block_size - 1));
		struct ext_run run;
		size_t n;
		int ret = vol_ext_map(v, in, off >> bits,
				      (left + skip + v->sb.block_size - 1) >>
				      bits, &run);

		if (ret)
			return ret;
		n = (size_t)min_of((uint64_t)left, (run.len << bits) - skip);
		if (!run.pblk || run.unwritten)
			memset(p, 0, n);
		else
			ret = read_run(v, in, (run.pblk << bits) + skip, p, n);
		if (ret)
			return ret;
		p += n;
		off += n;
		left -= n;
	}
	return (ssize_t)len;
}

int vol_ext_open_file(struct tree *t, uint64_t id, bool write,
		      struct tree_file **out)
{
	struct vol_ext_file *f;
	struct ext_inode in;
	int ret = vol_ext_inode_load(vol_ext_of(t), vol_ext_ino(id), &in);

	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (!in.links && !tree_is_open(t, id))
		return -ESTALE;		/* freed, and perhaps soon another's */
	if (!S_ISREG(in.mode))
		return S_ISDIR(in.mode) ? -EISDIR : -EINVAL;
	if (in.flags & EXT_ENCRYPT_FL)
		return -EACCES;
	if (write && in.flags & (EXT_IMMUTABLE_FL | EXT_VERITY_FL))
		return -EPERM;
	f = mem_new(struct vol_ext_file);
	if (!f)
		return -ENOMEM;
	f->f = (struct tree_file) { .id = id, .write = write };
	*out = &f->f;
	return 0;
}

ssize_t vol_ext_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		     uint64_t off)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, vol_ext_ino(f->id), &in);

	return ret ? ret : vol_ext_data_read(v, &in, buf, len, off);
}

/* One extent from off; 0 bytes when it may not be overwritten in place. */
static int one_extent(struct vol_ext *v, const struct ext_inode *in,
		      uint64_t off, uint64_t len, bool for_write,
		      struct tree_extent *out)
{
	uint32_t bits = v->sb.block_bits;
	uint64_t skip = off & (v->sb.block_size - 1);
	struct ext_run run;
	int ret = vol_ext_map(v, in, off >> bits,
			      (len + skip + v->sb.block_size - 1) >> bits,
			      &run);
	bool data = !ret && run.pblk && !run.unwritten;

	if (ret)
		return ret;
	*out = (struct tree_extent) {
		.dev = data ? v->dev : NULL,
		.off = data ? (run.pblk << bits) + skip : 0,
		.len = min_of((run.len << bits) - skip, len),
	};
	if (for_write && !data)
		out->len = 0;
	return 0;
}

int vol_ext_extents(struct tree *t, struct tree_file *f, uint64_t off,
		    uint64_t len, bool for_write, struct tree_extent *ext,
		    int max)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode in;
	int n = 0, ret = vol_ext_inode_load(v, vol_ext_ino(f->id), &in);

	if (ret)
		return ret;
	if (vol_ext_is_inline(&in))
		return -EOPNOTSUPP;
	if (off >= in.size || (for_write && in.flags & EXT_APPEND_FL))
		return 0;
	for (len = min_of(len, in.size - off); len && n < max; n++) {
		ret = one_extent(v, &in, off, len, for_write, &ext[n]);
		if (ret)
			return n ? n : ret;
		if (!ext[n].len)
			break;
		off += ext[n].len;
		len -= ext[n].len;
	}
	return n;
}

off_t vol_ext_seek(struct tree *t, struct tree_file *f, off_t off, int whence)
{
	struct vol_ext *v = vol_ext_of(t);
	uint32_t bits = v->sb.block_bits;
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, vol_ext_ino(f->id), &in);

	if (ret)
		return ret;
	if (off < 0 || (uint64_t)off >= in.size)
		return -ENXIO;
	if (vol_ext_is_inline(&in))
		return whence == SEEK_DATA ? off : (off_t)in.size;
	while ((uint64_t)off < in.size) {
		uint64_t skip = (uint64_t)off & (v->sb.block_size - 1);
		struct ext_run run;
		bool data;

		ret = vol_ext_map(v, &in, (uint64_t)off >> bits, UINT32_MAX,
				  &run);
		if (ret)
			return ret;
		data = run.pblk && !run.unwritten;
		if (data == (whence == SEEK_DATA))
			return off;
		off += (off_t)((run.len << bits) - skip);
	}
	return whence == SEEK_DATA ? -ENXIO : (off_t)in.size;
}

/* A short target lies where the block pointers would be: then no block is in
 * use but perhaps one of attributes. */
static bool is_fast_link(struct vol_ext *v, const struct ext_inode *in)
{
	uint64_t ea = in->file_acl ? v->sb.block_size >> 9 : 0;

	if (in->flags & (EXT_EXTENTS_FL | EXT_INLINE_FL) ||
	    in->size >= sizeof(in->block))
		return false;
	return v->sb.incompat & EXT_INCOMPAT_EA_INODE ||
	       in->blocks <= ea * v->sb.cluster_blocks;
}

int vol_ext_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode in;
	ssize_t ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);

	if (ret)
		return (int)ret;
	if (!S_ISLNK(in.mode))
		return -EINVAL;
	if (in.flags & EXT_ENCRYPT_FL)
		return -EACCES;
	if (!in.size || in.size >= v->sb.block_size)
		return -ERR_CORRUPT;
	if (in.size >= size)
		return -ENAMETOOLONG;
	if (is_fast_link(v, &in))
		memcpy(buf, in.block, in.size);
	else
		ret = vol_ext_data_read(v, &in, buf, in.size, 0);
	if (ret < 0)
		return (int)ret;
	buf[in.size] = '\0';
	return (int)in.size;
}
