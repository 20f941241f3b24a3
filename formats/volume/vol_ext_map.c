/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a file's block number to the volume's: extent trees and the older
 * indirect blocks (kernel: ext4/ifork.rst). Each question walks from the inode
 * through cached blocks; no state has to follow what a writer does.
 */
#include "formats/volume/vol_ext_int.h"

#include "formats/base/bounds.h"
#include "formats/base/crc.h"

/* Blocks of a file are numbered with 32 bits. */
#define LBLK_MAX ((uint64_t)UINT32_MAX + 1)

struct node {
	const uint8_t *p;	/* header and entries */
	uint32_t entries;
	uint32_t depth;
};

/* Checks a node of size bytes; depth: what the parent promised, or -1. */
static int decode_node(const uint8_t *p, size_t size, int depth,
		       struct node *out)
{
	const struct ext_extent_head_disk *h = (const void *)p;
	uint32_t n = le16(h->entries), max = le16(h->max);

	if (le16(h->magic) != EXT_EXTENT_MAGIC || n > max ||
	    max > (size - sizeof(*h)) / sizeof(struct ext_extent_disk) ||
	    le16(h->depth) > EXT_EXTENT_DEPTH_MAX ||
	    (depth >= 0 && le16(h->depth) != depth))
		return -ERR_CORRUPT;
	*out = (struct node) { p, n, le16(h->depth) };
	return 0;
}

/* The last entry whose first block is <= lblk, or -1. Index and leaf entries
 * both begin with their first block. */
static int search(const struct node *n, uint32_t lblk)
{
	const struct ext_extent_disk *e =
		(const void *)(n->p + sizeof(struct ext_extent_head_disk));
	int lo = 0, hi = (int)n->entries;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (le32(e[mid].block) <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

static const struct ext_extent_disk *entry(const struct node *n, int i)
{
	return (const void *)(n->p + sizeof(struct ext_extent_head_disk) +
			      (size_t)i * sizeof(struct ext_extent_disk));
}

static int from_leaf(struct vol_ext *v, const struct node *n, uint32_t lblk,
		     uint64_t end, struct ext_run *out)
{
	int i = search(n, lblk);
	const struct ext_extent_disk *e = entry(n, max_of(i, 0));
	uint32_t len = i < 0 ? 0 : le16(e->len), in;
	bool unwritten = len > EXT_EXTENT_INIT_MAX;

	if (unwritten)
		len -= EXT_EXTENT_INIT_MAX;
	in = i < 0 ? 0 : lblk - le32(e->block);
	if (i >= 0 && in < len) {
		uint64_t start = (uint64_t)le16(e->start_hi) << 32 |
				 le32(e->start_lo);

		if (!start || !range_within(start, len, v->sb.blocks))
			return -ERR_CORRUPT;
		*out = (struct ext_run) { start + in, len - in, unwritten };
		return 0;
	}
	if ((uint32_t)(i + 1) < n->entries)
		end = min_of(end, (uint64_t)le32(entry(n, i + 1)->block));
	if (end <= lblk)
		return -ERR_CORRUPT;
	*out = (struct ext_run) { 0, end - lblk, false };
	return 0;
}

static bool block_csum_ok(struct vol_ext *v, const struct ext_inode *in,
			  const uint8_t *p)
{
	const struct ext_extent_head_disk *h = (const void *)p;
	size_t at = sizeof(*h) + (size_t)le16(h->max) *
		    sizeof(struct ext_extent_disk);

	if (!vol_ext_has_csum(&v->sb))
		return true;
	if (!range_within(at, 4, v->sb.block_size))
		return false;
	return crc32c_update(vol_ext_inode_seed(v, in), p, at) ==
	       le32_at(p + at);
}

static int extent_walk(struct vol_ext *v, const struct ext_inode *in,
		       uint32_t lblk, struct ext_run *out)
{
	const void *block = NULL;
	uint64_t end = LBLK_MAX;
	struct node n;
	int ret = decode_node(in->block, sizeof(in->block), -1, &n);

	while (!ret && n.depth) {
		int i = search(&n, lblk), depth = (int)n.depth - 1;
		const struct ext_extent_idx_disk *x =
			(const void *)entry(&n, max_of(i, 0));
		uint64_t blk = (uint64_t)le16(x->leaf_hi) << 32 |
			       le32(x->leaf_lo);
		const void *above = block;

		if (!n.entries || !blk || blk >= v->sb.blocks) {
			ret = -ERR_CORRUPT;
			break;
		}
		if (i < 0)	/* in front of the first: its leaf says so */
			i = 0;
		if ((uint32_t)(i + 1) < n.entries)
			end = min_of(end,
				     (uint64_t)le32(entry(&n, i + 1)->block));
		ret = vol_ext_io_get(v->io, blk, &block);
		if (above)
			vol_ext_io_put(v->io, above);
		if (ret)
			return ret;
		ret = decode_node(block, v->sb.block_size, depth, &n);
		if (!ret && !block_csum_ok(v, in, block))
			ret = -ERR_CORRUPT;
	}
	if (!ret)
		ret = from_leaf(v, &n, lblk, end, out);
	if (block)
		vol_ext_io_put(v->io, block);
	return ret;
}

/* Pointers that follow each other, from the i-th of n. */
static int from_pointers(struct vol_ext *v, const uint8_t *p, uint32_t i,
			 uint32_t n, struct ext_run *out)
{
	uint32_t first = le32_at(p + 4 * (size_t)i), k;

	if (first >= v->sb.blocks)
		return -ERR_CORRUPT;
	for (k = 1; i + k < n; k++) {
		uint32_t next = le32_at(p + 4 * (size_t)(i + k));

		if (next != (first ? first + k : 0) || next >= v->sb.blocks)
			break;
	}
	*out = (struct ext_run) { first, k, false };
	return 0;
}

/* lblk counts within what the block at root maps, level levels above data. */
static int indirect_walk(struct vol_ext *v, uint32_t root, int level,
			 uint64_t lblk, struct ext_run *out)
{
	uint32_t per = v->sb.block_size / 4, bits = v->sb.block_bits - 2;
	uint64_t span = 1ULL << (bits * (unsigned)level);
	const void *block;
	int ret;

	while (root && level) {
		uint32_t i;

		span >>= bits;
		i = (uint32_t)(lblk / span);
		lblk %= span;
		if (root >= v->sb.blocks)
			return -ERR_CORRUPT;
		ret = vol_ext_io_get(v->io, root, &block);
		if (ret)
			return ret;
		if (!--level)
			ret = from_pointers(v, block, i, per, out);
		else
			root = le32_at((const uint8_t *)block + 4 * (size_t)i);
		vol_ext_io_put(v->io, block);
		if (!level)
			return ret;
	}
	*out = (struct ext_run) { 0, span - lblk, false };
	return 0;
}

static int indirect_map(struct vol_ext *v, const struct ext_inode *in,
			uint64_t lblk, struct ext_run *out)
{
	uint64_t per = v->sb.block_size / 4, span = per;

	if (lblk < 12)
		return from_pointers(v, in->block, (uint32_t)lblk, 12, out);
	lblk -= 12;
	for (int level = 1; level <= 3; level++) {
		if (lblk < span)
			return indirect_walk(v, le32_at(in->block +
							4 * (11 + level)),
					     level, lblk, out);
		lblk -= span;
		span *= per;
	}
	return -ERR_CORRUPT;
}

int vol_ext_map(struct vol_ext *v, const struct ext_inode *in, uint64_t lblk,
		uint64_t max, struct ext_run *out)
{
	int ret;

	if (in->flags & EXT_INLINE_FL)
		return -EOPNOTSUPP;
	if (lblk >= LBLK_MAX)
		return -ERR_CORRUPT;
	ret = in->flags & EXT_EXTENTS_FL ?
		extent_walk(v, in, (uint32_t)lblk, out) :
		indirect_map(v, in, lblk, out);
	if (!ret)
		out->len = min_of(out->len, max);
	return ret;
}

int vol_ext_map_get(struct vol_ext *v, const struct ext_inode *in,
		    uint64_t lblk, const void **out)
{
	struct ext_run run;
	int ret = vol_ext_map(v, in, lblk, 1, &run);

	if (ret)
		return ret;
	if (!run.pblk || run.unwritten)
		return -ERR_CORRUPT;
	return vol_ext_io_get(v->io, run.pblk, out);
}
