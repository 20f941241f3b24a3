/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a merge has to move: for each range the topmost link above the target
 * that says something about it (VHD FORMAT.md 12.1, VHDX FORMAT.md 13.1). */
#include "formats/base/bounds.h"
#include "formats/merge/merge_int.h"

void merge_walk_reset(struct merge *m)
{
	for (size_t i = 0; i < m->j.target; i++)
		m->links[i].layer_len = 0;
}

int merge_walk_next(void *ctx, uint64_t off, uint64_t max,
		    struct merge_seg *seg)
{
	struct merge *m = ctx;
	int ret = 0;

	*seg = (struct merge_seg) { .kind = MERGE_SKIP, .len = max };
	for (size_t i = 0; i < m->j.target && !ret; i++) {
		struct merge_link *l = &m->links[i];
		uint64_t size = dev_size(l->low), len;
		int kind;

		/* Behind the end of a link between there are zeros, whatever
		 * lies below. */
		if (off >= size) {
			seg->kind = MERGE_ZERO;
			return 0;
		}
		ret = merge_link_layer(l, off, min_of(seg->len, size - off),
				       &kind, &len);
		if (ret)
			return ret;
		seg->len = len;
		if (kind == LAYER_PARENT)
			continue;
		seg->kind = kind == LAYER_ZERO ? MERGE_ZERO : MERGE_DATA;
		seg->src = l->low;
		return 0;
	}
	return ret;
}
