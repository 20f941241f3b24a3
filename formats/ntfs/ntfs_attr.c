/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS attributes of a file record, and attribute lists. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

static int decode_resident(const uint8_t *p, uint32_t len,
			   struct ntfs_attr *out)
{
	struct ntfs_disk_resident r;
	uint32_t off;

	if (len < sizeof(r))
		return -ERR_CORRUPT;
	memcpy(&r, p, sizeof(r));
	off = le16(r.value_off);
	out->value_len = le32(r.value_len);
	if (!range_within(off, out->value_len, len))
		return -ERR_CORRUPT;
	out->value = p + off;
	out->size = out->initialized = out->value_len;
	out->allocated = round_up(out->value_len, 8);
	return 0;
}

static int decode_nonresident(const uint8_t *p, uint32_t len,
			      struct ntfs_attr *out)
{
	struct ntfs_disk_nonresident n;
	uint64_t last;
	uint32_t off;

	if (len < NTFS_NONRESIDENT_MIN)
		return -ERR_CORRUPT;
	memset(&n, 0, sizeof(n));
	memcpy(&n, p, min_of((size_t)len, sizeof(n)));
	off = le16(n.pairs_off);
	if (off < NTFS_NONRESIDENT_MIN || off > len)
		return -ERR_CORRUPT;
	out->value = p + off;
	out->value_len = len - off;
	out->first_vcn = le64(n.first_vcn);
	last = le64(n.last_vcn);
	out->end_vcn = last + 1;	/* -1: empty */
	if (out->end_vcn < out->first_vcn)
		return -ERR_CORRUPT;
	out->allocated = le64(n.allocated);
	out->size = le64(n.size);
	out->initialized = le64(n.initialized);
	out->unit_shift = n.unit_shift;
	out->compressed = out->allocated;
	if (out->flags & (NTFS_ATTR_COMPRESSED | NTFS_ATTR_SPARSE) &&
	    off >= sizeof(n))
		out->compressed = le64(n.compressed);
	if (!out->first_vcn && (out->size > INT64_MAX ||
				out->initialized > out->size))
		return -ERR_CORRUPT;
	return 0;
}

int ntfs_attr_next(const struct ntfs_rec *rec, uint32_t *pos,
		   struct ntfs_attr *out)
{
	uint32_t off = *pos ? *pos : rec->attrs_off, len, name_off;
	const uint8_t *p = rec->data + off;
	struct ntfs_disk_attr a;
	int ret;

	if (!range_within(off, 4, rec->used))
		return -ERR_CORRUPT;
	if (le32_at(p) == NTFS_AT_END)
		return 0;
	if (!range_within(off, sizeof(a), rec->used))
		return -ERR_CORRUPT;
	memcpy(&a, p, sizeof(a));
	len = le32(a.len);
	name_off = le16(a.name_off);
	if (len < sizeof(a) || len & 7 || !range_within(off, len, rec->used) ||
	    (a.name_len && !range_within(name_off, a.name_len * 2u, len)))
		return -ERR_CORRUPT;
	*out = (struct ntfs_attr) {
		.type = le32(a.type), .flags = le16(a.flags),
		.instance = le16(a.instance), .name_len = a.name_len,
		.name = (const le16_t *)(p + name_off),
		.resident = !a.non_resident,
	};
	ret = out->resident ? decode_resident(p, len, out)
			    : decode_nonresident(p, len, out);
	*pos = off + len;
	return ret ? ret : 1;
}

bool ntfs_attr_named(const struct ntfs_attr *a, const le16_t *name, uint8_t len)
{
	return a->name_len == len &&
	       (!len || !memcmp(a->name, name, len * 2u));
}

static bool wanted(const struct ntfs_want *w, const struct ntfs_attr *a)
{
	if (w->type && w->type != a->type)
		return false;
	if (w->first_only && a->first_vcn)
		return false;
	return w->any_name || ntfs_attr_named(a, w->name, w->name_len);
}

static int walk_record(const struct ntfs_rec *rec, const struct ntfs_want *want,
		       ntfs_attr_fn fn, void *ctx)
{
	struct ntfs_attr a;
	uint32_t pos = 0;
	int ret;

	while ((ret = ntfs_attr_next(rec, &pos, &a)) > 0) {
		if (!wanted(want, &a))
			continue;
		ret = fn(ctx, &a);
		if (ret)
			break;
	}
	return ret;
}

/* 1 with the attribute list, 0 when there is none. It sorts second. */
static int find_list(const struct ntfs_rec *rec, struct ntfs_attr *out)
{
	uint32_t pos = 0;
	int ret;

	while ((ret = ntfs_attr_next(rec, &pos, out)) > 0) {
		if (out->type == NTFS_AT_ATTRIBUTE_LIST)
			return 1;
		if (out->type > NTFS_AT_ATTRIBUTE_LIST)
			return 0;
	}
	return ret;
}

static int load_list(struct ntfs *v, const struct ntfs_attr *a, uint8_t **out)
{
	struct ntfs_runs runs = { 0 };
	uint8_t *buf;
	int ret = 0;

	if (a->size > NTFS_LIST_MAX)
		return -ERR_CORRUPT;
	buf = mem_alloc(a->size + 1, 1);
	if (!buf)
		return -ENOMEM;
	if (a->resident) {
		memcpy(buf, a->value, a->value_len);
	} else {
		ret = ntfs_runs_add(&v->geo, &runs, a);
		if (!ret)
			ret = ntfs_runs_read(v, &runs, 0, buf, a->size, true);
		ntfs_runs_free(&runs);
	}
	if (ret)
		free(buf);
	else
		*out = buf;
	return ret;
}

struct list_walk {
	struct ntfs *v;
	const struct ntfs_rec *base;
	const struct ntfs_want *want;
	ntfs_attr_fn fn;
	void *ctx;
	struct ntfs_rec extent;		/* the last one, when block is set */
};

/* The record that ref means: the base or an extent of it. */
static int list_record(struct list_walk *w, uint64_t ref,
		       const struct ntfs_rec **out)
{
	uint64_t num = ntfs_ref_record(ref);
	int ret;

	*out = num == w->base->num ? w->base : &w->extent;
	if (num == w->base->num || (w->extent.block && w->extent.num == num))
		return 0;
	ntfs_rec_put(&w->extent);
	ret = ntfs_rec_get(w->v, num, &w->extent);
	if (ret)
		return ret == -ENOENT ? -ERR_CORRUPT : ret;
	if (ntfs_ref_record(w->extent.base) != w->base->num ||
	    !w->extent.base || ntfs_ref_seq(ref) != w->extent.seq)
		return -ERR_CORRUPT;
	return 0;
}

/* Calls fn with the attribute that a list entry stands for. */
static int walk_entry(struct list_walk *w, const uint8_t *p)
{
	struct ntfs_disk_list_entry e;
	const struct ntfs_rec *rec;
	struct ntfs_attr a;
	uint32_t pos = 0;
	int ret;

	memcpy(&e, p, sizeof(e));
	ret = list_record(w, le64(e.ref), &rec);
	if (ret)
		return ret;
	while ((ret = ntfs_attr_next(rec, &pos, &a)) > 0)
		if (a.type == le32(e.type) && a.instance == le16(e.instance) &&
		    a.first_vcn == le64(e.first_vcn))
			break;
	if (ret <= 0)
		return ret ? ret : -ERR_CORRUPT;
	if (!ntfs_attr_named(&a, (const le16_t *)(p + e.name_off), e.name_len))
		return -ERR_CORRUPT;
	return w->fn(w->ctx, &a);
}

static int walk_list(struct list_walk *w, const uint8_t *list, uint32_t len)
{
	int ret = 0;

	for (uint32_t off = 0; !ret && off < len;) {
		struct ntfs_disk_list_entry e;
		struct ntfs_attr a = { 0 };
		uint32_t n;

		if (!range_within(off, sizeof(e), len))
			return -ERR_CORRUPT;
		memcpy(&e, list + off, sizeof(e));
		n = le16(e.len);
		if (n < sizeof(e) || !range_within(off, n, len) ||
		    !range_within(e.name_off, e.name_len * 2u, n))
			return -ERR_CORRUPT;
		a.type = le32(e.type);
		a.first_vcn = le64(e.first_vcn);
		a.name = (const le16_t *)(list + off + e.name_off);
		a.name_len = e.name_len;
		if (wanted(w->want, &a))
			ret = walk_entry(w, list + off);
		off += n;
	}
	return ret;
}

int ntfs_attr_walk(struct ntfs *v, const struct ntfs_rec *rec,
		   const struct ntfs_want *want, ntfs_attr_fn fn, void *ctx)
{
	struct list_walk w = { v, rec, want, fn, ctx, { .block = NULL } };
	struct ntfs_attr a;
	uint8_t *list;
	int ret = find_list(rec, &a);

	if (ret < 0)
		return ret;
	if (!ret)
		return walk_record(rec, want, fn, ctx);
	ret = load_list(v, &a, &list);
	if (ret)
		return ret;
	ret = walk_list(&w, list, (uint32_t)a.size);
	ntfs_rec_put(&w.extent);
	free(list);
	return ret;
}
