/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: writing and zeroing (FORMAT.md 10.4, 10.6).
 *
 * Payload goes to its place at once; what shows it changes in memory only and
 * reaches the disk with the next flush, behind the payload. Blocks that are
 * there in full are overwritten without a lock.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* A change inside one block. */
struct change {
	uint64_t blk, off, len;		/* off on the disk */
	const uint8_t *buf;		/* NULL: zeros */
	bool unmap;			/* zeros may be holes in the file */
};

static uint64_t inside(const struct vhdx *x, uint64_t off)
{
	return off & (vhdx_block_size(x) - 1);
}

static bool covers_block(const struct vhdx *x, const struct change *c)
{
	return !inside(x, c->off) && c->len == vhdx_bat_used(x, c->blk);
}

static int put_bytes(struct vhdx *x, const struct change *c, uint64_t to)
{
	int ret = c->buf ? dev_write(x->file, c->buf, (size_t)c->len, to)
			 : dev_zero(x->file, to, c->len, c->unmap);

	__atomic_store_n(&x->wrote, true, __ATOMIC_RELEASE);
	return ret;
}

/* A sector that the change covers in part: what the disk shows there now,
 * patched, goes to the block at place. */
static int put_edge(struct vhdx *x, const struct change *c, uint64_t sector,
		    uint64_t place)
{
	uint8_t bounce[VHDX_PAGE];
	uint32_t lss = x->info.sector_size;
	uint64_t from = max_of(c->off, sector);
	uint64_t to = min_of(c->off + c->len, sector + lss);
	int ret = vhdx_read(&x->dev, bounce, lss, sector);

	if (ret)
		return ret;
	if (c->buf)
		memcpy(bounce + (from - sector), c->buf + (from - c->off),
		       (size_t)(to - from));
	else
		memset(bounce + (from - sector), 0, (size_t)(to - from));
	return dev_write(x->file, bounce, lss, place + inside(x, sector));
}

/* Whole sectors: the block is shown sector by sector. */
static int put_sectors(struct vhdx *x, const struct change *c, uint64_t place)
{
	uint32_t lss = x->info.sector_size;
	uint64_t first = round_up(c->off, lss);
	uint64_t last = round_down(c->off + c->len, lss);
	struct change mid = *c;
	int ret = 0;

	if (c->off < first)
		ret = put_edge(x, c, first - lss, place);
	if (!ret && last < c->off + c->len && last >= first)
		ret = put_edge(x, c, last, place);
	if (ret || first >= last)
		return ret;
	mid.off = first;
	mid.len = last - first;
	mid.buf = c->buf ? c->buf + (first - c->off) : NULL;
	return put_bytes(x, &mid, place + inside(x, first));
}

/* The bits of every sector that the change touches. */
static int show_sectors(struct vhdx *x, const struct change *c)
{
	uint32_t lss = x->info.sector_size;
	uint64_t first = round_down(c->off, lss);

	return vhdx_bitmap_put(x, first,
			       round_up(c->off + c->len, lss) - first, true);
}

static int change_partial(struct vhdx *x, const struct change *c,
			  uint64_t place)
{
	int ret = put_sectors(x, c, place);

	if (ret)
		return ret;
	if (covers_block(x, c))
		return vhdx_bat_set(x, c->blk, VHDX_FULL, place);
	return show_sectors(x, c);
}

static int fill_new(struct vhdx *x, const struct change *c, uint64_t place,
		    bool zeros)
{
	uint64_t in = inside(x, c->off), end = in + c->len;
	/* The last block of a file that was cut to what is used of it. */
	uint64_t room = min_of((uint64_t)vhdx_block_size(x),
			       dev_size(x->file) - place);
	int ret = 0;

	if (!zeros)
		ret = dev_zero(x->file, place, in, false);
	if (!ret && !zeros && end < room)
		ret = dev_zero(x->file, place + end, room - end, false);
	return ret ? ret : put_bytes(x, c, place + in);
}

/* A block whose rest reads zero. Its own old space is used if it has some:
 * nothing in it is shown. */
static int new_full(struct vhdx *x, const struct change *c, uint64_t anchor)
{
	uint64_t place = anchor;
	bool zeros = false;
	int ret = 0;

	if (!anchor)
		ret = vhdx_space_take(x, vhdx_block_size(x), &place, &zeros);
	if (ret)
		return ret;
	ret = fill_new(x, c, place, zeros);
	if (!ret)
		ret = vhdx_bat_set(x, c->blk, VHDX_FULL, place);
	if (ret && !anchor)
		vhdx_space_return(x, place, vhdx_block_size(x));
	return ret;
}

/* A block whose rest is the parent's. Its bits may be stale, so all of them
 * are written before the state says that they count. */
static int new_partial(struct vhdx *x, const struct change *c)
{
	uint64_t place;
	bool zeros;
	int ret = vhdx_bitmap_need(x, c->blk / x->chunk_blocks);

	if (!ret)
		ret = vhdx_space_take(x, vhdx_block_size(x), &place, &zeros);
	if (ret)
		return ret;
	ret = put_sectors(x, c, place);
	if (!ret)
		ret = vhdx_bitmap_put(x, c->blk << x->block_shift,
				      vhdx_bat_used(x, c->blk), false);
	if (!ret)
		ret = show_sectors(x, c);
	if (!ret)
		ret = vhdx_bat_set(x, c->blk, VHDX_PARTIAL, place);
	if (ret)
		vhdx_space_return(x, place, vhdx_block_size(x));
	return ret;
}

static int change_locked(struct vhdx *x, const struct change *c)
{
	struct vhdx_bat e;
	int ret = vhdx_bat_get(x, c->blk, &e);

	if (ret)
		return ret;
	switch (e.state) {
	case VHDX_FULL:
		return put_bytes(x, c, e.off + inside(x, c->off));
	case VHDX_PARTIAL:
		return change_partial(x, c, e.off);
	case VHDX_NOT_PRESENT:
		if (x->info.has_parent && !covers_block(x, c))
			return new_partial(x, c);
		return new_full(x, c, 0);
	default:
		return new_full(x, c, e.off);
	}
}

static int change_block(struct vhdx *x, const struct change *c)
{
	int ret;

	pthread_mutex_lock(&x->lock);
	ret = vhdx_failed(x) ? -EIO : change_locked(x, c);
	pthread_mutex_unlock(&x->lock);
	/* Even a change that failed may have left payload behind. */
	__atomic_store_n(&x->wrote, true, __ATOMIC_RELEASE);
	return ret;
}

/* Is every byte of the change shown from the file already? */
static int find_present(struct vhdx *x, const struct change *c, uint64_t *place)
{
	struct vhdx_bat e;
	uint64_t run;
	bool set;
	int ret = vhdx_bat_get(x, c->blk, &e);

	*place = 0;
	if (ret)
		return ret;
	if (e.state == VHDX_PARTIAL) {
		ret = vhdx_bitmap_run(x, c->off, c->len, &set, &run);
		if (ret || !set || run < c->len)
			return ret;
	} else if (e.state != VHDX_FULL) {
		return 0;
	}
	*place = e.off + inside(x, c->off);
	return 0;
}

static int write_block(struct vhdx *x, const struct change *c)
{
	uint64_t place;
	int ret = find_present(x, c, &place);

	if (ret)
		return ret;
	return place ? put_bytes(x, c, place) : change_block(x, c);
}

static uint64_t to_block_end(const struct vhdx *x, uint64_t off, uint64_t len)
{
	return min_of(len, vhdx_block_size(x) - inside(x, off));
}

/* Metadata that waits in memory is bounded. */
static int relieve(struct vhdx *x)
{
	return vhdx_pages_full(x) ? vhdx_flush(&x->dev) : 0;
}

int vhdx_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	const uint8_t *p = buf;
	int ret = vhdx_touch(x);

	while (len && !ret) {
		struct change c = {
			.blk = off >> x->block_shift, .off = off,
			.len = to_block_end(x, off, len), .buf = p,
		};

		ret = write_block(x, &c);
		p += c.len;
		off += c.len;
		len -= (size_t)c.len;
	}
	return ret ? ret : relieve(x);
}

/* Would nothing change, because there are zeros already? A parent that has to
 * be read to know counts as data. */
static bool parent_zero(struct vhdx *x, uint64_t off, uint64_t len)
{
	uint64_t size = dev_size(x->parent);

	if (off >= size)
		return true;
	len = min_of(len, size - off);
	while (len) {
		struct dev_run run;

		if (dev_map(x->parent, off, len, &run, 1) != 1 ||
		    run.kind != DEV_RUN_ZERO)
			return false;
		off += run.len;
		len -= run.len;
	}
	return true;
}

static int zero_state(struct vhdx *x, const struct change *c)
{
	struct vhdx_bat e;
	int ret;

	pthread_mutex_lock(&x->lock);
	ret = vhdx_failed(x) ? -EIO : vhdx_bat_get(x, c->blk, &e);
	if (!ret && e.state != VHDX_ZERO)
		ret = vhdx_bat_set(x, c->blk, VHDX_ZERO, 0);
	pthread_mutex_unlock(&x->lock);
	__atomic_store_n(&x->wrote, true, __ATOMIC_RELEASE);
	return ret;
}

static int zero_block(struct vhdx *x, const struct change *c)
{
	bool whole = covers_block(x, c) && !x->info.fixed;
	struct vhdx_bat e;
	int ret = vhdx_bat_get(x, c->blk, &e);

	if (ret)
		return ret;
	switch (e.state) {
	case VHDX_FULL:
	case VHDX_PARTIAL:
		break;
	case VHDX_NOT_PRESENT:
		if (!x->info.has_parent || parent_zero(x, c->off, c->len))
			return 0;
		break;
	default:
		return 0;	/* zeros already, whatever is below */
	}
	ret = vhdx_touch(x);
	if (ret)
		return ret;
	return whole ? zero_state(x, c) : write_block(x, c);
}

int vhdx_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	int ret = 0;

	while (len && !ret) {
		struct change c = {
			.blk = off >> x->block_shift, .off = off,
			.len = to_block_end(x, off, len),
			.unmap = may_unmap && !x->info.fixed,
		};

		ret = zero_block(x, &c);
		off += c.len;
		len -= c.len;
	}
	return ret ? ret : relieve(x);
}
