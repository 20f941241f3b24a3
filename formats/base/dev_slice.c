/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/dev_slice.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

struct dev_slice {
	struct dev dev;
	struct dev *base;	/* not owned */
	uint64_t start;
};

static struct dev_slice *slice_of(struct dev *dev)
{
	return container_of(dev, struct dev_slice, dev);
}

static void slice_close(struct dev *dev)
{
	free(slice_of(dev));
}

static int slice_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	struct dev_slice *s = slice_of(dev);

	return dev_read(s->base, buf, len, s->start + off);
}

static int slice_write(struct dev *dev, const void *buf, size_t len,
		       uint64_t off)
{
	struct dev_slice *s = slice_of(dev);

	return dev_write(s->base, buf, len, s->start + off);
}

static int slice_zero(struct dev *dev, uint64_t off, uint64_t len, bool unmap)
{
	struct dev_slice *s = slice_of(dev);

	return dev_zero(s->base, s->start + off, len, unmap);
}

static int slice_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	struct dev_slice *s = slice_of(dev);

	return dev_discard(s->base, s->start + off, len);
}

static int slice_flush(struct dev *dev)
{
	return dev_flush(slice_of(dev)->base);
}

static int slice_map(struct dev *dev, uint64_t off, uint64_t len,
		     struct dev_run *runs, int max)
{
	struct dev_slice *s = slice_of(dev);

	return dev_map(s->base, s->start + off, len, runs, max);
}

static int slice_begin_write(struct dev *dev, struct diag *why)
{
	return dev_begin_write(slice_of(dev)->base, why);
}

static int slice_check_write(struct dev *dev, struct diag *why)
{
	return dev_check_write(slice_of(dev)->base, why);
}

static const struct dev_ops slice_ops = {
	.name = "slice",
	.close = slice_close,
	.read = slice_read,
	.write = slice_write,
	.zero = slice_zero,
	.discard = slice_discard,
	.flush = slice_flush,
	.map = slice_map,
	.begin_write = slice_begin_write,
	.check_write = slice_check_write,
};

int dev_slice_new(struct dev *base, uint64_t off, uint64_t len,
		  struct dev **out, struct diag *why)
{
	struct dev_slice *s;

	if (!range_within(off, len, dev_size(base)))
		return diag_fail(why, ERR_CORRUPT,
				 "slice: %llu bytes at %llu end beyond %llu",
				 (unsigned long long)len,
				 (unsigned long long)off,
				 (unsigned long long)dev_size(base));
	s = mem_new(struct dev_slice);
	if (!s)
		return diag_fail(why, ENOMEM, "slice: out of memory");
	s->dev = (struct dev) {
		.ops = &slice_ops, .size = len,
		.sector_size = base->sector_size,
		.phys_sector_size = base->phys_sector_size,
		.writable = base->writable, .writing = base->writing,
	};
	s->base = base;
	s->start = off;
	*out = &s->dev;
	return 0;
}
