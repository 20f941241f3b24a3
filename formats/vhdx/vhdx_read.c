/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: where the disk's bytes are, and reading them (FORMAT.md 7). */
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

struct piece {
	enum { IN_FILE, IN_PARENT, ZEROS } where;
	uint64_t off;		/* in the file; for the parent the disk's */
	uint64_t len;
};

/* The first piece of [off, off + len), which may be shorter. */
static int resolve(struct vhdx *x, uint64_t off, uint64_t len, struct piece *p)
{
	uint64_t blk = off >> x->block_shift;
	uint64_t in = off & (vhdx_block_size(x) - 1);
	struct vhdx_bat e;
	bool here = false;
	int ret = vhdx_bat_get(x, blk, &e);

	if (ret)
		return ret;
	*p = (struct piece) {
		.where = ZEROS, .len = min_of(len, vhdx_block_size(x) - in),
	};
	if (e.state == VHDX_FULL) {
		p->where = IN_FILE;
	} else if (e.state == VHDX_PARTIAL) {
		ret = vhdx_bitmap_run(x, off, p->len, &here, &p->len);
		p->where = here ? IN_FILE : IN_PARENT;
	} else if (e.state == VHDX_NOT_PRESENT && x->info.has_parent) {
		p->where = IN_PARENT;
	}
	p->off = p->where == IN_FILE ? e.off + in : off;
	if (p->where != IN_PARENT || ret)
		return ret;
	if (!x->parent)
		return -ESTALE;
	/* Behind a smaller parent's end there are zeros. */
	if (off >= dev_size(x->parent))
		p->where = ZEROS;
	else
		p->len = min_of(p->len, dev_size(x->parent) - off);
	return 0;
}

int vhdx_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	uint8_t *out = buf;

	while (len) {
		struct piece p;
		int ret = resolve(x, off, len, &p);

		if (ret)
			return ret;
		if (p.where == ZEROS)
			memset(out, 0, (size_t)p.len);
		else
			ret = dev_read(p.where == IN_FILE ? x->io : x->parent,
				       out, (size_t)p.len, p.off);
		if (ret)
			return ret;
		out += p.len;
		off += p.len;
		len -= (size_t)p.len;
	}
	return 0;
}

static int map_piece(struct vhdx *x, const struct piece *p,
		     struct dev_run *runs, int max)
{
	if (p->where != ZEROS)
		return dev_map(p->where == IN_FILE ? x->io : x->parent, p->off,
			       p->len, runs, max);
	runs[0] = (struct dev_run) {
		.kind = DEV_RUN_ZERO, .fd = -1, .len = p->len,
	};
	return 1;
}

/* Adds what map_piece found; *covered tells how much of the piece that was. */
static int add_runs(struct dev_run *runs, int n, int max,
		    const struct dev_run *more, int n_more, uint64_t *covered)
{
	*covered = 0;
	for (int i = 0; i < n_more; i++) {
		uint64_t before = n ? runs[n - 1].len : 0;
		int now = dev_run_add(runs, n, max, more[i]);

		if (now == n && (!n || runs[n - 1].len == before))
			return n;
		n = now;
		*covered += more[i].len;
	}
	return n;
}

int vhdx_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	     int max)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	int n = 0;

	while (len) {
		struct dev_run more[8];
		struct piece p;
		uint64_t covered;
		int ret = resolve(x, off, len, &p);

		if (!ret)
			ret = map_piece(x, &p, more,
					min_of(max, (int)ARRAY_LEN(more)));
		if (ret < 0)
			return n ? n : ret;
		n = add_runs(runs, n, max, more, ret, &covered);
		if (!covered)
			break;
		off += covered;
		len -= covered;
	}
	return n;
}
