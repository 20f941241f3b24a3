/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing into blocks: FORMAT.md 9.4. Where all sectors are here already,
 * writers run side by side. New bits of one block are set by one writer at a
 * time, after the data; the bitmap reaches the file at the next flush.
 */
#include "formats/vhd/vhd_int.h"

/* New bits are set in whole bytes of the bitmap: guests write 4 KiB anyway,
 * and libvhdi misreads a byte of which only some bits are set (5.3). */
#define GROUP 8u

/* A change of len bytes at in of a block; buf is NULL for zeros. */
struct change {
	const uint8_t *buf;
	uint32_t in, len;
	bool may_unmap;
};

static int put_bytes(struct vhd *v, const struct vhd_block *b,
		     const struct change *c)
{
	if (c->buf)
		return dev_write(v->file, c->buf, c->len, b->data + c->in);
	return dev_zero(v->file, b->data + c->in, c->len, c->may_unmap);
}

/* Stores what absent sectors read as: n of them, within a group. */
static int store_run(struct vhd *v, struct vhd_block *b, struct vhd_bitmap *m,
		     uint32_t first, uint32_t n)
{
	uint64_t in = (uint64_t)first * VHD_SECTOR;
	uint8_t data[GROUP * VHD_SECTOR];
	int ret = vhd_read(&v->dev, data, n * VHD_SECTOR,
			   (b->blk << v->block_shift) + in);

	if (!ret)
		ret = dev_write(v->file, data, n * VHD_SECTOR, b->data + in);
	if (!ret)
		vhd_bitmap_set(v, b, m, first, n);
	return ret;
}

/* Sectors first..end - 1; others may be overwriting those that are here. */
static int store_absent(struct vhd *v, struct vhd_block *b,
			struct vhd_bitmap *m, uint32_t first, uint32_t end)
{
	int ret = 0;

	while (first < end && !ret) {
		bool here = true;
		uint32_t n = 0;

		ret = vhd_bitmap_run(v, b, first, end - first, &here, &n);
		if (!ret && !here)
			ret = store_run(v, b, m, first, n);
		first += n;
	}
	return ret;
}

/* Under the block's stripe. A sector of which only a part changes is stored
 * first, and so is the rest of its group. */
static int put_new_sectors(struct vhd *v, struct vhd_block *b,
			   struct vhd_bitmap *m, const struct change *c)
{
	uint32_t end = c->in + c->len, first = c->in / VHD_SECTOR;
	uint32_t last = (end - 1) / VHD_SECTOR;
	uint32_t low = (uint32_t)round_down(first, GROUP);
	uint32_t high = min_of((uint32_t)round_up(last + 1, GROUP),
			       vhd_block_sectors(v, b->blk));
	int ret = store_absent(v, b, m, low, first + !!(c->in % VHD_SECTOR));

	if (!ret)
		ret = store_absent(v, b, m, last + !(end % VHD_SECTOR), high);
	if (!ret)
		ret = put_bytes(v, b, c);
	if (!ret)
		vhd_bitmap_set(v, b, m, first, last - first + 1);
	return ret;
}

static int put_partial(struct vhd *v, struct vhd_block *b,
		       const struct change *c)
{
	uint32_t first = c->in / VHD_SECTOR;
	uint32_t n = (c->in + c->len - 1) / VHD_SECTOR - first + 1;
	pthread_mutex_t *stripe = &v->stripe[b->blk % VHD_STRIPES];
	struct vhd_bitmap *m = NULL;
	int ret = vhd_bitmap_get(v, b, &m);

	if (ret)
		return ret;
	if (b->full || vhd_bitmap_test(m, first, n))
		return put_bytes(v, b, c);
	pthread_mutex_lock(stripe);
	ret = put_new_sectors(v, b, m, c);
	pthread_mutex_unlock(stripe);
	return ret;
}

/* Would storing zeros change nothing? */
static bool is_zero_already(struct vhd *v, const struct vhd_block *b,
			    const struct change *c)
{
	uint64_t off = (b->blk << v->block_shift) + c->in;
	struct dev_run run;

	if (c->buf || b->start)
		return false;
	if (v->info.type == VHD_DYNAMIC)
		return true;
	return vhd_map(&v->dev, off, c->len, &run, 1) == 1 &&
	       run.kind == DEV_RUN_ZERO && run.len == c->len;
}

static int change_block(struct vhd *v, uint64_t blk, const struct change *c)
{
	struct vhd_block b;
	int ret = vhd_bat_get(v, blk, &b);

	if (ret || is_zero_already(v, &b, c))
		return ret;
	/* A writer's page is always kept. */
	if (!b.page) {
		ret = vhd_bat_page(v, blk, &b.page);
		if (!ret)
			ret = vhd_bat_get(v, blk, &b);
	}
	if (!ret && !b.start)
		ret = vhd_alloc(v, &b);
	if (ret)
		return ret;
	return b.full ? put_bytes(v, &b, c) : put_partial(v, &b, c);
}

static int change_range(struct vhd *v, const uint8_t *buf, uint64_t off,
			uint64_t len, bool may_unmap)
{
	int ret = vhd_prepare(v);

	while (len && !ret) {
		uint32_t in = (uint32_t)(off & (v->header.block_size - 1));
		struct change c = {
			.buf = buf, .in = in, .may_unmap = may_unmap,
			.len = (uint32_t)min_of(len, (uint64_t)
						v->header.block_size - in),
		};

		ret = change_block(v, off >> v->block_shift, &c);
		buf = buf ? buf + c.len : NULL;
		off += c.len;
		len -= c.len;
	}
	return ret;
}

int vhd_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	struct vhd *v = vhd_of(dev);

	if (v->info.type == VHD_FIXED)
		return dev_write(v->file, buf, len, off);
	return change_range(v, buf, off, len, false);
}

int vhd_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap)
{
	struct vhd *v = vhd_of(dev);

	if (v->info.type == VHD_FIXED)
		return dev_zero(v->file, off, len, may_unmap);
	return change_range(v, NULL, off, len, may_unmap);
}
