/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A chain as a picture: on top the disk as it is seen, below it a lane for
 * each file, the youngest first, so that looking down from the top one meets
 * what serves. Ranges are summed into columns of a pixel: the picture stays
 * small however many ranges there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "tools/imgctl_svg.h"

struct fill {
	struct imgctl_pic *p;
	bool own;		/* what a link says alone */
	struct imgctl_lane *lane;
};

static void add_bytes(struct imgctl_col *cols, const struct imgctl_range *r,
		      double scale, size_t field)
{
	double at = (double)r->off * scale;
	double end = (double)(r->off + r->len) * scale;

	for (size_t x = (size_t)at; x < IMGCTL_COLS && (double)x < end; x++) {
		double from = max_of(at, (double)x);
		double to = min_of(end, (double)x + 1);

		cols[x].part[field] += (float)(to - from);
	}
}

static int add_range(void *ctx, const struct imgctl_range *r)
{
	struct fill *f = ctx;
	struct imgctl_pic *p = f->p;
	struct imgctl_lane *lane = f->own ? f->lane : &p->lanes[r->link];
	double scale = IMGCTL_COLS / (double)p->size;

	if (r->kind == IMGCTL_NOTHING)
		return 0;
	if (f->own && r->kind == IMGCTL_DATA) {
		lane->own += r->len;
		add_bytes(lane->cols, r, scale, IMGCTL_OWN);
	} else if (!f->own && r->kind == IMGCTL_DATA) {
		lane->served += r->len;
		add_bytes(lane->cols, r, scale, IMGCTL_SERVED);
	} else if (!f->own) {
		lane->zero += r->len;
		add_bytes(lane->cols, r, scale, IMGCTL_HIDE);
	}
	return 0;
}

static int measure(struct imgctl_pic *p, struct diag *why)
{
	struct fill seen = { .p = p };
	int ret = imgctl_map_walk(p->d, 0, false, add_range, &seen, why);

	for (size_t i = 0; i < p->n && !ret; i++) {
		struct fill own = { .p = p, .own = true,
				    .lane = &p->lanes[i] };

		ret = imgctl_map_walk(p->d, i, true, add_range, &own, why);
	}
	return ret;
}

int imgctl_svg(struct disk *d, FILE *out, struct diag *why)
{
	struct imgctl_pic p = {
		.d = d, .out = out, .n = disk_depth(d),
		.size = max_of(dev_size(disk_dev(d)), (uint64_t)1),
		.lanes = mem_zalloc(disk_depth(d), sizeof(*p.lanes)),
	};
	int ret = p.lanes ? measure(&p, why)
		  : diag_fail(why, ENOMEM, "out of memory");

	if (!ret)
		imgctl_svg_draw(&p);
	if (!ret && ferror(out))
		ret = diag_fail(why, EIO, "cannot write the picture");
	free(p.lanes);
	return ret;
}
