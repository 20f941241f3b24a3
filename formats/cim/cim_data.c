/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What CIM streams hold, as ranges of region files (FORMAT.md, "Stream",
 * "PeImage"). A PE image's bytes were spread so that sections lie as they are
 * mapped: several ranges.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

#define PE_LEN_MASK (~(1ULL << 63))	/* the top bit means something else */

static int one_seg(struct cim_data *d, struct cim_spot at)
{
	d->segs = mem_alloc(1, sizeof(*d->segs));
	if (!d->segs)
		return -ENOMEM;
	d->segs[0] = (struct cim_seg) { 0, at.off };
	d->n = 1;
	d->dev = at.dev;
	return 0;
}

/* Segment i ends where the next one begins; empty ones need no place. */
static int check_segs(const struct cim_data *d, struct diag *why)
{
	for (size_t i = 0; i < d->n; i++) {
		uint64_t end = i + 1 < d->n ? d->segs[i + 1].off : d->len;

		if (d->segs[i].off > end)
			return diag_fail(why, ERR_CORRUPT, "PE mapping %zu: "
					 "not ascending, or past the file's "
					 "end", i);
		if (end > d->segs[i].off &&
		    !range_within(d->segs[i].pos, end - d->segs[i].off,
				  dev_size(d->dev)))
			return diag_fail(why, ERR_CORRUPT, "PE mapping %zu "
					 "leaves the region", i);
	}
	return 0;
}

/* The data's offset, each mapping's file offset and delta are below 2^48, so
 * their sum is no question. */
static int decode_maps(const struct cim_disk_pe_map *raw, unsigned n,
		       uint64_t start, struct cim_data *d)
{
	d->segs = mem_alloc(n + 1u, sizeof(*d->segs));
	if (!d->segs)
		return -ENOMEM;
	d->segs[d->n++] = (struct cim_seg) { 0, start };
	for (unsigned i = 0; i < n; i++) {
		uint64_t off = le32(raw[i].off);

		d->segs[d->n++] = (struct cim_seg) {
			off, start + off + le32(raw[i].delta)
		};
	}
	return 0;
}

/* ro: of the PE image object; start: where its data begins. */
static int load_maps(const struct cim *v, uint64_t ro, unsigned n,
		     struct cim_spot start, struct cim_data *d,
		     struct diag *why)
{
	struct cim_disk_pe_map *raw = mem_alloc(n + 1u, sizeof(*raw));
	int ret = raw ? 0 : diag_fail(why, ENOMEM, "out of memory");

	d->dev = start.dev;
	if (!ret && n)
		ret = cim_load(v, ro + sizeof(struct cim_disk_pe), raw,
			       n * sizeof(*raw), why);
	if (!ret && decode_maps(raw, n, start.off, d))
		ret = diag_fail(why, ENOMEM, "out of memory");
	free(raw);
	return ret ? ret : check_segs(d, why);
}

static int load_pe(const struct cim *v, const struct cim_stream *s,
		   struct cim_data *d, struct diag *why)
{
	struct cim_disk_pe h;
	struct cim_spot at;
	int ret = cim_load(v, s->off, &h, sizeof(h), why);

	if (ret)
		return diag_in(why, ret, "PE image");
	/* The head may end at the region's end; mappings follow it there. */
	ret = cim_find(v, s->off, sizeof(h) + le16(h.n) *
		       sizeof(struct cim_disk_pe_map), &at, why);
	if (!ret && (le64(h.data_len) & PE_LEN_MASK) < s->len)
		ret = diag_fail(why, ERR_CORRUPT, "%llu bytes of a file of "
				"%llu", (unsigned long long)
				(le64(h.data_len) & PE_LEN_MASK),
				(unsigned long long)s->len);
	if (!ret)
		ret = cim_find(v, le64(h.data), 0, &at, why);
	if (!ret)
		ret = load_maps(v, s->off, le16(h.n), at, d, why);
	return ret ? diag_in(why, ret, "PE image") : 0;
}

int cim_data_load(const struct cim *v, const struct cim_stream *s,
		  struct cim_data *out, struct diag *why)
{
	struct cim_data d = { .len = s->len };
	struct cim_spot at;
	int ret = 0;

	if (s->type == CIM_LINKS)
		return -EISDIR;
	if (!s->sparse && s->len && s->type == CIM_PE) {
		ret = load_pe(v, s, &d, why);
	} else if (!s->sparse && s->len) {
		ret = cim_find(v, s->off, s->len, &at, why);
		if (!ret && one_seg(&d, at))
			ret = diag_fail(why, ENOMEM, "out of memory");
	}
	if (ret)
		cim_data_free(&d);
	else
		*out = d;
	return ret;
}

void cim_data_free(struct cim_data *d)
{
	free(d->segs);
	d->segs = NULL;
}

/* The last segment that begins at or before off. */
static size_t find_seg(const struct cim_data *d, uint64_t off)
{
	size_t lo = 0, hi = d->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->segs[mid].off <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int cim_data_extents(const struct cim_data *d, uint64_t off, uint64_t len,
		     struct tree_extent *ext, int max)
{
	int n = 0;

	len = min_of(len, d->len - off);
	if (!d->dev) {
		ext[0] = (struct tree_extent) { NULL, 0, len };
		return 1;
	}
	for (size_t i = find_seg(d, off); len && n < max; i++) {
		uint64_t end = i + 1 < d->n ? d->segs[i + 1].off : d->len;
		uint64_t part = min_of(len, end - off);

		if (!part)
			continue;
		ext[n++] = (struct tree_extent) {
			d->dev, d->segs[i].pos + (off - d->segs[i].off), part
		};
		off += part;
		len -= part;
	}
	return n;
}

int cim_data_read(const struct cim_data *d, void *buf, size_t len,
		  uint64_t off)
{
	uint8_t *p = buf;

	while (len) {
		struct tree_extent e;
		int ret = 0;

		cim_data_extents(d, off, len, &e, 1);
		if (e.dev)
			ret = dev_read(e.dev, p, (size_t)e.len, e.off);
		else
			memset(p, 0, (size_t)e.len);
		if (ret)
			return ret;
		p += e.len;
		off += e.len;
		len -= (size_t)e.len;
	}
	return 0;
}
