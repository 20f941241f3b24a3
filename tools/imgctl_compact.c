/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl compact: a copy without what is zero, or free in the volumes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_slice.h"
#include "formats/part/part.h"
#include "formats/volume/volume.h"
#include "tools/imgctl_flat.h"

/* Smaller free ranges are copied as they are: naming them costs more. */
#define FREE_MIN (32u << 10)

struct compact {
	struct imgctl_flat flat;
	bool no_free;
	const struct imgctl *c;
	struct imgctl_skip skip;	/* ranges owned */
	size_t room;
	uint64_t base, size;		/* of the volume that is looked at */
};

static int add_free(void *ctx, uint64_t off, uint64_t len)
{
	struct compact *k = ctx;
	struct imgctl_skip *s = &k->skip;

	/* A volume may think that it is larger than where it lies. */
	if (off >= k->size || len < FREE_MIN)
		return 0;
	if (s->n == k->room) {
		size_t room = k->room ? 2 * k->room : 256;
		void *p = mem_realloc(s->ranges, room, sizeof(*s->ranges));

		if (!p)
			return -ENOMEM;
		s->ranges = p;
		k->room = room;
	}
	s->ranges[s->n].off = k->base + off;
	s->ranges[s->n++].len = min_of(len, k->size - off);
	return 0;
}

static void warn(const struct compact *k, unsigned number, const char *text)
{
	if (number)
		fprintf(stderr, "imgctl compact: partition %u: %s: only its "
			"zeros are left out\n", number, text);
	else
		fprintf(stderr, "imgctl compact: %s: only its zeros are left "
			"out\n", text);
}

/* A volume that can't say what is free is copied whole. */
static int look(struct compact *k, struct dev *volume, unsigned number,
		struct diag *why)
{
	struct diag said = DIAG_INIT;
	size_t before = k->skip.n;
	int ret = volume_free_ranges(volume, add_free, k, &said);

	if (!ret)
		return 0;
	if (ret == -ENOMEM)
		return diag_fail(why, ENOMEM, "out of memory");
	k->skip.n = before;
	if (!k->c->json)
		warn(k, number, said.text);
	return 0;
}

static int look_at(struct compact *k, struct dev *disk, const struct part *p,
		   struct diag *why)
{
	struct dev *slice;
	int ret = dev_slice_new(disk, p->off, p->len, &slice, why);

	if (ret)
		return ret;
	k->base = p->off;
	k->size = p->len;
	ret = look(k, slice, p->number, why);
	dev_close(slice);
	return ret;
}

static int by_offset(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

static int prepare(struct imgctl_flat *f, struct disk *d, struct diag *why)
{
	struct compact *k = container_of(f, struct compact, flat);
	struct part_table t;
	int ret = k->no_free ? 0 : part_load(disk_dev(d), &t, why);

	if (ret || k->no_free)
		return ret;
	if (t.scheme == PART_NONE) {
		k->size = dev_size(disk_dev(d));
		ret = look(k, disk_dev(d), 0, why);
	}
	/* Ranges have to ascend; the table's order is that of numbers. */
	if (t.n)
		qsort(t.parts, t.n, sizeof(*t.parts), by_offset);
	for (size_t i = 0; i < t.n && !ret; i++)
		ret = look_at(k, disk_dev(d), &t.parts[i], why);
	part_free(&t);
	f->skip = &k->skip;
	return ret;
}

static int run(struct imgctl *c, void *arg)
{
	struct compact *k = arg;
	int status;

	k->c = c;
	k->flat.prepare = prepare;
	status = imgctl_flatten(c, &k->flat);
	free(k->skip.ranges);
	return status;
}

int imgctl_compact(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, run } };
	struct compact k = { .no_free = false };
	const struct imgctl_opt own[] = {
		{ "format", IMGCTL_TEXT, &k.flat.format },
		{ "type", IMGCTL_TEXT, &k.flat.type },
		{ "block", IMGCTL_SIZE, &k.flat.block },
		{ "no-free", IMGCTL_FLAG, &k.no_free },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, own, 2, 2, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why) : imgctl_by_content(forms, 1, c, &k);
}
