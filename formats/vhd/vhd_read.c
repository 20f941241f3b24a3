/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where bytes come from: FORMAT.md 5.4 and 7.3. */
#include <string.h>

#include "formats/vhd/vhd_int.h"

enum seg_kind { SEG_ZERO, SEG_FILE, SEG_PARENT };

/* len bytes of the disk that come from one place. */
struct seg {
	enum seg_kind kind;
	uint64_t off;		/* in the file or in the parent */
	uint64_t len;
};

/* What an absent sector reads as. Behind the parent's end are zeros. */
static int seg_absent(struct vhd *v, uint64_t off, struct seg *seg)
{
	uint64_t parent_size;

	seg->kind = SEG_ZERO;
	if (v->info.type != VHD_DIFFERENCING)
		return 0;
	if (!v->parent)
		return -ESTALE;
	parent_size = dev_size(v->parent);
	if (off >= parent_size)
		return 0;
	seg->kind = SEG_PARENT;
	seg->off = off;
	seg->len = min_of(seg->len, parent_size - off);
	return 0;
}

static int seg_in_block(struct vhd *v, struct vhd_block *b, uint64_t off,
			struct seg *seg)
{
	uint32_t in = (uint32_t)(off & (v->header.block_size - 1));
	uint32_t first = in / VHD_SECTOR, n = 0;
	bool here = true;
	int ret = 0;

	if (!b->full) {
		uint64_t end = div_up(in + seg->len, VHD_SECTOR);

		ret = vhd_bitmap_run(v, b, first, (uint32_t)end - first, &here,
				     &n);
		if (ret)
			return ret;
		seg->len = min_of(seg->len, (uint64_t)n * VHD_SECTOR -
					    in % VHD_SECTOR);
	}
	if (!here)
		return seg_absent(v, off, seg);
	seg->kind = SEG_FILE;
	seg->off = b->data + in;
	return 0;
}

/* The first piece of [off, off + len). */
static int seg_find(struct vhd *v, uint64_t off, uint64_t len, struct seg *seg)
{
	uint64_t in = off & (v->header.block_size - 1);
	struct vhd_block b;
	int ret;

	*seg = (struct seg) { SEG_FILE, off, len };
	if (v->info.type == VHD_FIXED)
		return 0;
	seg->len = min_of(len, v->header.block_size - in);
	ret = vhd_bat_get(v, off >> v->block_shift, &b);
	if (ret)
		return ret;
	return b.start ? seg_in_block(v, &b, off, seg)
		       : seg_absent(v, off, seg);
}

int vhd_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	struct vhd *v = vhd_of(dev);
	uint8_t *p = buf;
	int ret = 0;

	while (len && !ret) {
		struct seg seg;

		ret = seg_find(v, off, len, &seg);
		if (ret)
			break;
		if (seg.kind == SEG_ZERO)
			memset(p, 0, (size_t)seg.len);
		else
			ret = dev_read(seg.kind == SEG_FILE ? v->file
				       : v->parent, p, (size_t)seg.len,
				       seg.off);
		p += seg.len;
		off += seg.len;
		len -= (size_t)seg.len;
	}
	return ret;
}

/* An answer ends after so many pieces, all blocks of a usual disk: with tiny
 * ones a large hole could take minutes. */
#define SEGS_MAX (1u << 20)

struct run_list {
	struct dev_run *runs;
	int n, max;
};

/* False when the list is full and run does not continue the last one. */
static bool put_run(struct run_list *l, struct dev_run run)
{
	uint64_t before = l->n ? l->runs[l->n - 1].len : 0;
	int n = dev_run_add(l->runs, l->n, l->max, run);
	bool added = n > l->n || (n && l->runs[n - 1].len != before);

	l->n = n;
	return added;
}

/* As much of the segment as the list takes; *done tells how much. */
static int put_mapped(struct run_list *l, struct dev *dev,
		      const struct seg *seg, uint64_t *done)
{
	struct dev_run runs[16];

	*done = 0;
	while (*done < seg->len) {
		int n = dev_map(dev, seg->off + *done, seg->len - *done, runs,
				ARRAY_LEN(runs));

		if (n <= 0)
			return n ? n : -EIO;
		for (int i = 0; i < n; i++) {
			if (!put_run(l, runs[i]))
				return 0;
			*done += runs[i].len;
		}
	}
	return 0;
}

static int put_seg(struct vhd *v, struct run_list *l, const struct seg *seg,
		   uint64_t *done)
{
	struct dev_run zeros = {
		.kind = DEV_RUN_ZERO, .fd = -1, .len = seg->len,
	};

	if (seg->kind != SEG_ZERO)
		return put_mapped(l, seg->kind == SEG_FILE ? v->file
				  : v->parent, seg, done);
	*done = put_run(l, zeros) ? seg->len : 0;
	return 0;
}

int vhd_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	    int max)
{
	struct run_list l = { runs, 0, max };
	struct vhd *v = vhd_of(dev);

	for (uint32_t i = 0; len && i < SEGS_MAX; i++) {
		uint64_t done = 0;
		struct seg seg;
		int ret = seg_find(v, off, len, &seg);

		if (!ret)
			ret = put_seg(v, &l, &seg, &done);
		/* What was found before an error is still true. */
		if (ret)
			return l.n ? l.n : ret;
		if (done < seg.len)
			break;
		off += done;
		len -= done;
	}
	return l.n;
}
