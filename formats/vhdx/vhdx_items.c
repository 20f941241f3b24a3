/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: other metadata items (FORMAT.md 5, 13.4). New bytes go where no item
 * is, the table that names them follows in the same entry of the log, or in
 * one behind it when they are many. If the region has no room, a larger one
 * is written elsewhere and takes its place.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* Pages that one entry of the log takes in any case, the table's 16 counted
 * (vhdx_logw_room). */
#define ENTRY_PAGES	64u
/* More new items than that go into a region of their own: looking for a gap
 * for each takes the square of their number. */
#define PLACE_MAX	64u

static const struct guid id_meta = VHDX_REGION_META;

struct plan {
	struct vhdx *x;
	struct vhdx_new_item *items;
	size_t n;
	uint64_t data_len;	/* of those with new bytes */
	struct diag *why;
};

static bool taken(const struct plan *p, uint32_t off, uint32_t len,
		  uint32_t *end)
{
	for (size_t i = 0; i < p->x->n_items; i++) {
		const struct vhdx_item *it = &p->x->items[i];

		*end = it->off + it->len;
		if (ranges_overlap(off, len, it->off, it->len))
			return true;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct vhdx_new_item *it = &p->items[i];

		*end = it->off + it->len;
		if (it->off && ranges_overlap(off, len, it->off, it->len))
			return true;
	}
	return false;
}

/* Where no item is, neither an old nor a new one: first fit. */
static bool place(const struct plan *p, struct vhdx_new_item *it)
{
	uint32_t off = VHDX_KIB64, end;

	while (taken(p, off, it->len, &end))
		off = (uint32_t)round_up(end, 8);
	if (!range_within(off, it->len, p->x->meta.len))
		return false;
	it->off = off;
	return true;
}

static bool place_all(struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct vhdx_new_item *it = &p->items[i];

		if (!it->data || !it->len)
			continue;
		if (++n > PLACE_MAX || !place(p, it))
			return false;
		p->data_len += it->len + 2 * VHDX_PAGE;
	}
	return true;
}

static void encode_table(const struct plan *p, uint8_t *raw)
{
	struct vhdx_disk_meta *t = (void *)raw;
	struct vhdx_disk_item *r = (void *)(t + 1);

	t->count = to_le16((uint16_t)p->n);
	memset(r, 0, VHDX_KIB64 - sizeof(*t));
	for (size_t i = 0; i < p->n; i++)
		r[i] = (struct vhdx_disk_item) {
			.id = p->items[i].id,
			.off = to_le32(p->items[i].off),
			.len = to_le32(p->items[i].len),
			.flags = to_le32(p->items[i].flags),
		};
}

static int store_item(struct vhdx *x, const struct vhdx_new_item *it)
{
	int ret;

	pthread_mutex_lock(&x->lock);
	ret = vhdx_page_store(x, x->meta.off + it->off, it->data, it->len);
	pthread_mutex_unlock(&x->lock);
	return ret;
}

static int store_in_place(struct plan *p, uint8_t *table)
{
	struct vhdx *x = p->x;
	bool many = p->data_len > (ENTRY_PAGES - 16) * VHDX_PAGE;
	int ret = 0;

	for (size_t i = 0; i < p->n && !ret; i++) {
		if (p->items[i].data && p->items[i].len)
			ret = store_item(x, &p->items[i]);
		if (!ret && many)
			ret = vhdx_flush(&x->dev);
	}
	encode_table(p, table);
	if (!ret)
		ret = vhdx_page_replace(x, x->meta.off, table, VHDX_KIB64);
	return ret ? ret : vhdx_flush(&x->dev);
}

static int write_item(struct plan *p, struct vhdx_new_item *it, uint64_t base,
		      uint32_t *next)
{
	struct vhdx_item old = { it->id, it->off, it->len, it->flags };
	uint8_t *data = NULL;
	int ret = 0;

	if (!it->len)
		return 0;
	if (!it->data)
		ret = vhdx_meta_read(p->x, &old, &data, p->why);
	if (!ret)
		ret = dev_write(p->x->file, it->data ? it->data : data,
				it->len, base + *next);
	free(data);
	it->off = *next;
	*next = (uint32_t)round_up(*next + it->len, 8);
	return ret;
}

static int store_elsewhere(struct plan *p, uint8_t *table)
{
	struct vhdx *x = p->x;
	struct vhdx_extent to = { .len = VHDX_KIB64 };
	uint32_t next = VHDX_KIB64;
	int ret;

	for (size_t i = 0; i < p->n; i++)
		to.len += round_up(p->items[i].len, 8);
	to.len = round_up(to.len, VHDX_MIB);
	if (to.len > VHDX_META_MAX)
		return -ERR_UNSUPP;
	ret = vhdx_region_take(x, to.len, &to.off);
	for (size_t i = 0; i < p->n; i++) {
		/* What place() gave out counts in the old region. */
		if (p->items[i].data)
			p->items[i].off = 0;
		if (!ret)
			ret = write_item(p, &p->items[i], to.off, &next);
	}
	encode_table(p, table);
	if (!ret)
		ret = dev_write(x->file, table, VHDX_KIB64, to.off);
	if (!ret)
		ret = vhdx_barrier(x);
	return ret ? ret : vhdx_region_move(x, &id_meta, &x->meta, &to);
}

static int store(struct plan *p)
{
	uint8_t *table = mem_alloc(1, VHDX_KIB64);
	int ret = table ? 0 : -ENOMEM;

	if (!ret)
		ret = dev_read(p->x->io, table, VHDX_KIB64, p->x->meta.off);
	if (!ret)
		ret = place_all(p) ? store_in_place(p, table)
				   : store_elsewhere(p, table);
	free(table);
	return ret;
}

static int reload(struct vhdx *x, struct diag *why)
{
	struct vhdx_info *info = &x->info;
	int ret;

	for (size_t i = 0; i < info->n_parents; i++)
		free(info->parents[i].path);
	info->n_parents = 0;
	info->parent_linkage = info->parent_linkage2 =
		(struct guid) { { 0 } };
	free(x->items);
	x->items = NULL;
	x->n_items = 0;
	ret = vhdx_meta_load(x, why);
	x->dev.phys_sector_size = info->phys_sector_size;
	return ret;
}

int vhdx_items_commit(struct vhdx *x, struct vhdx_new_item *items, size_t n,
		      struct diag *why)
{
	struct plan p = { .x = x, .items = items, .n = n, .why = why };
	int ret;

	if (n > VHDX_ITEMS_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhdx: too many metadata "
				 "items: %zu", n);
	ret = store(&p);
	if (ret)
		diag_fail(why, ret, "vhdx: metadata, cannot be rewritten: %s",
			  strerror(-ret));
	else
		ret = reload(x, why);
	/* The log may have it: only a reopen can tell. */
	if (ret)
		vhdx_fail(x);
	return ret;
}

static struct vhdx_new_item as_it_is(const struct vhdx_item *it)
{
	return (struct vhdx_new_item) { it->id, it->flags, it->off, it->len,
					NULL };
}

int vhdx_items_replace(struct vhdx *x, const struct guid *id,
		       const uint8_t *data, size_t len, struct diag *why)
{
	struct vhdx_new_item *items = mem_alloc(x->n_items, sizeof(*items));
	int ret;

	if (!items)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	for (size_t i = 0; i < x->n_items; i++) {
		items[i] = as_it_is(&x->items[i]);
		if (!(items[i].flags & VHDX_ITEM_USER) &&
		    guid_eq(&items[i].id, id))
			items[i] = (struct vhdx_new_item) {
				*id, items[i].flags, 0, (uint32_t)len, data,
			};
	}
	ret = vhdx_items_commit(x, items, x->n_items, why);
	free(items);
	return ret;
}

/* ---- another disk's items ---- */

static bool is_virtual(const struct vhdx_item *it)
{
	return it->flags & VHDX_ITEM_VIRTUAL;
}

static const struct vhdx_item *find_same(const struct vhdx *x,
					 const struct vhdx_item *it)
{
	for (size_t i = 0; i < x->n_items; i++)
		if (guid_eq(&x->items[i].id, &it->id) &&
		    x->items[i].flags == it->flags &&
		    x->items[i].len == it->len)
			return &x->items[i];
	return NULL;
}

/* 1 if x has this very item, 0, or -errno. */
static int has_item(struct vhdx *x, struct vhdx *from,
		    const struct vhdx_item *it, struct diag *why)
{
	const struct vhdx_item *mine = find_same(x, it);
	uint8_t *a = NULL, *b = NULL;
	int ret;

	if (!mine)
		return 0;
	ret = vhdx_meta_read(x, mine, &a, why);
	if (!ret)
		ret = vhdx_meta_read(from, it, &b, why);
	if (!ret)
		ret = !memcmp(a, b, it->len);
	free(a);
	free(b);
	return ret;
}

static int same_items(struct vhdx *x, struct vhdx *from, struct diag *why)
{
	size_t mine = 0, theirs = 0;

	for (size_t i = 0; i < x->n_items; i++)
		mine += is_virtual(&x->items[i]);
	for (size_t i = 0; i < from->n_items; i++) {
		int ret = is_virtual(&from->items[i])
			? has_item(x, from, &from->items[i], why) : 1;

		if (ret <= 0)
			return ret;
		theirs += is_virtual(&from->items[i]);
	}
	return mine == theirs;
}

static int collect(struct vhdx *x, struct vhdx *from,
		   struct vhdx_new_item *items, size_t *n, struct diag *why)
{
	for (size_t i = 0; i < x->n_items; i++)
		if (!is_virtual(&x->items[i]))
			items[(*n)++] = as_it_is(&x->items[i]);
	for (size_t i = 0; i < from->n_items; i++) {
		struct vhdx_new_item *it = &items[*n];
		uint8_t *data;
		int ret;

		if (!is_virtual(&from->items[i]))
			continue;
		ret = vhdx_meta_read(from, &from->items[i], &data, why);
		if (ret)
			return ret;
		*it = as_it_is(&from->items[i]);
		it->off = 0;
		it->data = data;
		(*n)++;
	}
	return 0;
}

static int copy(struct vhdx *x, struct vhdx *from, struct diag *why)
{
	struct vhdx_new_item *items = mem_zalloc(x->n_items + from->n_items,
						 sizeof(*items));
	size_t n = 0;
	int ret;

	if (!items)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	ret = collect(x, from, items, &n, why);
	if (!ret)
		ret = vhdx_items_commit(x, items, n, why);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)items[i].data);
	free(items);
	return ret;
}

int vhdx_copy_items(struct vhdx *x, struct vhdx *from, struct diag *why)
{
	int ret = vhdx_settle(x, why);

	if (ret)
		return ret;
	if (x->info.size != from->info.size)
		return diag_fail(why, EINVAL, "vhdx: disks of two sizes: %llu "
				 "and %llu bytes",
				 (unsigned long long)x->info.size,
				 (unsigned long long)from->info.size);
	if (x->info.sector_size != from->info.sector_size)
		return diag_fail(why, EINVAL, "vhdx: disks with sectors of %u "
				 "and %u bytes", x->info.sector_size,
				 from->info.sector_size);
	ret = same_items(x, from, why);
	if (ret)
		return min_of(ret, 0);
	ret = vhdx_touch(x);
	if (ret)
		return diag_fail(why, ret, "vhdx: cannot be written: %s",
				 strerror(-ret));
	return copy(x, from, why);
}
