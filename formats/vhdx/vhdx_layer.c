/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: what this file of a chain holds itself (FORMAT.md 6.1, 13.1). The BAT
 * of a sparse disk is mostly holes of the file: they are passed by as a whole.
 */
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

static uint64_t bat_idx(const struct vhdx *x, uint64_t blk)
{
	return blk + blk / x->chunk_blocks;
}

/* The block whose entry is at idx, or the next one behind it. */
static uint64_t idx_blk(const struct vhdx *x, uint64_t idx)
{
	return idx - idx / (x->chunk_blocks + 1);
}

/* How many bytes of pages from off on (page-aligned) no page in memory is
 * newer than. */
static uint64_t not_in_memory(struct vhdx *x, uint64_t off, uint64_t len)
{
	uint64_t n = 0;

	pthread_rwlock_rdlock(&x->pages.lock);
	while (n < len && !map_get(&x->pages.map, (off + n) / VHDX_PAGE))
		n += VHDX_PAGE;
	pthread_rwlock_unlock(&x->pages.lock);
	return n;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/* How many bytes of BAT from off in the file on are zeros; 0: look at each
 * entry. */
static int zero_entries(struct vhdx *x, uint64_t off, uint64_t len,
			uint64_t *n)
{
	uint64_t page = round_down(off, VHDX_PAGE);
	uint64_t end = off + len, hole = 0;
	uint64_t left = min_of(len, VHDX_PAGE - off % VHDX_PAGE);
	const uint8_t *p;
	int ret;

	if (not_in_memory(x, page, VHDX_PAGE))
		hole = vhdx_check_hole(x, page, end - page);
	if (hole >= VHDX_PAGE) {
		hole = not_in_memory(x, page, hole);
		*n = min_of(page + hole, end) - off;
		return 0;
	}
	ret = vhdx_page_get(x, off, &p);
	if (ret)
		return ret;
	*n = 0;
	if (all_zero(p, (size_t)left))
		*n = left;
	vhdx_page_put(x);
	return 0;
}

/* How many blocks from blk on, below end, are certain to be NOT_PRESENT. */
static int absent_blocks(struct vhdx *x, uint64_t blk, uint64_t end,
			 uint64_t *n)
{
	uint64_t idx = bat_idx(x, blk), bytes;
	uint64_t last = bat_idx(x, end - 1) + 1;
	int ret = zero_entries(x, x->bat.off + idx * 8, (last - idx) * 8,
			       &bytes);

	if (!ret)
		*n = min_of(idx_blk(x, idx + bytes / 8), end) - blk;
	return ret;
}

static enum layer_kind kind_of(enum vhdx_state state)
{
	switch (state) {
	case VHDX_FULL:
	case VHDX_PARTIAL:
		return LAYER_DATA;
	case VHDX_NOT_PRESENT:
		return LAYER_PARENT;
	default:
		return LAYER_ZERO;
	}
}

static int layer_piece(struct vhdx *x, uint64_t off, uint64_t len,
		       struct layer_run *run)
{
	uint64_t blk = off >> x->block_shift, n;
	uint64_t in = off & (vhdx_block_size(x) - 1);
	uint64_t end = ((off + len - 1) >> x->block_shift) + 1;
	struct vhdx_bat e;
	bool here;
	int ret = absent_blocks(x, blk, end, &n);

	if (!ret && n) {
		run->kind = LAYER_PARENT;
		run->len = min_of(len, (n << x->block_shift) - in);
		return 0;
	}
	if (!ret)
		ret = vhdx_bat_get(x, blk, &e);
	if (ret)
		return ret;
	run->kind = kind_of(e.state);
	run->len = min_of(len, vhdx_block_size(x) - in);
	if (e.state != VHDX_PARTIAL)
		return 0;
	ret = vhdx_bitmap_run(x, off, run->len, &here, &run->len);
	run->kind = here ? LAYER_DATA : LAYER_PARENT;
	return ret;
}

int vhdx_layer(struct vhdx *x, uint64_t off, uint64_t len,
	       struct layer_run *runs, int max)
{
	int n = 0;

	if (max < 1 || !len || !range_within(off, len, dev_size(&x->dev)))
		return -EINVAL;
	while (len) {
		struct layer_run run;
		uint64_t added;
		int ret = layer_piece(x, off, len, &run);

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
