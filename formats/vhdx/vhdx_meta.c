/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: the metadata region and its items (FORMAT.md 5). */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* Seen in every file (mandatory), or known to be harmless. */
enum known {
	PARAMS, SIZE, DISK_ID, LSS, PSS, LOCATOR, N_ITEMS,
	CHS = N_ITEMS, NVDIMM, INCOMPLETE, N_KNOWN
};

static const struct known_item {
	struct guid id;
	uint32_t len;		/* 0: any */
	const char *name;
	bool virtual;
} known_items[N_KNOWN] = {
	[PARAMS] = { VHDX_ITEM_PARAMS, 8, "file parameters", false },
	[SIZE] = { VHDX_ITEM_SIZE, 8, "disk size", true },
	[DISK_ID] = { VHDX_ITEM_DISK_ID, 16, "disk id", true },
	[LSS] = { VHDX_ITEM_LSS, 4, "logical sector size", true },
	[PSS] = { VHDX_ITEM_PSS, 4, "physical sector size", true },
	[LOCATOR] = { VHDX_ITEM_LOCATOR, 0, "parent locator", false },
	[CHS] = { VHDX_ITEM_CHS, 0, "CHS parameters", false },
	[NVDIMM] = { VHDX_ITEM_NVDIMM, 0, "NVDIMM labels", false },
	[INCOMPLETE] = { VHDX_ITEM_INCOMPLETE, 0, "incomplete file", false },
};

static int find_known(const struct guid *id)
{
	for (int i = 0; i < N_KNOWN; i++)
		if (guid_eq(id, &known_items[i].id))
			return i;
	return -1;
}

static int item_limits(const struct vhdx *x, const struct vhdx_item *it,
		       unsigned n, struct diag *why)
{
	const uint32_t all = VHDX_ITEM_USER | VHDX_ITEM_VIRTUAL |
			     VHDX_ITEM_REQUIRED;

	if (guid_is_zero(&it->id))
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: metadata item %u, no id", n);
	if (it->flags & ~all ||
	    (it->flags & VHDX_ITEM_USER && it->flags & VHDX_ITEM_REQUIRED))
		return diag_fail(why, ERR_CORRUPT, "vhdx: metadata item %u, "
				 "impossible flags: 0x%x", n, it->flags);
	if (it->len > VHDX_ITEM_LEN_MAX)
		return diag_fail(why, ERR_CORRUPT, "vhdx: metadata item %u, "
				 "longer than 1 MiB: %u", n, it->len);
	if (it->len ? it->off < VHDX_KIB64 ||
		      !range_within(it->off, it->len, x->meta.len) : it->off)
		return diag_fail(why, ERR_CORRUPT, "vhdx: metadata item %u, "
				 "impossible offset: 0x%x", n, it->off);
	return 0;
}

static int item_known(const struct vhdx_item *it, unsigned n, struct diag *why)
{
	int k = it->flags & VHDX_ITEM_USER ? -1 : find_known(&it->id);
	const struct known_item *want = k < 0 ? NULL : &known_items[k];
	char text[GUID_TEXT];

	if (!want && it->flags & VHDX_ITEM_REQUIRED)
		return diag_fail(why, ERR_UNSUPP, "vhdx: metadata item %u, "
				 "unknown and required: %s", n,
				 guid_format(&it->id, text));
	if (k == INCOMPLETE)
		return diag_fail(why, ERR_CORRUPT, "vhdx: the file was never "
				 "finished by its creator");
	if (!want || k >= N_ITEMS)
		return 0;
	if (want->len && it->len != want->len)
		return diag_fail(why, ERR_CORRUPT, "vhdx: %s, wrong length: %u",
				 want->name, it->len);
	if (!!(it->flags & VHDX_ITEM_VIRTUAL) != want->virtual)
		return diag_fail(why, ERR_CORRUPT, "vhdx: %s, wrong flags: "
				 "0x%x", want->name, it->flags);
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct vhdx_item *p = a, *q = b;

	return p->off < q->off ? -1 : p->off > q->off;
}

static int by_id(const void *a, const void *b)
{
	const struct vhdx_item *p = a, *q = b;
	int c = memcmp(&p->id, &q->id, sizeof(p->id));

	return c ? c : (int)(p->flags & VHDX_ITEM_USER) -
		       (int)(q->flags & VHDX_ITEM_USER);
}

static int items_distinct(struct vhdx *x, struct diag *why)
{
	qsort(x->items, x->n_items, sizeof(*x->items), by_id);
	for (size_t i = 1; i < x->n_items; i++)
		if (!by_id(&x->items[i - 1], &x->items[i]))
			return diag_fail(why, ERR_CORRUPT, "vhdx: a metadata "
					 "item is there twice");
	qsort(x->items, x->n_items, sizeof(*x->items), by_offset);
	for (size_t i = 1; i < x->n_items; i++) {
		const struct vhdx_item *a = &x->items[i - 1];

		if (ranges_overlap(a->off, a->len, a[1].off, a[1].len))
			return diag_fail(why, ERR_CORRUPT, "vhdx: metadata "
					 "items overlap at 0x%x", a[1].off);
	}
	return 0;
}

static int table_decode(struct vhdx *x, const uint8_t *raw, struct diag *why)
{
	const struct vhdx_disk_meta *t = (const void *)raw;
	const struct vhdx_disk_item *r = (const void *)(t + 1);
	unsigned count = le16(t->count);

	if (memcmp(t->sig, "metadata", 8))
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: metadata table, no signature");
	if (count > VHDX_ITEMS_MAX)
		return diag_fail(why, ERR_CORRUPT, "vhdx: metadata table, "
				 "too many entries: %u", count);
	x->items = mem_zalloc(count, sizeof(*x->items));
	if (!x->items)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	for (unsigned i = 0; i < count; i++) {
		struct vhdx_item *it = &x->items[x->n_items++];
		int ret;

		*it = (struct vhdx_item) { r[i].id, le32(r[i].off),
					   le32(r[i].len), le32(r[i].flags) };
		ret = item_limits(x, it, i + 1, why);
		if (!ret)
			ret = item_known(it, i + 1, why);
		if (ret)
			return ret;
	}
	return items_distinct(x, why);
}

static int table_load(struct vhdx *x, struct diag *why)
{
	uint8_t *raw;
	int ret;

	if (x->meta.len > VHDX_META_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhdx: metadata region, "
				 "too large: 0x%llx",
				 (unsigned long long)x->meta.len);
	raw = mem_alloc(1, VHDX_KIB64);
	if (!raw)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	ret = dev_read(x->io, raw, VHDX_KIB64, x->meta.off);
	if (ret)
		diag_fail(why, ret, "vhdx: metadata table: %s", strerror(-ret));
	else
		ret = table_decode(x, raw, why);
	free(raw);
	return ret;
}

static const struct vhdx_item *find_item(const struct vhdx *x, int k)
{
	for (size_t i = 0; i < x->n_items; i++)
		if (!(x->items[i].flags & VHDX_ITEM_USER) &&
		    guid_eq(&x->items[i].id, &known_items[k].id))
			return &x->items[i];
	return NULL;
}

int vhdx_meta_read(struct vhdx *x, const struct vhdx_item *item,
		   uint8_t **data, struct diag *why)
{
	uint8_t *p = mem_alloc(1, item->len);
	int ret;

	if (!p)
		return diag_fail(why, ENOMEM, "vhdx: out of memory");
	ret = item->len ? dev_read(x->io, p, item->len, x->meta.off + item->off)
			: 0;
	if (ret) {
		free(p);
		return diag_fail(why, ret, "vhdx: metadata item: %s",
				 strerror(-ret));
	}
	*data = p;
	return 0;
}

/* The five that every file has; their lengths were checked. */
static int read_known(struct vhdx *x, int k, void *buf, struct diag *why)
{
	const struct vhdx_item *it = find_item(x, k);
	int ret;

	if (!it)
		return diag_fail(why, ERR_CORRUPT, "vhdx: no %s",
				 known_items[k].name);
	ret = dev_read(x->io, buf, it->len, x->meta.off + it->off);
	if (ret)
		return diag_fail(why, ret, "vhdx: %s: %s", known_items[k].name,
				 strerror(-ret));
	return 0;
}

static int load_sectors(struct vhdx *x, struct diag *why)
{
	le32_t lss, pss;
	int ret = read_known(x, LSS, &lss, why);

	if (!ret)
		ret = read_known(x, PSS, &pss, why);
	if (ret)
		return ret;
	x->info.sector_size = le32(lss);
	x->info.phys_sector_size = le32(pss);
	if (x->info.sector_size != 512 && x->info.sector_size != 4096)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: impossible logical sector size: %u",
				 x->info.sector_size);
	if (x->info.phys_sector_size != 512 && x->info.phys_sector_size != 4096)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: impossible physical sector size: %u",
				 x->info.phys_sector_size);
	return 0;
}

static int load_params(struct vhdx *x, struct diag *why)
{
	struct vhdx_disk_params raw;
	int ret = read_known(x, PARAMS, &raw, why);
	uint32_t flags;

	if (ret)
		return ret;
	x->info.block_size = le32(raw.block_size);
	flags = le32(raw.flags);
	x->info.has_parent = flags & VHDX_PARAM_HAS_PARENT;
	x->info.fixed = (flags & VHDX_PARAM_LEAVE_ALLOCATED) &&
			!x->info.has_parent;
	if (!is_pow2(x->info.block_size) || x->info.block_size < VHDX_MIB ||
	    x->info.block_size > 256 * VHDX_MIB)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: impossible block size: %u",
				 x->info.block_size);
	if (flags & ~(VHDX_PARAM_LEAVE_ALLOCATED | VHDX_PARAM_HAS_PARENT))
		return diag_fail(why, ERR_UNSUPP, "vhdx: file parameters, "
				 "unknown flags: 0x%x", flags);
	x->block_shift = (unsigned)__builtin_ctz(x->info.block_size);
	return 0;
}

static int load_size(struct vhdx *x, struct diag *why)
{
	le64_t size;
	int ret = read_known(x, SIZE, &size, why);

	if (!ret)
		ret = read_known(x, DISK_ID, &x->info.disk_id, why);
	if (ret)
		return ret;
	x->info.size = le64(size);
	if (!x->info.size || x->info.size > VHDX_SIZE_MAX ||
	    x->info.size % x->info.sector_size)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: impossible disk size: %llu",
				 (unsigned long long)x->info.size);
	return 0;
}

/* A locator without HasParent is left alone; qemu does the same. */
static int load_locator(struct vhdx *x, struct diag *why)
{
	const struct vhdx_item *it = find_item(x, LOCATOR);
	uint8_t *data;
	int ret;

	if (!x->info.has_parent)
		return 0;
	if (!it)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: differencing, but no parent locator");
	if (it->len > VHDX_LOCATOR_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: parent locator, too long: %u", it->len);
	ret = vhdx_meta_read(x, it, &data, why);
	if (ret)
		return ret;
	ret = vhdx_locator_decode(data, it->len, &x->info, why);
	free(data);
	return ret;
}

int vhdx_meta_load(struct vhdx *x, struct diag *why)
{
	int ret = table_load(x, why);

	if (!ret)
		ret = load_params(x, why);
	if (!ret)
		ret = load_sectors(x, why);
	if (!ret)
		ret = load_size(x, why);
	if (!ret)
		ret = load_locator(x, why);
	return ret;
}
