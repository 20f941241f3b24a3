/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the youngest file of a chain down to the one that knows. */
#include <errno.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "tools/imgctl_map.h"

static int layer(const struct disk_link *k, uint64_t off, uint64_t len,
		 struct layer_run *run)
{
	if (k->format == DISK_VHD)
		return vhd_layer(k->container, off, len, run, 1);
	if (k->format == DISK_VHDX)
		return vhdx_layer(k->container, off, len, run, 1);
	*run = (struct layer_run) { LAYER_DATA, len };
	return 1;
}

static int ask(struct disk *d, size_t i, struct imgctl_range *r,
	       struct layer_run *run, struct diag *why)
{
	const struct disk_link *k = disk_link(d, i);
	int n = layer(k, r->off, r->len, run);

	if (n == 1 && run->len && run->len <= r->len)
		return 0;
	return diag_fail(why, n < 0 ? n : EIO, "%s: cannot read at %llu",
			 k->path, (unsigned long long)r->off);
}

/* r has off and the most that is wanted; gets the rest, and perhaps less. */
static int resolve(struct disk *d, size_t first, bool alone,
		   struct imgctl_range *r, struct diag *why)
{
	size_t end = alone ? first + 1 : disk_depth(d);

	r->kind = IMGCTL_NOTHING;
	r->link = 0;
	for (size_t i = first; i < end; i++) {
		struct layer_run run;
		uint64_t size = disk_link(d, i)->size;
		int ret;

		/* A parent that is smaller ends in zeros. */
		if (r->off >= size)
			return 0;
		r->len = min_of(r->len, size - r->off);
		ret = ask(d, i, r, &run, why);
		if (ret)
			return ret;
		r->len = run.len;
		if (run.kind == LAYER_PARENT)
			continue;
		r->kind = run.kind == LAYER_DATA ? IMGCTL_DATA : IMGCTL_ZERO;
		r->link = i;
		return 0;
	}
	return 0;
}

int imgctl_map_walk(struct disk *d, size_t first, bool alone,
		    imgctl_range_fn fn, void *ctx, struct diag *why)
{
	struct imgctl_range have = { 0 };
	uint64_t size = disk_link(d, first)->size;
	int ret = 0;

	for (uint64_t off = 0; off < size && !ret;) {
		struct imgctl_range r = { .off = off, .len = size - off };

		ret = resolve(d, first, alone, &r, why);
		if (ret)
			return ret;
		off += r.len;
		if (have.len && have.kind == r.kind && have.link == r.link) {
			have.len += r.len;
			continue;
		}
		if (have.len)
			ret = fn(ctx, &have);
		have = r;
	}
	return ret || !have.len ? ret : fn(ctx, &have);
}
