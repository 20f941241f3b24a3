/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flushing: FORMAT.md 9.3 and 9.4, batched. First everything that is in the
 * file already becomes durable (data, footer, bitmaps and zeros of new
 * blocks), then the BAT sectors and bitmaps that name it are written, then
 * these become durable: two barriers, however many blocks there are.
 *
 * What is written in the second half was copied before the first barrier:
 * bits that a writer sets meanwhile wait for the next flush.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

/* Bytes that wait for the first barrier. */
struct put {
	struct put *next;
	uint64_t off;
	size_t len;
	uint8_t data[];
};

static struct put *put_new(struct put **list, uint64_t off, size_t len)
{
	struct put *p = mem_alloc(1, sizeof(*p) + len);

	if (p) {
		*p = (struct put) { *list, off, len };
		*list = p;
	}
	return p;
}

static void puts_free(struct put *list)
{
	while (list) {
		struct put *next = list->next;

		free(list);
		list = next;
	}
}

/* The sector's padding keeps what it holds: it is not ours. */
static int copy_bat_sector(struct vhd *v, const struct vhd_page *page,
			   uint32_t sector, struct put **list)
{
	uint32_t slot = sector * VHD_BAT_SECTOR_ENTRIES;
	uint64_t first = page->idx * VHD_PAGE_ENTRIES + slot;
	uint64_t off = v->header.bat_off + first * 4;
	struct put *p = put_new(list, off, VHD_SECTOR);
	int ret = p ? dev_read(v->file, p->data, p->len, off) : -ENOMEM;

	for (uint32_t i = 0; !ret && i < VHD_BAT_SECTOR_ENTRIES; i++) {
		be32_t raw = to_be32(page->entry[slot + i]);

		if (first + i < v->n_blocks)
			memcpy(p->data + i * 4, &raw, sizeof(raw));
	}
	return ret;
}

static int copy_page(struct vhd *v, struct vhd_page *page, struct put **list)
{
	for (uint32_t i = 0; i < 8; i++) {
		int ret = page->dirty & 1u << i
			? copy_bat_sector(v, page, i, list) : 0;

		if (ret)
			return ret;
	}
	page->dirty = 0;
	return 0;
}

/* Cleared before it is read: a bit that comes later makes it dirty again. */
static int copy_bitmap(struct vhd *v, struct vhd_bitmap *m, struct put **list)
{
	struct vhd_page *page = NULL;
	struct put *p;
	int ret = vhd_bat_page(v, m->blk, &page);

	if (ret)
		return ret;
	p = put_new(list, (uint64_t)page->entry[m->blk % VHD_PAGE_ENTRIES] *
			  VHD_SECTOR, v->bitmap_bytes);
	if (!p)
		return -ENOMEM;
	__atomic_store_n(&m->dirty, false, __ATOMIC_SEQ_CST);
	vhd_bitmap_encode(v, m, p->data);
	return 0;
}

/* Takes the dirty lists; what could not be copied stays on them. */
static int copy_dirty(struct vhd *v, struct put **list)
{
	int ret = 0;

	while (!ret && v->dirty_pages) {
		struct vhd_page *page = v->dirty_pages;

		ret = copy_page(v, page, list);
		if (!ret)
			v->dirty_pages = page->next_dirty;
	}
	while (!ret && v->dirty_bitmaps) {
		struct vhd_bitmap *m = v->dirty_bitmaps;

		/* Off the list before its mark goes: see vhd_bitmap_set. */
		v->dirty_bitmaps = m->next_dirty;
		ret = copy_bitmap(v, m, list);
		if (ret) {
			m->next_dirty = v->dirty_bitmaps;
			v->dirty_bitmaps = m;
		}
	}
	return ret;
}

static int write_puts(struct vhd *v, const struct put *list)
{
	int ret = 0;

	for (const struct put *p = list; p && !ret; p = p->next)
		ret = dev_write(v->file, p->data, p->len, p->off);
	return ret;
}

static int flush_locked(struct vhd *v)
{
	struct put *list = NULL;
	int ret;

	pthread_mutex_lock(&v->alloc_lock);
	ret = copy_dirty(v, &list);
	pthread_mutex_unlock(&v->alloc_lock);
	if (!ret)
		ret = dev_flush(v->file);
	if (!ret && list) {
		ret = write_puts(v, list);
		if (!ret)
			ret = dev_flush(v->file);
	}
	puts_free(list);
	/* What was taken off the lists is lost: nothing may be promised. */
	if (ret)
		__atomic_store_n(&v->failed, true, __ATOMIC_RELEASE);
	return ret;
}

/* A flush that began after before was read has done the caller's work. */
static int flush_after(struct vhd *v, uint64_t before)
{
	uint64_t mine;
	int ret;

	if (v->failed)
		return -EIO;
	if (v->flush_done > before)
		return 0;
	mine = __atomic_add_fetch(&v->flush_begun, 1, __ATOMIC_SEQ_CST);
	ret = flush_locked(v);
	if (!ret)
		v->flush_done = mine;
	return ret;
}

int vhd_flush(struct dev *dev)
{
	struct vhd *v = vhd_of(dev);
	uint64_t before;
	int ret;

	if (v->info.type == VHD_FIXED)
		return dev_flush(v->file);
	before = __atomic_load_n(&v->flush_begun, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&v->flush_lock);
	ret = flush_after(v, before);
	pthread_mutex_unlock(&v->flush_lock);
	return ret;
}
