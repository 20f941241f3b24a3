/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Solid resources (FORMAT.md 4.4): many blobs in one, as in ESD files. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"

static int decode(const struct wim_disk_solid *raw, struct wim_res *r,
		  uint64_t *n, struct diag *why)
{
	uint32_t codec = le32(raw->codec);

	r->hdr.usize = le64(raw->usize);
	r->chunk_size = le32(raw->chunk_size);
	if (codec > CODEC_LZMS)
		return diag_fail(why, ERR_UNSUPP, "wim: solid resource at "
				 "%llu, unknown compression: %u",
				 (unsigned long long)r->hdr.off, codec);
	r->codec = (enum codec_kind)codec;
	if (!is_pow2(r->chunk_size) || r->chunk_size < 4096 ||
	    r->chunk_size > WIM_CHUNK_MAX)
		return diag_fail(why, ERR_CORRUPT, "wim: solid resource at "
				 "%llu, chunk size that cannot be: %u",
				 (unsigned long long)r->hdr.off, r->chunk_size);
	*n = div_up(r->hdr.usize, r->chunk_size);
	/* Each chunk has four bytes in the table and at least one of data. */
	if (!*n || *n > (r->hdr.csize - sizeof(*raw)) / 5)
		return diag_fail(why, ERR_CORRUPT, "wim: solid resource at "
				 "%llu, %llu bytes cannot hold its %llu chunks",
				 (unsigned long long)r->hdr.off,
				 (unsigned long long)r->hdr.csize,
				 (unsigned long long)*n);
	r->data = sizeof(*raw) + 4 * *n;
	return 0;
}

/* Sizes to ends; the table must account for every byte. */
static int sum_up(struct wim_res *r, const uint8_t *table, uint64_t *ends,
		  uint64_t n, struct diag *why)
{
	uint64_t pos = r->data;

	for (uint64_t i = 0; i < n; i++) {
		uint32_t c = le32_at(table + 4 * i);
		uint64_t u = min_of((uint64_t)r->chunk_size, r->hdr.usize -
				    i * r->chunk_size);

		if (!c || c > u)
			return diag_fail(why, ERR_CORRUPT, "wim: solid "
					 "resource at %llu, chunk %llu, size "
					 "that cannot be: %u",
					 (unsigned long long)r->hdr.off,
					 (unsigned long long)i, c);
		pos += c;
		ends[i] = pos;
	}
	if (pos != r->hdr.csize)
		return diag_fail(why, ERR_CORRUPT, "wim: solid resource at "
				 "%llu, chunks end at %llu of %llu",
				 (unsigned long long)r->hdr.off,
				 (unsigned long long)pos,
				 (unsigned long long)r->hdr.csize);
	return 0;
}

static int load_table(struct wim_res *r, uint64_t n, uint64_t **out,
		      struct diag *why)
{
	uint64_t *ends = mem_alloc((size_t)n, sizeof(*ends));
	uint8_t *table = mem_alloc((size_t)n, 4);
	int ret = ends && table ? 0 : -ENOMEM;

	if (!ret)
		ret = dev_read(r->file->dev, table, (size_t)n * 4,
			       r->hdr.off + sizeof(struct wim_disk_solid));
	if (!ret)
		ret = sum_up(r, table, ends, n, why);
	else
		diag_fail(why, ret, "wim: solid resource at %llu: %s",
			  (unsigned long long)r->hdr.off, strerror(-ret));
	free(table);
	if (ret)
		free(ends);
	else
		*out = ends;
	return ret;
}

/* Where this one begins in its run: file and table order are the same. */
static int place(struct wim *w, size_t first, struct wim_solid *s,
		 struct diag *why)
{
	const struct wim_solid *prev;

	if (w->n_solids == first)
		return 0;
	prev = &w->solids[w->n_solids - 1];
	if (__builtin_add_overflow(prev->base, prev->res.hdr.usize, &s->base) ||
	    s->base > INT64_MAX)
		return diag_fail(why, ERR_CORRUPT, "wim: blob table, solid "
				 "resources larger than a file can be");
	return 0;
}

static int append(struct wim *w, const struct wim_solid *s)
{
	if (w->n_solids == w->max_solids) {
		size_t max = max_of(w->max_solids * 2, (size_t)8);
		struct wim_solid *v = mem_realloc(w->solids, max, sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->solids = v;
		w->max_solids = max;
	}
	w->solids[w->n_solids++] = *s;
	return 0;
}

int wim_solid_load(struct wim *w, size_t first, const struct wim_reshdr *hdr,
		   struct wim_file *file, struct diag *why)
{
	struct wim_solid s = { .res = {
		.file = file, .hdr = *hdr,
		.id = 0x80000000u | (uint32_t)w->n_solids,
	} };
	struct wim_disk_solid raw;
	uint64_t n = 0;
	int ret;

	s.res.hdr.flags = WIM_R_SOLID;
	if (hdr->csize < sizeof(raw) + 5 ||
	    !range_within(hdr->off, hdr->csize, dev_size(file->dev)))
		return diag_fail(why, ERR_CORRUPT, "wim: solid resource "
				 "outside the file: %llu bytes at %llu",
				 (unsigned long long)hdr->csize,
				 (unsigned long long)hdr->off);
	ret = dev_read(file->dev, &raw, sizeof(raw), hdr->off);
	if (ret)
		return diag_fail(why, ret, "wim: solid resource at %llu: %s",
				 (unsigned long long)hdr->off, strerror(-ret));
	ret = decode(&raw, &s.res, &n, why);
	if (!ret)
		ret = place(w, first, &s, why);
	if (!ret)
		ret = load_table(&s.res, n, &s.ends, why);
	if (ret)
		return ret;
	s.res.ends = s.ends;
	ret = append(w, &s);
	if (ret)
		free(s.ends);
	return ret;
}
