/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The blob table (FORMAT.md 5): where the contents with a hash are. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"

#define ENTRY sizeof(struct wim_disk_blob)

bool wim_hash_is_zero(const uint8_t *hash)
{
	static const uint8_t zero[WIM_HASH];

	return !memcmp(hash, zero, WIM_HASH);
}

static size_t slot_of(const struct wim_index *ix, const uint8_t *hash)
{
	uint64_t h = ix->seed;

	for (int i = 0; i < 16; i += 8) {
		h = (h ^ le64_at(hash + i)) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	h = (h ^ le32_at(hash + 16)) * 0xbf58476d1ce4e5b9ULL;
	return (size_t)(h ^ h >> 32) & (ix->size - 1);
}

/* The slot that has hash, or the empty one where it belongs. */
static uint32_t *find_slot(const struct wim *w, const struct wim_index *ix,
			   const uint8_t *hash)
{
	size_t i = slot_of(ix, hash);

	while (ix->slots[i] &&
	       memcmp(w->blobs[ix->slots[i] - 1].hash, hash, WIM_HASH))
		i = (i + 1) & (ix->size - 1);
	return &ix->slots[i];
}

const struct wim_blob *wim_blob_find(const struct wim *w, const uint8_t *hash)
{
	uint32_t n;

	if (!w->index.size)
		return NULL;
	n = *find_slot(w, &w->index, hash);
	return n ? &w->blobs[n - 1] : NULL;
}

/* Room for n blobs in all, at most half full. */
static int reserve_index(struct wim *w, size_t n)
{
	struct wim_index ix = { .size = 64, .seed = w->index.seed };

	while (ix.size < n * 2)
		ix.size *= 2;
	if (ix.size <= w->index.size)
		return 0;
	ix.slots = mem_zalloc(ix.size, sizeof(*ix.slots));
	if (!ix.slots)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_blobs; i++)
		if (!(w->blobs[i].flags & WIM_R_METADATA))
			*find_slot(w, &ix, w->blobs[i].hash) =
				(uint32_t)i + 1;
	free(w->index.slots);
	w->index = ix;
	return 0;
}

static int reserve(struct wim *w, size_t more)
{
	size_t max = w->n_blobs + more;
	struct wim_blob *blobs;

	/* Ids of resources have 31 bits. */
	if (max > INT32_MAX)
		return -ERR_UNSUPP;
	blobs = mem_realloc(w->blobs, max_of(max, (size_t)1), sizeof(*blobs));
	if (!blobs)
		return -ENOMEM;
	w->blobs = blobs;
	w->max_blobs = max;
	return reserve_index(w, max);
}

struct table {
	struct wim *w;
	size_t idx;			/* of the file */
	const struct wim_header *hdr;
	const struct wim_disk_blob *v;
	size_t n;
	struct diag *why;
};

static bool is_solid(const struct table *t, size_t i)
{
	return t->hdr->version == WIM_VERSION_SOLID &&
	       wim_reshdr_decode(&t->v[i].res).flags & WIM_R_SOLID;
}

/* The first of equal hashes counts. */
static void add_blob(struct table *t, size_t i, const struct wim_blob *b)
{
	struct wim *w = t->w;
	uint32_t *slot = find_slot(w, &w->index, b->hash);

	if (*slot)
		return;
	w->blobs[w->n_blobs] = *b;
	*slot = (uint32_t)++w->n_blobs;
}

static int add_image(struct table *t, const struct wim_blob *b)
{
	struct wim *w = t->w;

	/* Soft-deleted by some Windows tools. */
	if (!b->refs || t->idx || t->hdr->part != 1 ||
	    w->n_images >= t->hdr->n_images)
		return 0;
	if (b->refs > 1)
		return diag_fail(t->why, ERR_CORRUPT, "wim: blob table, "
				 "metadata of image %u with %u references",
				 w->n_images + 1, b->refs);
	w->images[w->n_images++] = (uint32_t)w->n_blobs;
	w->blobs[w->n_blobs++] = *b;
	return 0;
}

static int take_plain(struct table *t, size_t i)
{
	const struct wim_disk_blob *raw = &t->v[i];
	struct wim_reshdr r = wim_reshdr_decode(&raw->res);
	struct wim_blob b = {
		.refs = le32(raw->refs), .file = (uint16_t)t->idx,
		.solid = WIM_NONE, .flags = r.flags & ~(unsigned)WIM_R_SOLID,
		.off = r.off, .csize = r.csize, .size = r.usize,
	};

	memcpy(b.hash, raw->hash, WIM_HASH);
	if (le16(raw->part) != t->hdr->part || !b.size ||
	    wim_hash_is_zero(b.hash))
		return 0;
	if (b.flags & WIM_R_METADATA)
		return add_image(t, &b);
	add_blob(t, i, &b);
	return 0;
}

/* The solid resource of this run that holds off, or WIM_NONE. */
static uint32_t find_solid(const struct wim *w, size_t first, uint64_t off,
			   uint64_t size)
{
	size_t lo = first, hi = w->n_solids;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->solids[mid].base <= off)
			lo = mid;
		else
			hi = mid;
	}
	if (lo >= w->n_solids || off < w->solids[lo].base ||
	    !range_within(off - w->solids[lo].base, size,
			  w->solids[lo].res.hdr.usize))
		return WIM_NONE;
	return (uint32_t)lo;
}

static int take_in_solid(struct table *t, size_t i, size_t first)
{
	const struct wim_disk_blob *raw = &t->v[i];
	struct wim_reshdr r = wim_reshdr_decode(&raw->res);
	struct wim_blob b = {
		.refs = le32(raw->refs), .file = (uint16_t)t->idx,
		.flags = WIM_R_SOLID, .size = r.csize,
	};

	memcpy(b.hash, raw->hash, WIM_HASH);
	if (!b.size || wim_hash_is_zero(b.hash))
		return 0;
	b.solid = find_solid(t->w, first, r.off, b.size);
	if (b.solid == WIM_NONE)
		return diag_fail(t->why, ERR_CORRUPT, "wim: blob table, entry "
				 "%zu, not inside one solid resource: %llu "
				 "bytes at %llu", i,
				 (unsigned long long)b.size,
				 (unsigned long long)r.off);
	b.off = r.off - t->w->solids[b.solid].base;
	add_blob(t, i, &b);
	return 0;
}

/* A run may have all its resources first or each before its blobs. */
static int take_run(struct table *t, size_t begin, size_t end)
{
	size_t first = t->w->n_solids;
	int ret = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = begin; i < end && !ret; i++) {
			struct wim_reshdr r = wim_reshdr_decode(&t->v[i].res);
			bool whole = r.usize == WIM_SOLID_MARK;

			if (le16(t->v[i].part) != t->hdr->part)
				continue;
			if (r.flags & (WIM_R_COMPRESSED | WIM_R_METADATA))
				return diag_fail(t->why, ERR_CORRUPT, "wim: "
						 "blob table, entry %zu, flags "
						 "that exclude one another: "
						 "0x%x", i, r.flags);
			if (!pass && whole)
				ret = wim_solid_load(t->w, first, &r,
						     t->w->files[t->idx],
						     t->why);
			else if (pass && !whole)
				ret = take_in_solid(t, i, first);
		}
	return ret;
}

static int take_all(struct table *t)
{
	int ret = 0;

	for (size_t i = 0, end; i < t->n && !ret; i = end) {
		for (end = i; end < t->n && is_solid(t, end);)
			end++;
		if (end > i)
			ret = take_run(t, i, end);
		else
			ret = take_plain(t, end++);
	}
	return ret;
}

static int read_table(struct wim *w, struct wim_file *f, uint8_t **out,
		      struct diag *why)
{
	struct wim_res res;
	uint8_t *p;
	int ret = wim_res_plain(f, &f->hdr.blobs, &res, why);

	if (ret)
		return ret;
	p = mem_alloc((size_t)max_of(res.hdr.usize, (uint64_t)1), 1);
	if (!p)
		return diag_fail(why, ENOMEM, "wim: no memory for the blob "
				 "table");
	ret = wim_res_read(w, &res, p, (size_t)res.hdr.usize, 0);
	if (ret) {
		free(p);
		return diag_fail(why, ret, "wim: blob table cannot be read: %s",
				 strerror(-ret));
	}
	*out = p;
	return 0;
}

static int begin_images(struct wim *w, struct table *t)
{
	if (t->idx)
		return 0;
	w->images = mem_zalloc(t->hdr->n_images + 1, sizeof(*w->images));
	return w->images ? 0 : -ENOMEM;
}

int wim_blobs_load(struct wim *w, size_t idx, struct diag *why)
{
	struct wim_file *f = w->files[idx];
	struct table t = { .w = w, .idx = idx, .hdr = &f->hdr, .why = why };
	uint8_t *raw = NULL;
	int ret = begin_images(w, &t);

	if (!ret)
		ret = read_table(w, f, &raw, why);
	if (ret)
		return diag_fail(why, ret, "wim: no memory");
	t.v = (const void *)raw;
	t.n = (size_t)(f->hdr.blobs.usize / ENTRY);
	if (f->hdr.blobs.usize % ENTRY)
		wim_warn(w, "the blob table has %u bytes too many",
			 (unsigned)(f->hdr.blobs.usize % ENTRY));
	ret = reserve(w, t.n);
	if (!ret)
		ret = take_all(&t);
	free(raw);
	return ret ? diag_fail(why, ret, "wim: blob table: %s", strerror(-ret))
		   : 0;
}
