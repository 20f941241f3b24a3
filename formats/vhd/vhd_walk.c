/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole BAT as it lies in the file: FORMAT.md 5.1. */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

/* Bytes that are read at a time. */
#define STEP (64u << 10)

int vhd_walk(struct vhd *v, vhd_entry_fn emit, void *ctx)
{
	be32_t *raw = mem_alloc(STEP, 1);
	uint64_t n = v->header.n_entries, blk = 0;
	int ret = raw ? 0 : -ENOMEM;

	while (!ret && blk < n) {
		size_t k = (size_t)min_of(n - blk, (uint64_t)STEP / 4);

		ret = dev_read(v->file, raw, k * 4,
			       v->header.bat_off + blk * 4);
		for (size_t i = 0; !ret && i < k; i++)
			if (be32(raw[i]) != VHD_UNALLOCATED)
				ret = emit(ctx, blk + i, be32(raw[i]));
		blk += k;
	}
	free(raw);
	return ret;
}

struct range {
	uint64_t off, len, block_bytes;
};

static int hits(void *ctx, uint64_t blk, uint32_t sector)
{
	const struct range *r = ctx;

	(void)blk;
	return ranges_overlap(r->off, r->len, (uint64_t)sector * VHD_SECTOR,
			      r->block_bytes);
}

int vhd_walk_free(struct vhd *v, uint64_t off, uint64_t len)
{
	struct range r = { off, len, vhd_block_bytes(v) };
	int ret;

	if (!range_within(off, len, v->footer.off) ||
	    ranges_overlap(off, len, 0, VHD_SECTOR) ||
	    ranges_overlap(off, len, v->footer.data_off,
			   sizeof(struct vhd_header_disk)) ||
	    ranges_overlap(off, len, v->header.bat_off,
			   round_up(v->header.n_entries * 4, VHD_SECTOR)))
		return 0;
	ret = vhd_walk(v, hits, &r);
	return ret < 0 ? ret : !ret;
}
