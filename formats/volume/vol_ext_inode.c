/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inodes (kernel: ext4/inodes.rst), decoded from the cached table each time:
 * nothing has to be kept in step with the writing half. */
#include "formats/volume/vol_ext_int.h"

#include <sys/sysmacros.h>

#include "formats/base/bounds.h"
#include "formats/base/crc.h"

/* Is a field of the large inode there, as this inode's extra_isize says? */
#define HAS(extra, field) (EXT_INODE_SIZE_OLD + (extra) >= \
	offsetof(struct ext_inode_disk, field) + \
	sizeof(((struct ext_inode_disk *)0)->field))

static bool csum_ok(struct vol_ext *v, uint32_t ino, const uint8_t *raw,
		    uint32_t extra)
{
	const struct ext_inode_disk *d = (const void *)raw;
	const size_t lo = offsetof(struct ext_inode_disk, checksum_lo);
	const size_t hi = offsetof(struct ext_inode_disk, checksum_hi);
	uint32_t size = v->sb.inode_size, crc, stored = le16(d->checksum_lo);
	bool wide = size > EXT_INODE_SIZE_OLD && HAS(extra, checksum_hi);
	le32_t nr = to_le32(ino);
	uint16_t zero = 0;

	if (!vol_ext_has_csum(&v->sb))
		return true;
	crc = crc32c_update(v->sb.csum_seed, &nr, sizeof(nr));
	crc = crc32c_update(crc, &d->generation, sizeof(d->generation));
	crc = crc32c_update(crc, raw, lo);
	crc = crc32c_update(crc, &zero, sizeof(zero));
	crc = crc32c_update(crc, raw + lo + 2, EXT_INODE_SIZE_OLD - lo - 2);
	if (wide) {
		stored |= (uint32_t)le16(d->checksum_hi) << 16;
		crc = crc32c_update(crc, raw + EXT_INODE_SIZE_OLD,
				    hi - EXT_INODE_SIZE_OLD);
		crc = crc32c_update(crc, &zero, sizeof(zero));
		crc = crc32c_update(crc, raw + hi + 2, size - hi - 2);
	} else if (size > EXT_INODE_SIZE_OLD) {
		crc = crc32c_update(crc, raw + EXT_INODE_SIZE_OLD,
				    size - EXT_INODE_SIZE_OLD);
	}
	return (wide ? crc : (crc & 0xffff)) == stored;
}

/* The extra word: two more bits of seconds, 30 of nanoseconds. */
static struct timespec stamp(le32_t sec, bool has_extra, le32_t extra)
{
	struct timespec ts = { .tv_sec = (int32_t)le32(sec) };

	if (has_extra) {
		ts.tv_sec += (time_t)((uint64_t)(le32(extra) & 3) << 32);
		ts.tv_nsec = min_of(le32(extra) >> 2, 999999999u);
	}
	return ts;
}

static void decode_times(const struct ext_inode_disk *d, uint32_t extra,
			 struct ext_inode *out)
{
	out->atime = stamp(d->atime, HAS(extra, atime_extra), d->atime_extra);
	out->mtime = stamp(d->mtime, HAS(extra, mtime_extra), d->mtime_extra);
	out->ctime = stamp(d->ctime, HAS(extra, ctime_extra), d->ctime_extra);
	out->btime = (struct timespec) { 0 };
	if (HAS(extra, crtime))
		out->btime = stamp(d->crtime, HAS(extra, crtime_extra),
				   d->crtime_extra);
}

static uint64_t decode_blocks(struct vol_ext *v, const struct ext_inode_disk *d)
{
	uint64_t n = le32(d->blocks_lo);

	if (!(v->sb.ro_compat & EXT_RO_HUGE_FILE))
		return n;
	n |= (uint64_t)le16(d->blocks_hi) << 32;
	return le32(d->flags) & EXT_HUGE_FILE_FL ?
		n << (v->sb.block_bits - 9) : n;
}

/* Old device numbers are 8:8 in the first word, new ones 12:20 in the second.
 */
static uint32_t decode_rdev(const uint8_t *block)
{
	uint32_t old = le32_at(block), new = le32_at(block + 4);

	return old ? (uint32_t)makedev(old >> 8 & 0xff, old & 0xff)
		   : (uint32_t)makedev((new & 0xfff00) >> 8,
				       (new & 0xff) | (new >> 12 & 0xfff00));
}

static int decode(struct vol_ext *v, uint32_t ino, const uint8_t *raw,
		  struct ext_inode *out)
{
	struct ext_inode_disk d = { 0 };
	bool large = v->sb.inode_size > EXT_INODE_SIZE_OLD;
	uint32_t extra;

	memcpy(&d, raw, min_of((size_t)v->sb.inode_size, sizeof(d)));
	extra = large ? le16(d.extra_isize) : 0;
	if (!le16(d.mode) && !le16(d.links))
		return -ENOENT;
	if (EXT_INODE_SIZE_OLD + extra > v->sb.inode_size || extra & 3 ||
	    !csum_ok(v, ino, raw, extra))
		return -ERR_CORRUPT;
	*out = (struct ext_inode) {
		.ino = ino, .mode = le16(d.mode), .links = le16(d.links),
		.uid = (uint32_t)le16(d.uid_hi) << 16 | le16(d.uid_lo),
		.gid = (uint32_t)le16(d.gid_hi) << 16 | le16(d.gid_lo),
		.flags = le32(d.flags), .gen = le32(d.generation),
		.dtime = le32(d.dtime),
		.size = (uint64_t)le32(d.size_hi) << 32 | le32(d.size_lo),
		.blocks = decode_blocks(v, &d),
		.file_acl = (uint64_t)le16(d.file_acl_hi) << 32 |
			    le32(d.file_acl_lo),
	};
	decode_times(&d, extra, out);
	memcpy(out->block, d.block, sizeof(out->block));
	if (S_ISCHR(out->mode) || S_ISBLK(out->mode))
		out->rdev = decode_rdev(d.block);
	if (large && EXT_INODE_SIZE_OLD + extra + 4 <= v->sb.inode_size)
		out->ea_off = (uint16_t)(EXT_INODE_SIZE_OLD + extra);
	return out->size > INT64_MAX ? -ERR_CORRUPT : 0;
}

/* Where an inode is, as a pinned block. */
static int find(struct vol_ext *v, uint32_t ino, const void **block,
		const uint8_t **raw)
{
	const struct ext_super *s = &v->sb;
	struct ext_group g;
	uint64_t at, blk;
	int ret;

	if (!ino || ino > s->inodes)
		return -ESTALE;
	ret = vol_ext_group_load(v, (ino - 1) / s->inodes_per_group, &g);
	if (ret)
		return ret;
	at = (uint64_t)((ino - 1) % s->inodes_per_group) * s->inode_size;
	blk = at >> s->block_bits;
	if (!g.inode_table || !range_within(g.inode_table, blk + 1, s->blocks))
		return -ERR_CORRUPT;
	ret = vol_ext_io_get(v->io, g.inode_table + blk, block);
	if (!ret)
		*raw = (const uint8_t *)*block + (at & (s->block_size - 1));
	return ret;
}

int vol_ext_inode_load(struct vol_ext *v, uint32_t ino, struct ext_inode *out)
{
	const uint8_t *raw;
	const void *block;
	int ret = find(v, ino, &block, &raw);

	if (ret)
		return ret;
	ret = decode(v, ino, raw, out);
	vol_ext_io_put(v->io, block);
	return ret;
}

int vol_ext_inode_raw(struct vol_ext *v, uint32_t ino, void *raw)
{
	const uint8_t *p;
	const void *block;
	int ret = find(v, ino, &block, &p);

	if (ret)
		return ret;
	memcpy(raw, p, v->sb.inode_size);
	vol_ext_io_put(v->io, block);
	return 0;
}

uint32_t vol_ext_inode_seed(struct vol_ext *v, const struct ext_inode *in)
{
	le32_t nr = to_le32(in->ino), gen = to_le32(in->gen);
	uint32_t crc = crc32c_update(v->sb.csum_seed, &nr, sizeof(nr));

	return crc32c_update(crc, &gen, sizeof(gen));
}

void vol_ext_inode_attr(const struct ext_inode *in, struct tree_attr *out)
{
	*out = (struct tree_attr) {
		.id = vol_ext_id(in->ino), .gen = in->gen, .mode = in->mode,
		.nlink = in->links, .uid = in->uid, .gid = in->gid,
		.rdev = in->rdev, .size = in->size, .blocks = in->blocks,
		.atime = in->atime, .mtime = in->mtime, .ctime = in->ctime,
		.btime = in->btime,
	};
}

int vol_ext_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	struct ext_inode in;
	int ret = vol_ext_inode_load(vol_ext_of(t), vol_ext_ino(id), &in);

	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (!in.links && !tree_is_open(t, id))
		return -ESTALE;
	vol_ext_inode_attr(&in, out);
	return 0;
}
