/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compressed NTFS data. A file is cut into units of 2^n clusters (16). A unit
 * with all its clusters is stored as it is, one with none is zeros, one with
 * some is LZNT1 in those clusters, and a hole behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

/* Clusters that the unit at vcn really has; -ERR_CORRUPT when a hole is not
 * at its end. */
static int count_clusters(const struct ntfs_stream *s, uint64_t vcn, uint64_t n)
{
	uint64_t have = 0, lcn;
	bool hole = false;

	while (n) {
		uint64_t run;

		/* The last unit may be cut by the end of the runs. */
		if (vcn >= s->runs.end)
			break;
		run = min_of(ntfs_runs_at(&s->runs, vcn, &lcn), n);
		if (lcn == NTFS_HOLE)
			hole = true;
		else if (hole)
			return -ERR_CORRUPT;
		else
			have += run;
		vcn += run;
		n -= run;
	}
	return (int)have;
}

static int expand_unit(struct ntfs_stream *s, uint64_t vcn, uint32_t have,
		       uint8_t *out)
{
	unsigned shift = s->v->geo.cluster_shift;
	size_t len = (size_t)have << shift;
	uint8_t *packed = mem_alloc(len, 1);
	int ret = packed ? 0 : -ENOMEM;

	if (!ret)
		ret = ntfs_runs_read(s->v, &s->runs, vcn << shift, packed, len,
				     false);
	if (!ret)
		ret = ntfs_lznt1(packed, len, out,
				 (size_t)s->v->geo.cluster_size <<
				 s->unit_shift);
	free(packed);
	return ret;
}

/* The whole unit at vcn into out. */
static int load_unit(struct ntfs_stream *s, uint64_t vcn, uint8_t *out)
{
	unsigned shift = s->v->geo.cluster_shift;
	uint64_t n = 1ULL << s->unit_shift;
	uint64_t left = min_of(n, s->runs.end - vcn);
	size_t len = (size_t)n << shift;
	int have = count_clusters(s, vcn, n);

	if (have < 0)
		return have;
	if (have && (uint64_t)have < n)
		return expand_unit(s, vcn, (uint32_t)have, out);
	memset(out, 0, len);
	if (!have)
		return 0;
	return ntfs_runs_read(s->v, &s->runs, vcn << shift, out,
			      (size_t)left << shift, false);
}

/* A part of a unit, through the one that the handle remembers. */
static int read_part(struct ntfs_stream *s, uint64_t vcn, size_t at, void *buf,
		     size_t len)
{
	size_t size = (size_t)s->v->geo.cluster_size << s->unit_shift;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->unit || s->unit_vcn != vcn) {
		if (!s->unit)
			s->unit = mem_alloc(size, 1);
		ret = s->unit ? load_unit(s, vcn, s->unit) : -ENOMEM;
		s->unit_vcn = ret ? UINT64_MAX : vcn;
	}
	if (!ret)
		memcpy(buf, s->unit + at, len);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int ntfs_comp_read(struct ntfs_stream *s, void *buf, size_t len, uint64_t off)
{
	unsigned shift = s->v->geo.cluster_shift + s->unit_shift;
	size_t size = (size_t)1 << shift;
	uint8_t *p = buf;
	int ret = 0;

	while (len && !ret) {
		uint64_t vcn = off >> shift << s->unit_shift;
		size_t at = off & (size - 1), n = min_of(len, size - at);

		if (n == size)
			ret = load_unit(s, vcn, p);
		else
			ret = read_part(s, vcn, at, p, n);
		p += n;
		off += n;
		len -= n;
	}
	return ret;
}

uint64_t ntfs_comp_span(const struct ntfs_stream *s, uint64_t off, bool *hole)
{
	unsigned shift = s->v->geo.cluster_shift;
	uint64_t unit = 1ULL << s->unit_shift;
	uint64_t vcn = round_down(off >> shift, unit), lcn;
	uint64_t n = ntfs_runs_at(&s->runs, vcn, &lcn);

	/* A hole that begins inside a unit is the end of packed data. */
	*hole = lcn == NTFS_HOLE && (n >= unit || vcn + n == s->runs.end);
	n = n < unit ? unit : round_down(n, unit);
	return ((vcn + n) << shift) - off;
}
