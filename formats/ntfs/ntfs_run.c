/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS mapping pairs: which clusters a non-resident attribute lies in. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

static uint64_t unsigned_of(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static int64_t signed_of(const uint8_t *p, unsigned n)
{
	uint64_t v = unsigned_of(p, n);

	if (n && n < 8 && p[n - 1] & 0x80)
		v |= UINT64_MAX << (8 * n);
	return (int64_t)v;
}

static int append(struct ntfs_runs *r, uint64_t lcn, uint64_t len)
{
	struct ntfs_run *last = r->n ? &r->v[r->n - 1] : NULL;

	if (!last || (lcn == NTFS_HOLE) != (last->lcn == NTFS_HOLE) ||
	    (lcn != NTFS_HOLE && lcn != last->lcn + (r->end - last->vcn))) {
		if (r->n == r->max) {
			size_t max = r->max ? r->max * 2 : 4;
			void *v = r->max >= NTFS_RUNS_MAX ? NULL :
				mem_realloc(r->v, max, sizeof(*r->v));

			if (!v)
				return -ENOMEM;
			r->v = v;
			r->max = max;
		}
		r->v[r->n++] = (struct ntfs_run) { r->end, lcn };
	}
	r->end += len;
	return 0;
}

/* One pair at p; its length in bytes, or -ERR_CORRUPT. */
static int decode_pair(const uint8_t *p, size_t left, uint64_t *len,
		       int64_t *delta, bool *hole)
{
	unsigned l = p[0] & 15, o = p[0] >> 4;

	if (!l || l > 8 || o > 8 || 1 + l + o > left)
		return -ERR_CORRUPT;
	*len = unsigned_of(p + 1, l);
	*delta = signed_of(p + 1 + l, o);
	*hole = !o;
	return (int)(1 + l + o);
}

int ntfs_runs_add(const struct ntfs_geometry *geo, struct ntfs_runs *runs,
		  const struct ntfs_attr *attr)
{
	const uint8_t *p = attr->value, *end = p + attr->value_len;
	uint64_t lcn = 0, len;
	bool hole;

	if (attr->resident || attr->first_vcn != runs->end ||
	    attr->end_vcn > (uint64_t)INT64_MAX >> geo->cluster_shift)
		return -ERR_CORRUPT;
	while (p < end && *p) {
		int64_t delta;
		int ret = decode_pair(p, (size_t)(end - p), &len, &delta,
				      &hole);

		if (ret < 0)
			return ret;
		p += ret;
		if (!len || len > attr->end_vcn - runs->end)
			return -ERR_CORRUPT;
		if (!hole && __builtin_add_overflow(lcn, (uint64_t)delta, &lcn)
		    && delta >= 0)
			return -ERR_CORRUPT;
		/* NTFS before 3.0 wrote holes as cluster -1. */
		if (!hole && lcn == NTFS_HOLE)
			hole = true;
		if (!hole && !range_within(lcn, len, geo->n_clusters))
			return -ERR_CORRUPT;
		ret = append(runs, hole ? NTFS_HOLE : lcn, len);
		if (ret)
			return ret;
	}
	return runs->end == attr->end_vcn ? 0 : -ERR_CORRUPT;
}

void ntfs_runs_free(struct ntfs_runs *runs)
{
	free(runs->v);
	*runs = (struct ntfs_runs) { 0 };
}

size_t ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn)
{
	size_t low = 0, high = runs->n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (runs->v[mid].vcn <= vcn)
			low = mid;
		else
			high = mid;
	}
	return low;
}

uint64_t ntfs_runs_at(const struct ntfs_runs *runs, uint64_t vcn, uint64_t *lcn)
{
	size_t i = ntfs_runs_find(runs, vcn);
	uint64_t end = i + 1 < runs->n ? runs->v[i + 1].vcn : runs->end;

	*lcn = runs->v[i].lcn;
	if (*lcn != NTFS_HOLE)
		*lcn += vcn - runs->v[i].vcn;
	return end - vcn;
}

int ntfs_runs_read(struct ntfs *v, const struct ntfs_runs *runs, uint64_t off,
		   void *buf, size_t len, bool cached)
{
	unsigned shift = v->geo.cluster_shift;
	uint8_t *p = buf;

	if (!range_within(off, len, runs->end << shift))
		return -ERR_CORRUPT;
	while (len) {
		uint64_t lcn, pos, in = off & (v->geo.cluster_size - 1);
		uint64_t n = ntfs_runs_at(runs, off >> shift, &lcn);
		int ret = 0;

		n = min_of((n << shift) - in, (uint64_t)len);
		pos = (lcn << shift) + in;
		if (lcn == NTFS_HOLE)
			memset(p, 0, n);
		else if (cached)
			ret = ntfs_raw_read(v, pos, p, n);
		else
			ret = dev_read(v->dev, p, n, pos);
		if (ret)
			return ret;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
