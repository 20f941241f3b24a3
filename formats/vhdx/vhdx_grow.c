/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: growing a disk (FORMAT.md 12.3). Room in the BAT first, in its region
 * or in a larger one elsewhere; then zeros where old bytes or a parent would
 * show; the size item last, in one entry of the log. Until then everything new
 * lies behind the end of the disk.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

#define STEP	(256u << 10)

static const struct guid id_bat = VHDX_REGION_BAT;
static const struct guid id_size = VHDX_ITEM_SIZE;

static int check_size(const struct vhdx *x, uint64_t size, struct diag *why)
{
	if (size < x->info.size)
		return diag_fail(why, ERR_UNSUPP, "vhdx: a disk cannot be made "
				 "smaller: %llu to %llu bytes",
				 (unsigned long long)x->info.size,
				 (unsigned long long)size);
	if (size % x->info.sector_size)
		return diag_fail(why, EINVAL, "vhdx: size must be a multiple "
				 "of %u: %llu", x->info.sector_size,
				 (unsigned long long)size);
	if (size > VHDX_SIZE_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhdx: larger than 64 TiB: "
				 "%llu bytes", (unsigned long long)size);
	return 0;
}

static uint64_t entries_for(const struct vhdx *x, uint64_t n_blocks)
{
	uint64_t chunks = div_up(n_blocks, x->chunk_blocks);

	return x->info.has_parent ? chunks * (x->chunk_blocks + 1)
				  : n_blocks + chunks - 1;
}

static void set_size(struct vhdx *x, uint64_t size)
{
	x->info.size = size;
	x->n_blocks = div_up(size, vhdx_block_size(x));
	x->n_entries = entries_for(x, x->n_blocks);
	dev_set_size(&x->dev, size);
}

/* ---- the BAT ---- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/* The table's bytes to a new place that is zeros; holes stay holes. */
static int copy_table(struct vhdx *x, uint64_t to, uint64_t len)
{
	uint8_t *buf = mem_alloc(1, STEP);
	int ret = buf ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < len && !ret;) {
		size_t n = (size_t)min_of(len - at, (uint64_t)STEP);
		uint64_t hole = vhdx_check_hole(x, x->bat.off + at, len - at);

		if (hole) {
			at += hole;
			continue;
		}
		ret = dev_read(x->io, buf, n, x->bat.off + at);
		if (!ret && !all_zero(buf, n))
			ret = dev_write(x->file, buf, n, to + at);
		at += n;
	}
	free(buf);
	return ret;
}

static int move_table(struct vhdx *x, uint64_t n_entries)
{
	struct vhdx_extent to = { .len = round_up(n_entries * 8, VHDX_MIB) };
	int ret;

	if (to.len > VHDX_BAT_MAX)
		return -ERR_UNSUPP;
	ret = vhdx_region_take(x, to.len, &to.off);
	if (!ret)
		ret = copy_table(x, to.off, x->n_entries * 8);
	if (!ret)
		ret = vhdx_barrier(x);
	return ret ? ret : vhdx_region_move(x, &id_bat, &x->bat, &to);
}

/* Entries that a larger disk left behind, or a file without a parent has as
 * junk. The last chunk's bitmap is in use already. */
static bool is_stale(const struct vhdx *x, uint64_t idx)
{
	uint64_t per = x->chunk_blocks + 1;

	if (idx % per != x->chunk_blocks)
		return idx - idx / per >= x->n_blocks;
	return !x->info.has_parent || idx >= x->n_entries;
}

static int clear_page(struct vhdx *x, uint64_t idx, uint64_t end)
{
	static const le64_t none;
	int ret = 0;

	for (; idx < end && !ret; idx++) {
		uint64_t off = x->bat.off + idx * 8;
		const uint8_t *p;
		uint64_t raw;

		ret = vhdx_page_get(x, off, &p);
		if (ret)
			break;
		raw = le64_at(p);
		vhdx_page_put(x);
		if (!raw || !is_stale(x, idx))
			continue;
		pthread_mutex_lock(&x->lock);
		ret = vhdx_page_store(x, off, &none, sizeof(none));
		pthread_mutex_unlock(&x->lock);
	}
	return ret;
}

static int clear_entries(struct vhdx *x, uint64_t n_entries)
{
	uint64_t last = x->n_blocks - 1;
	uint64_t idx = last + last / x->chunk_blocks + 1;
	int ret = 0;

	while (idx < n_entries && !ret) {
		uint64_t off = x->bat.off + idx * 8;
		uint64_t len = (n_entries - idx) * 8;
		uint64_t hole = off % VHDX_PAGE ? 0
				: vhdx_check_hole(x, off, len);
		uint64_t end = round_down(off, VHDX_PAGE) + VHDX_PAGE;

		if (hole >= VHDX_PAGE) {
			idx += round_down(hole, VHDX_PAGE) / 8;
			continue;
		}
		end = min_of((end - x->bat.off) / 8, n_entries);
		ret = clear_page(x, idx, end);
		if (!ret && vhdx_pages_full(x))
			ret = vhdx_flush(&x->dev);
		idx = end;
	}
	return ret ? ret : vhdx_flush(&x->dev);
}

static int make_room(struct vhdx *x, uint64_t size)
{
	uint64_t n = entries_for(x, div_up(size, vhdx_block_size(x)));
	int ret = x->bat.len / 8 < n ? move_table(x, n) : 0;

	return ret ? ret : clear_entries(x, n);
}

/* ---- what becomes visible ---- */

/* A file may end with the part of its last block that the disk used. */
static int complete_last(struct vhdx *x)
{
	struct vhdx_bat e;
	int ret = vhdx_bat_get(x, x->n_blocks - 1, &e);

	if (ret || !e.off)
		return ret;
	return dev_file_extend(x->file, e.off + vhdx_block_size(x));
}

/* A fixed disk has all its blocks. */
static int add_block(struct vhdx *x, uint64_t blk)
{
	uint64_t off, len = vhdx_block_size(x);
	int fd = dev_file_fd(x->file), ret;
	bool zeros;

	pthread_mutex_lock(&x->lock);
	ret = vhdx_space_take(x, len, &off, &zeros);
	if (!ret && fd >= 0 && fallocate(fd, 0, (off_t)off, (off_t)len) &&
	    errno != EOPNOTSUPP)
		ret = -errno;
	if (!ret && !zeros)
		ret = dev_zero(x->file, off, len, false);
	if (!ret)
		ret = vhdx_bat_set(x, blk, VHDX_FULL, off);
	pthread_mutex_unlock(&x->lock);
	return ret;
}

static int add_blocks(struct vhdx *x, uint64_t from)
{
	int ret = 0;

	for (uint64_t blk = from; blk < x->n_blocks && !ret; blk++) {
		ret = add_block(x, blk);
		if (!ret && vhdx_pages_full(x))
			ret = vhdx_flush(&x->dev);
	}
	return ret;
}

/* The rest of the last block, and what a larger parent has behind it, must
 * not show. */
static int clear_tail(struct vhdx *x, uint64_t from, uint64_t size)
{
	uint64_t end = min_of(round_up(from, (uint64_t)vhdx_block_size(x)),
			      size);
	uint64_t old_blocks = x->n_blocks;
	int ret = complete_last(x);

	if (ret)
		return ret;
	if (x->parent) {
		uint64_t shown = min_of(dev_size(x->parent), size);

		end = max_of(end, shown);
	}
	set_size(x, size);
	ret = end > from ? vhdx_zero(&x->dev, from, end - from, false) : 0;
	if (!ret && x->info.fixed)
		ret = add_blocks(x, old_blocks);
	__atomic_store_n(&x->wrote, true, __ATOMIC_RELEASE);
	if (!ret)
		ret = vhdx_flush(&x->dev);
	return ret;
}

static int store_size(struct vhdx *x, uint64_t size)
{
	le64_t raw = to_le64(size);
	uint64_t off = 0;
	int ret;

	for (size_t i = 0; i < x->n_items; i++)
		if (!(x->items[i].flags & VHDX_ITEM_USER) &&
		    guid_eq(&x->items[i].id, &id_size))
			off = x->meta.off + x->items[i].off;
	if (!off)
		return -ERR_CORRUPT;
	pthread_mutex_lock(&x->lock);
	ret = vhdx_page_store(x, off, &raw, sizeof(raw));
	pthread_mutex_unlock(&x->lock);
	return ret ? ret : vhdx_flush(&x->dev);
}

static int grow(struct vhdx *x, uint64_t size)
{
	uint64_t from = x->info.size;
	int ret = vhdx_touch(x);

	if (!ret)
		ret = make_room(x, size);
	if (!ret)
		ret = clear_tail(x, from, size);
	if (!ret)
		ret = store_size(x, size);
	if (ret)
		set_size(x, from);
	return ret;
}

int vhdx_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	int ret = check_size(x, size, why);

	if (!ret)
		ret = vhdx_settle(x, why);
	if (ret || size == x->info.size)
		return ret;
	ret = grow(x, size);
	if (!ret)
		return 0;
	/* What the log holds, a reopen shows. */
	vhdx_fail(x);
	return diag_fail(why, ret, "vhdx: cannot be grown to %llu bytes: %s",
			 (unsigned long long)size, strerror(-ret));
}
