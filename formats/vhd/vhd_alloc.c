/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * New blocks: FORMAT.md 9.2 and 9.3. A block gets its place, its bitmap and
 * zeros at once and can be used; that the BAT in the file names it is left to
 * the next flush. The end footer moves first, so that a killed process leaves
 * one; after a power cut the copy at 0 serves.
 */

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/vhd/vhd_int.h"

/* Guest data begins at multiples of this, where blocks are large enough. */
#define DATA_ALIGN 4096u

/* Right behind the last block: qemu puts its next bitmap there, and would
 * show a footer further on as the guest's data (FORMAT.md 5.5). */
static uint64_t footer_place(uint64_t end)
{
	return round_up(end, VHD_SECTOR);
}

static int write_copy(struct vhd *v)
{
	int ret = dev_write(v->file, &v->footer.raw, sizeof(v->footer.raw), 0);

	if (!ret)
		ret = dev_flush(v->file);
	if (!ret)
		v->footer.copy_ok = true;
	return ret;
}

static void set_footer_place(struct vhd *v, uint64_t off)
{
	v->footer.off = off;
	v->footer.len = sizeof(v->footer.raw);
	v->footer.end_ok = true;
	__atomic_store_n(&v->limit, off, __ATOMIC_RELEASE);
}

/* Cuts the file back to what it was: whoever fails leaves no trace. */
static int put_footer(struct vhd *v, uint64_t off)
{
	uint64_t before = dev_size(v->file);
	int ret = dev_file_extend(v->file, off + sizeof(v->footer.raw));

	if (!ret)
		ret = dev_write(v->file, &v->footer.raw,
				sizeof(v->footer.raw), off);
	if (ret && before < dev_size(v->file))
		dev_file_truncate(v->file, before);
	if (!ret)
		set_footer_place(v, off);
	return ret;
}

/* An end footer that was lost: the last sector if nothing is there. */
static int restore_footer(struct vhd *v)
{
	uint64_t size = round_down(dev_size(v->file), VHD_SECTOR);
	uint64_t off = footer_place(v->end);

	if (v->footer.len == sizeof(v->footer.raw))
		off = v->footer.off;
	else if (size == dev_size(v->file) && size >= v->end + VHD_SECTOR)
		off = max_of(off, size - VHD_SECTOR);
	else
		off = max_of(off, footer_place(size));
	return put_footer(v, off);
}

/* tapdisk believes its bitmap of full blocks: take it away first (7.6). */
static int drop_batmap(struct vhd *v)
{
	uint64_t off = v->header.bat_off +
		       round_up(v->header.n_entries * 4, VHD_SECTOR);
	uint8_t sector[VHD_SECTOR];
	int ret;

	if (memcmp(v->footer.raw.creator, "tap", 4) ||
	    !range_within(off, sizeof(sector), v->footer.off))
		return 0;
	ret = dev_read(v->file, sector, sizeof(sector), off);
	if (ret || memcmp(sector, VHD_BATMAP_COOKIE, 8))
		return ret;
	memset(sector, 0, sizeof(sector));
	ret = dev_write(v->file, sector, sizeof(sector), off);
	return ret ? ret : dev_flush(v->file);
}

static int prepare_locked(struct vhd *v)
{
	int ret = 0;

	if (v->prepared)
		return 0;
	if (v->info.type != VHD_FIXED) {
		ret = v->footer.copy_ok ? 0 : write_copy(v);
		if (!ret && !v->footer.end_ok)
			ret = restore_footer(v);
		if (!ret)
			ret = drop_batmap(v);
	}
	if (!ret)
		__atomic_store_n(&v->prepared, true, __ATOMIC_RELEASE);
	return ret;
}

int vhd_prepare(struct vhd *v)
{
	int ret;

	if (__atomic_load_n(&v->failed, __ATOMIC_ACQUIRE))
		return -EIO;
	if (__atomic_load_n(&v->prepared, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&v->alloc_lock);
	ret = prepare_locked(v);
	pthread_mutex_unlock(&v->alloc_lock);
	return ret;
}

static uint64_t block_place(const struct vhd *v)
{
	if (v->header.block_size < DATA_ALIGN)
		return round_up(v->end, VHD_SECTOR);
	return round_up(v->end + v->bitmap_bytes, DATA_ALIGN) -
	       v->bitmap_bytes;
}

/* What lies there from before (an old footer, the remains of an interrupted
 * allocation) must not be read as the guest's. Behind the old end of the file
 * zeros are certain. */
static int clear_block(struct vhd *v, uint64_t start, uint64_t old_size)
{
	bool ones = v->info.type == VHD_DYNAMIC;
	uint64_t end = min_of(start + vhd_block_bytes(v), old_size);
	uint64_t data = start + v->bitmap_bytes;
	uint8_t *raw;
	int ret;

	if (!ones && start >= old_size)
		return 0;
	raw = mem_alloc(v->bitmap_bytes, 1);
	if (!raw)
		return -ENOMEM;
	memset(raw, ones ? 0xFF : 0, v->bitmap_bytes);
	ret = dev_write(v->file, raw, v->bitmap_bytes, start);
	free(raw);
	if (!ret && end > data)
		ret = dev_zero(v->file, data, end - data, false);
	return ret;
}

/* An old footer in the gap before the block would be found by tools that
 * look for one. */
static int clear_old_footer(struct vhd *v, uint64_t off, uint64_t start)
{
	if (off == v->footer.off || off >= start || off < v->end)
		return 0;
	return dev_zero(v->file, off, min_of(start - off,
					     (uint64_t)VHD_SECTOR), false);
}

static int make_room(struct vhd *v, uint64_t start)
{
	uint64_t end = start + vhd_block_bytes(v);
	uint64_t old_footer = v->footer.off, old_size = dev_size(v->file);
	int ret = 0;

	if (start / VHD_SECTOR >= VHD_UNALLOCATED)
		return -ENOSPC;
	if (end > v->footer.off)
		ret = put_footer(v, footer_place(end));
	if (!ret)
		ret = clear_old_footer(v, old_footer, start);
	if (!ret)
		ret = clear_block(v, start, old_size);
	return ret;
}

/* Order matters: readers look at the entry first, and without a lock. */
static void publish(struct vhd *v, struct vhd_block *b, struct vhd_bitmap *m,
		    uint64_t start)
{
	struct vhd_page *page = b->page;
	uint32_t sector = b->slot / VHD_BAT_SECTOR_ENTRIES;
	uint8_t flags = VHD_BLOCK_CHECKED | (m ? 0 : VHD_BLOCK_FULL);

	__atomic_store_n(&page->bitmap[b->slot], m, __ATOMIC_RELEASE);
	__atomic_or_fetch(&page->flags[b->slot], flags, __ATOMIC_RELEASE);
	__atomic_store_n(&page->entry[b->slot], (uint32_t)(start / VHD_SECTOR),
			 __ATOMIC_RELEASE);
	v->end = start + vhd_block_bytes(v);
	if (!page->dirty) {
		page->next_dirty = v->dirty_pages;
		v->dirty_pages = page;
	}
	page->dirty |= (uint8_t)(1u << sector);
}

static int alloc_locked(struct vhd *v, struct vhd_block *b)
{
	uint64_t start = block_place(v);
	struct vhd_bitmap *m = NULL;
	int ret;

	if (__atomic_load_n(&b->page->entry[b->slot], __ATOMIC_ACQUIRE) !=
	    VHD_UNALLOCATED)
		return 0;
	if (v->info.type == VHD_DIFFERENCING) {
		m = vhd_bitmap_new(v, b->blk);
		if (!m)
			return -ENOMEM;
	}
	ret = make_room(v, start);
	if (ret)
		free(m);
	else
		publish(v, b, m, start);
	return ret;
}

int vhd_alloc(struct vhd *v, struct vhd_block *b)
{
	int ret;

	pthread_mutex_lock(&v->alloc_lock);
	ret = alloc_locked(v, b);
	pthread_mutex_unlock(&v->alloc_lock);
	return ret ? ret : vhd_bat_get(v, b->blk, b);
}
