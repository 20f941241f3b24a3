/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growing a disk: FORMAT.md 10. The table first, in its place or as a new one
 * at the end of the data (one sector of the header switches); then zeros where
 * a parent or the remains of a larger disk would show; the footers, which say
 * the size, last. Until then everything new lies behind the end of the disk.
 */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/vhd/vhd_int.h"

#define STEP (64u << 10)

static int check_size(const struct vhd *v, uint64_t size, struct diag *why)
{
	if (size < v->info.size)
		return diag_fail(why, ERR_UNSUPP, "vhd: a disk cannot be made "
				 "smaller: %llu to %llu bytes",
				 (unsigned long long)v->info.size,
				 (unsigned long long)size);
	if (size % VHD_SECTOR)
		return diag_fail(why, EINVAL, "vhd: size must be a multiple of "
				 "512: %llu", (unsigned long long)size);
	if (size > VHD_CREATE_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhd: larger than 2040 GiB: "
				 "%llu bytes", (unsigned long long)size);
	if (v->info.size != v->footer.current_size)
		return diag_fail(why, ERR_UNSUPP, "vhd: the size in use is not "
				 "the footer's: %llu bytes",
				 (unsigned long long)v->footer.current_size);
	return 0;
}

/* The size and its geometry; the rest stays. */
static int footer_for(const struct vhd *v, uint64_t size,
		      struct vhd_footer_disk *out)
{
	struct vhd_footer_disk fresh;
	int ret = vhd_footer_encode(&fresh, v->info.type, size);

	if (ret)
		return ret;
	*out = v->footer.raw;
	out->current_size = fresh.current_size;
	out->cylinders = fresh.cylinders;
	out->heads = fresh.heads;
	out->sectors = fresh.sectors;
	out->checksum = to_be32(vhd_checksum(out, sizeof(*out),
			offsetof(struct vhd_footer_disk, checksum)));
	return 0;
}

static void set_size(struct vhd *v, uint64_t size)
{
	dev_set_size(&v->dev, size);
	v->info.size = size;
	v->n_blocks = v->info.type == VHD_FIXED
		? 0 : div_up(size, v->header.block_size);
}

static void sizes_done(struct vhd *v, const struct vhd_footer_disk *raw,
		       uint64_t size)
{
	v->footer.raw = *raw;
	v->footer.current_size = v->info.current_size = size;
	v->footer.chs_size = v->info.chs_size = (uint64_t)
		be16(raw->cylinders) * raw->heads * raw->sectors * VHD_SECTOR;
	set_size(v, size);
}

/* ---- fixed ---- */

/* The new footer lies behind the old one, which stays good until the new one
 * is durable. Between the two the new area begins with the old footer. There is
 * no second place for a footer: if the power goes and the file grew without its
 * new end, cutting it to its old size mends it. */
static int grow_fixed(struct vhd *v, uint64_t size)
{
	uint64_t old = v->footer.off, off = max_of(old, size);
	struct vhd_footer_disk raw;
	int ret = footer_for(v, size, &raw);

	if (!ret && old % VHD_SECTOR)
		ret = -ERR_UNSUPP;
	/* Slack between the disk and its footer may hold anything. */
	if (!ret && old > v->info.size)
		ret = dev_zero(v->file, v->info.size, old - v->info.size,
			       false);
	if (!ret)
		ret = dev_flush(v->file);
	if (!ret)
		ret = dev_file_append(v->file, &raw, sizeof(raw), off);
	if (!ret)
		ret = dev_flush(v->file);
	if (!ret && off > old) {
		ret = dev_zero(v->file, old, v->footer.len, false);
		if (!ret)
			ret = dev_flush(v->file);
	}
	if (ret)
		return ret;
	v->footer.off = off;
	v->footer.len = sizeof(raw);
	__atomic_store_n(&v->limit, off, __ATOMIC_RELEASE);
	sizes_done(v, &raw, size);
	return 0;
}

/* ---- the table ---- */

struct grow {
	struct vhd *v;
	uint64_t old_blocks, blocks;
	uint64_t bat_off;	/* of the new table */
	uint64_t n_entries;	/* in it */
};

/* Entries of the disk as it is; all others name nothing. */
static void fill(const struct grow *g, uint64_t first, be32_t *raw, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (first + i >= g->old_blocks)
			raw[i] = to_be32(VHD_UNALLOCATED);
}

/* From the first entry that is new on, sector by sector of the table. */
static int write_entries(struct grow *g, uint64_t first)
{
	struct vhd *v = g->v;
	uint64_t end = round_up(g->n_entries, VHD_BAT_SECTOR_ENTRIES);
	be32_t *raw = mem_alloc(STEP, 1);
	int ret = raw ? 0 : -ENOMEM;

	while (!ret && first < end) {
		size_t n = (size_t)min_of(end - first, (uint64_t)STEP / 4);
		uint64_t have = first < g->old_blocks
			? min_of(g->old_blocks - first, (uint64_t)n) : 0;

		if (have)
			ret = dev_read(v->file, raw, (size_t)have * 4,
				       v->header.bat_off + first * 4);
		fill(g, first, raw, n);
		if (!ret)
			ret = dev_write(v->file, raw, n * 4,
					g->bat_off + first * 4);
		first += n;
	}
	free(raw);
	return ret ? ret : dev_flush(v->file);
}

/* Locators, too: the table must not grow over a path. */
static bool hits_locator(const struct vhd *v, uint64_t off, uint64_t len)
{
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_disk *l = &v->header.raw.locators[i];

		if (be32(l->len) && ranges_overlap(off, len, be64(l->off),
						   vhd_locator_room(l)))
			return true;
	}
	return false;
}

/* 1, 0 or -errno: may the table stay where it is? */
static int fits_in_place(struct grow *g)
{
	struct vhd *v = g->v;
	uint64_t old = round_up(v->header.n_entries * 4, VHD_SECTOR);
	uint64_t len = round_up(g->blocks * 4, VHD_SECTOR);

	if (len <= old)
		return 1;
	if (hits_locator(v, v->header.bat_off + old, len - old))
		return 0;
	return vhd_walk_free(v, v->header.bat_off + old, len - old);
}

static int switch_table(struct grow *g)
{
	struct vhd *v = g->v;
	struct vhd_header_disk raw = v->header.raw;
	int ret;

	if (g->bat_off == v->header.bat_off &&
	    g->n_entries == v->header.n_entries)
		return 0;
	raw.bat_off = to_be64(g->bat_off);
	raw.n_entries = to_be32((uint32_t)g->n_entries);
	ret = vhd_header_change(v, &raw);
	if (ret)
		return ret;
	v->header.raw = raw;
	v->header.bat_off = g->bat_off;
	v->header.n_entries = g->n_entries;
	return 0;
}

static int grow_in_place(struct grow *g)
{
	struct vhd *v = g->v;
	uint64_t first = round_down(g->old_blocks, VHD_BAT_SECTOR_ENTRIES);
	int ret;

	g->bat_off = v->header.bat_off;
	g->n_entries = max_of(g->blocks, v->header.n_entries);
	/* The entries of the sector at hand that are in use stay. */
	ret = write_entries(g, first);
	if (ret)
		return ret;
	v->end = max_of(v->end, g->bat_off +
				round_up(g->n_entries * 4, VHD_SECTOR));
	return switch_table(g);
}

/* Behind the end footer, and a footer behind it: nothing that is in use is
 * written over before the header's first sector names the new table. */
static int grow_elsewhere(struct grow *g)
{
	struct vhd *v = g->v;
	uint64_t old = v->footer.off, end;
	int ret;

	g->bat_off = round_up(old + v->footer.len, VHD_SECTOR);
	g->n_entries = g->blocks;
	end = g->bat_off + round_up(g->n_entries * 4, VHD_SECTOR);
	ret = dev_file_extend(v->file, end + VHD_SECTOR);
	if (!ret)
		ret = dev_write(v->file, &v->footer.raw,
				sizeof(v->footer.raw), end);
	if (!ret)
		ret = write_entries(g, 0);
	if (!ret)
		ret = switch_table(g);
	/* Not to be taken for data by those who allocate behind blocks. */
	if (!ret)
		ret = dev_zero(v->file, old, v->footer.len, false);
	if (ret)
		return ret;
	v->footer.off = end;
	v->footer.len = sizeof(v->footer.raw);
	v->end = end;
	__atomic_store_n(&v->limit, end, __ATOMIC_RELEASE);
	return 0;
}

static int grow_pages(struct grow *g)
{
	struct vhd *v = g->v;
	uint64_t n = div_up(g->blocks, VHD_PAGE_ENTRIES);
	struct vhd_page **pages;

	if (n <= v->n_pages)
		return 0;
	pages = mem_zalloc(n, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	memcpy(pages, v->pages, v->n_pages * sizeof(*pages));
	free(v->pages);
	v->pages = pages;
	v->n_pages = n;
	return 0;
}

/* ---- what becomes visible ---- */

/* The old last block has more sectors than before: it is not known to be
 * full any more. */
static void forget_full(struct vhd *v, uint64_t blk)
{
	struct vhd_page *page = v->pages[blk / VHD_PAGE_ENTRIES];

	if (page)
		page->flags[blk % VHD_PAGE_ENTRIES] &=
			(uint8_t)~VHD_BLOCK_FULL;
}

/* Nothing that lay behind the end may show: neither what is left in the last
 * block, nor a larger parent. */
static int clear_tail(struct grow *g, uint64_t from, uint64_t size)
{
	struct vhd *v = g->v;
	uint64_t end = min_of(round_up(from, (uint64_t)v->header.block_size),
			      size);
	int ret;

	if (v->parent) {
		uint64_t shown = min_of(dev_size(v->parent), size);

		end = max_of(end, shown);
	}
	set_size(v, size);
	forget_full(v, (from - 1) >> v->block_shift);
	ret = end > from ? vhd_zero(&v->dev, from, end - from, false) : 0;
	if (!ret)
		ret = vhd_flush(&v->dev);
	/* Not before the footers say so. */
	set_size(v, from);
	return ret;
}

static int grow_sparse(struct vhd *v, uint64_t size)
{
	uint64_t from = v->info.size;
	struct grow g = {
		.v = v, .old_blocks = v->n_blocks,
		.blocks = div_up(size, v->header.block_size),
	};
	struct vhd_footer_disk raw;
	int ret = fits_in_place(&g);

	if (ret >= 0)
		ret = ret ? grow_in_place(&g) : grow_elsewhere(&g);
	if (!ret)
		ret = grow_pages(&g);
	if (!ret)
		ret = clear_tail(&g, from, size);
	if (!ret)
		ret = footer_for(v, size, &raw);
	if (!ret)
		ret = vhd_footer_change(v, &raw);
	if (!ret)
		sizes_done(v, &raw, size);
	return ret;
}

int vhd_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct vhd *v = vhd_of(dev);
	int ret = check_size(v, size, why);

	if (!ret)
		ret = vhd_settle(v, why);
	if (ret || size == v->info.size)
		return ret;
	ret = v->info.type == VHD_FIXED ? grow_fixed(v, size)
					: grow_sparse(v, size);
	if (!ret)
		return 0;
	/* Some of it may be on disk: a reopen sees the old size or the new. */
	__atomic_store_n(&v->failed, true, __ATOMIC_RELEASE);
	return diag_fail(why, ret, "vhd: cannot be grown to %llu bytes",
			 (unsigned long long)size);
}
