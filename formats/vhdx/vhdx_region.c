/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: the region tables (FORMAT.md 4), read through the replayed log. */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

static const struct guid id_bat = VHDX_REGION_BAT;
static const struct guid id_meta = VHDX_REGION_META;

static bool table_ok(const uint8_t *raw)
{
	const struct vhdx_disk_regions *t = (const void *)raw;

	return !memcmp(t->sig, "regi", 4) &&
	       vhdx_crc(raw, VHDX_KIB64, offsetof(struct vhdx_disk_regions,
						  crc)) == le32(t->crc);
}

static int entry_check(const struct vhdx *x, const struct vhdx_disk_region *r,
		       unsigned n, struct diag *why)
{
	uint64_t off = le64(r->off);
	uint32_t len = le32(r->len), flags = le32(r->flags);
	bool known = guid_eq(&r->id, &id_bat) || guid_eq(&r->id, &id_meta);
	char text[GUID_TEXT];

	if (off < VHDX_MIB || off % VHDX_MIB)
		return diag_fail(why, ERR_CORRUPT, "vhdx: region entry %u, "
				 "impossible offset: 0x%llx", n,
				 (unsigned long long)off);
	if (!len || len % VHDX_MIB)
		return diag_fail(why, ERR_CORRUPT, "vhdx: region entry %u, "
				 "impossible length: 0x%x", n, len);
	if (!range_within(off, len, dev_size(x->io)))
		return diag_fail(why, ERR_CORRUPT, "vhdx: region entry %u, "
				 "ends behind the file: 0x%llx", n,
				 (unsigned long long)off);
	if (flags & ~VHDX_REGION_REQUIRED)
		return diag_fail(why, ERR_CORRUPT, "vhdx: region entry %u, "
				 "unknown flags: 0x%x", n, flags);
	if (!known && (flags & VHDX_REGION_REQUIRED))
		return diag_fail(why, ERR_UNSUPP, "vhdx: region entry %u, "
				 "unknown required region: %s", n,
				 guid_format(&r->id, text));
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct vhdx_extent *p = a, *q = b;

	return p->off < q->off ? -1 : p->off > q->off;
}

static int extents_check(struct vhdx *x, struct diag *why)
{
	qsort(x->extents, x->n_extents, sizeof(*x->extents), by_offset);
	for (size_t i = 1; i < x->n_extents; i++) {
		const struct vhdx_extent *a = &x->extents[i - 1];

		if (x->extents[i].off - a->off < a->len)
			return diag_fail(why, ERR_CORRUPT, "vhdx: regions "
					 "overlap at 0x%llx",
					 (unsigned long long)x->extents[i].off);
	}
	return 0;
}

static void add_extent(struct vhdx *x, uint64_t off, uint64_t len)
{
	if (len)
		x->extents[x->n_extents++] = (struct vhdx_extent) { off, len };
}

/* Duplicate ids of known regions are met here, of unknown ones only when
 * they overlap: nothing of ours looks them up. */
static int known_region(struct vhdx *x, const struct vhdx_disk_region *r,
			struct diag *why)
{
	struct vhdx_extent *e = guid_eq(&r->id, &id_bat) ? &x->bat :
				guid_eq(&r->id, &id_meta) ? &x->meta : NULL;

	if (!e)
		return 0;
	if (e->len)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: region table names the %s twice",
				 e == &x->bat ? "BAT" : "metadata");
	*e = (struct vhdx_extent) { le64(r->off), le32(r->len) };
	return 0;
}

static int table_decode(struct vhdx *x, const uint8_t *raw, struct diag *why)
{
	const struct vhdx_disk_regions *t = (const void *)raw;
	const struct vhdx_disk_region *r = (const void *)(t + 1);
	uint32_t count = le32(t->count);

	if (count > VHDX_REGIONS_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: region table, too many entries: %u",
				 count);
	x->extents = mem_zalloc(count + 2, sizeof(*x->extents));
	if (!x->extents)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	add_extent(x, 0, VHDX_MIB);
	add_extent(x, x->hdr.log_offset, x->hdr.log_length);
	for (uint32_t i = 0; i < count; i++) {
		int ret = entry_check(x, &r[i], i + 1, why);

		if (!ret)
			ret = known_region(x, &r[i], why);
		if (ret)
			return ret;
		add_extent(x, le64(r[i].off), le32(r[i].len));
	}
	if (!x->bat.len || !x->meta.len)
		return diag_fail(why, ERR_CORRUPT, "vhdx: no %s region",
				 x->bat.len ? "metadata" : "BAT");
	return extents_check(x, why);
}

int vhdx_region_load(struct vhdx *x, struct diag *why)
{
	uint8_t *raw = mem_alloc(2, VHDX_KIB64);
	bool ok[2];
	int ret;

	if (!raw)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	ret = dev_read(x->io, raw, 2 * VHDX_KIB64, VHDX_REGION_OFF(0));
	if (ret) {
		diag_fail(why, ret, "vhdx: region tables: %s", strerror(-ret));
		goto fail;
	}
	ok[0] = table_ok(raw);
	ok[1] = table_ok(raw + VHDX_KIB64);
	x->regions_copy = !ok[0];
	x->regions_differ = memcmp(raw, raw + VHDX_KIB64, VHDX_KIB64) != 0;
	if (ok[0] || ok[1])
		ret = table_decode(x, raw + x->regions_copy * VHDX_KIB64, why);
	else
		ret = diag_fail(why, ERR_CORRUPT,
				"vhdx: both region tables are damaged");
fail:
	free(raw);
	return ret;
}

bool vhdx_region_hit(const struct vhdx *x, uint64_t off, uint64_t len)
{
	size_t lo = 0, hi = x->n_extents;

	/* The last extent that begins before the range ends. */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (x->extents[mid].off < off + len)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && ranges_overlap(off, len, x->extents[lo - 1].off,
				    x->extents[lo - 1].len);
}

int vhdx_region_repair(struct vhdx *x)
{
	uint64_t from = VHDX_REGION_OFF(x->regions_copy);
	uint64_t to = VHDX_REGION_OFF(!x->regions_copy);
	uint8_t page[VHDX_PAGE], *data;

	for (unsigned off = 0; off < VHDX_KIB64; off += VHDX_PAGE) {
		int ret = dev_read(x->io, page, sizeof(page), from + off);

		if (!ret)
			ret = vhdx_page_edit(x, to + off, &data);
		if (ret)
			return ret;
		memcpy(data, page, sizeof(page));
		vhdx_page_put(x);
	}
	x->regions_differ = false;
	return 0;
}
