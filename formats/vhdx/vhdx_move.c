/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: a region goes to another place (FORMAT.md 12.3). Its bytes are there
 * already and durable; one log entry rewrites both region tables.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

int vhdx_page_store(struct vhdx *x, uint64_t off, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len) {
		size_t n = min_of(len, (size_t)(VHDX_PAGE - off % VHDX_PAGE));
		uint8_t *to;
		int ret = vhdx_page_edit(x, off, &to);

		if (ret)
			return ret;
		memcpy(to, from, n);
		vhdx_page_put(x);
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* Only pages that are to change: an entry of the log should be small. */
static int store_changed(struct vhdx *x, uint64_t off, const uint8_t *data,
			 size_t len)
{
	uint8_t page[VHDX_PAGE];
	int ret = 0;

	for (size_t at = 0; at < len && !ret; at += VHDX_PAGE) {
		ret = dev_read(x->io, page, sizeof(page), off + at);
		if (!ret && memcmp(page, data + at, sizeof(page)))
			ret = vhdx_page_store(x, off + at, data + at,
					      VHDX_PAGE);
	}
	return ret;
}

int vhdx_page_replace(struct vhdx *x, uint64_t off, const void *data,
		      size_t len)
{
	int ret;

	pthread_mutex_lock(&x->lock);
	ret = store_changed(x, off, data, len);
	pthread_mutex_unlock(&x->lock);
	return ret;
}

static int change_table(uint8_t *raw, const struct guid *id,
			const struct vhdx_extent *to)
{
	struct vhdx_disk_regions *t = (void *)raw;
	struct vhdx_disk_region *r = (void *)(t + 1);
	uint32_t n = le32(t->count);

	for (uint32_t i = 0; i < n && i < VHDX_REGIONS_MAX; i++) {
		if (!guid_eq(&r[i].id, id))
			continue;
		r[i].off = to_le64(to->off);
		r[i].len = to_le32((uint32_t)to->len);
		t->crc = to_le32(vhdx_crc(raw, VHDX_KIB64,
				offsetof(struct vhdx_disk_regions, crc)));
		return 0;
	}
	return -ERR_CORRUPT;
}

static void move_extent(struct vhdx *x, struct vhdx_extent *region,
			const struct vhdx_extent *to)
{
	size_t i = 0, k;

	while (x->extents[i].off != region->off)
		i++;
	/* Sorted as before. */
	for (k = i; k + 1 < x->n_extents && x->extents[k + 1].off < to->off;
	     k++)
		x->extents[k] = x->extents[k + 1];
	for (; k > 0 && x->extents[k - 1].off > to->off; k--)
		x->extents[k] = x->extents[k - 1];
	x->extents[k] = *to;
	*region = *to;
}

int vhdx_region_move(struct vhdx *x, const struct guid *id,
		     struct vhdx_extent *region, const struct vhdx_extent *to)
{
	uint8_t *raw = mem_alloc(1, VHDX_KIB64);
	int ret = raw ? 0 : -ENOMEM;

	if (!ret)
		ret = dev_read(x->io, raw, VHDX_KIB64,
			       VHDX_REGION_OFF(x->regions_copy));
	if (!ret)
		ret = change_table(raw, id, to);
	for (int i = 0; i < 2 && !ret; i++)
		ret = vhdx_page_replace(x, VHDX_REGION_OFF(i), raw,
					VHDX_KIB64);
	free(raw);
	if (ret)
		return ret;
	x->regions_differ = false;
	ret = vhdx_flush(&x->dev);
	if (!ret)
		move_extent(x, region, to);
	return ret;
}

int vhdx_region_take(struct vhdx *x, uint64_t len, uint64_t *off)
{
	uint64_t hand[2];
	bool zeros;
	int ret;

	pthread_mutex_lock(&x->lock);
	memcpy(hand, x->space.hand, sizeof(hand));
	ret = vhdx_space_take(x, len, off, &zeros);
	/* It was no block: the holes that are too small for it remain. */
	memcpy(x->space.hand, hand, sizeof(hand));
	pthread_mutex_unlock(&x->lock);
	if (!ret && !zeros)
		ret = dev_zero(x->file, *off, len, false);
	return ret;
}
