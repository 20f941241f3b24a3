/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this file of a chain holds itself (FORMAT.md 5.4, 12.1). Long absent
 * ranges are the rule: pieces of the BAT that name no block are passed by as a
 * whole, and are not kept.
 */
#include <string.h>

#include "formats/vhd/vhd_int.h"

/* An answer ends after so many pieces: see vhd_map(). */
#define PIECES_MAX (1u << 20)

static bool all_ones(const void *raw, size_t len)
{
	const uint8_t *p = raw;

	return p[0] == 0xFF && !memcmp(p, p + 1, len - 1);
}

/* How many blocks from blk on, to the end of its page, are certain to be
 * absent; 0: look at each. */
static int absent_blocks(struct vhd *v, uint64_t blk, uint64_t *n)
{
	uint64_t idx = blk / VHD_PAGE_ENTRIES;
	struct vhd_page *page = __atomic_load_n(&v->pages[idx],
						__ATOMIC_ACQUIRE);
	uint64_t end = min_of((idx + 1) * VHD_PAGE_ENTRIES, v->n_blocks);
	be32_t raw[VHD_PAGE_ENTRIES];
	int ret;

	*n = 0;
	if (page) {
		uint64_t at = blk;

		while (at < end &&
		       __atomic_load_n(&page->entry[at % VHD_PAGE_ENTRIES],
				       __ATOMIC_ACQUIRE) == VHD_UNALLOCATED)
			at++;
		*n = at - blk;
		return 0;
	}
	ret = dev_read(v->file, raw, (size_t)(end - blk) * sizeof(raw[0]),
		       v->header.bat_off + blk * sizeof(raw[0]));
	if (!ret && all_ones(raw, (size_t)(end - blk) * sizeof(raw[0])))
		*n = end - blk;
	return ret;
}

static int layer_in_block(struct vhd *v, struct vhd_block *b, uint64_t off,
			  struct layer_run *run)
{
	uint32_t in = (uint32_t)(off & (v->header.block_size - 1));
	uint32_t first = in / VHD_SECTOR, n = 0;
	uint32_t end = (uint32_t)div_up(in + run->len, VHD_SECTOR);
	bool here = true;
	int ret;

	if (b->full)
		return 0;
	ret = vhd_bitmap_run(v, b, first, end - first, &here, &n);
	if (ret)
		return ret;
	run->len = min_of(run->len, (uint64_t)n * VHD_SECTOR -
				    in % VHD_SECTOR);
	run->kind = here ? LAYER_DATA : LAYER_PARENT;
	return 0;
}

static int layer_piece(struct vhd *v, uint64_t off, uint64_t len,
		       struct layer_run *run)
{
	uint64_t blk = off >> v->block_shift, n;
	uint64_t in = off & (v->header.block_size - 1);
	struct vhd_block b;
	int ret = absent_blocks(v, blk, &n);

	if (ret)
		return ret;
	if (n) {
		run->kind = LAYER_PARENT;
		run->len = min_of(len, (n << v->block_shift) - in);
		return 0;
	}
	ret = vhd_bat_get(v, blk, &b);
	if (ret)
		return ret;
	run->kind = b.start ? LAYER_DATA : LAYER_PARENT;
	run->len = min_of(len, v->header.block_size - in);
	return b.start ? layer_in_block(v, &b, off, run) : 0;
}

int vhd_layer(struct vhd *v, uint64_t off, uint64_t len,
	      struct layer_run *runs, int max)
{
	int n = 0;

	if (max < 1 || !len || !range_within(off, len, dev_size(&v->dev)))
		return -EINVAL;
	if (v->info.type == VHD_FIXED) {
		runs[0] = (struct layer_run) { LAYER_DATA, len };
		return 1;
	}
	for (uint32_t i = 0; len && i < PIECES_MAX; i++) {
		struct layer_run run;
		uint64_t added;
		int ret = layer_piece(v, off, len, &run);

		/* What was found before an error is still true. */
		if (ret)
			return n ? n : ret;
		n = layer_run_add(runs, n, max, run, &added);
		if (!added)
			break;
		off += added;
		len -= added;
	}
	return n;
}
