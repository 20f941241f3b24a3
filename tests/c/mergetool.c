/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A merge in place that is stopped at its n-th change, as by a power cut.
 *
 *	mergetool [-n N] [-l SEED] [-d] [-O] CHILD PARENT
 *	mergetool [-n N] [-l SEED] -r TARGET
 *
 * -n: the N-th change (of a file, a size, a name; a flush counts too) and all
 * after it fail. -l: then what was not flushed is lost: all of it (0), or a
 * random part of its sectors. -d removes the merged files, -O orphans others.
 * Says "changes N" at the end; the status is the outcome.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/map.h"
#include "formats/merge/merge.h"

#define SECTOR 512u

struct plan {
	unsigned long changes, stop_at;
	long seed;			/* < 0: nothing is lost */
};

struct fault {
	struct dev dev;
	struct dev *base;		/* owned */
	struct plan *plan;
	struct map old;			/* sector + 1 -> its bytes; owned */
	uint64_t old_size;
};

static struct fault *fault_of(struct dev *dev)
{
	return container_of(dev, struct fault, dev);
}

static int change(struct plan *p)
{
	p->changes++;
	return p->stop_at && p->changes >= p->stop_at ? -EIO : 0;
}

static int fault_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	return dev_read(fault_of(dev)->base, buf, len, off);
}

/* What lies there now comes back if it is lost. */
static int keep(struct fault *f, uint64_t off, uint64_t len)
{
	uint64_t end = min_of(off + len, f->old_size);

	for (uint64_t s = off / SECTOR; s * SECTOR < end; s++) {
		size_t n = (size_t)min_of((uint64_t)SECTOR,
					  f->old_size - s * SECTOR);
		void *copy;

		if (map_get(&f->old, s + 1))
			continue;
		copy = mem_zalloc(1, SECTOR);
		if (!copy || dev_read(f->base, copy, n, s * SECTOR) ||
		    map_put(&f->old, s + 1, copy))
			abort();
	}
	return 0;
}

static int fault_write(struct dev *dev, const void *buf, size_t len,
		       uint64_t off)
{
	struct fault *f = fault_of(dev);
	int ret = change(f->plan);

	if (!ret && f->plan->seed >= 0)
		ret = keep(f, off, len);
	return ret ? ret : dev_write(f->base, buf, len, off);
}

static int fault_zero(struct dev *dev, uint64_t off, uint64_t len, bool unmap)
{
	struct fault *f = fault_of(dev);
	int ret = change(f->plan);

	if (!ret && f->plan->seed >= 0)
		ret = keep(f, off, len);
	return ret ? ret : dev_zero(f->base, off, len, unmap);
}

static int fault_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct fault *f = fault_of(dev);
	uint64_t now = dev_size(f->base);
	int ret = change(f->plan);

	if (ret)
		return diag_fail(why, ret, "stopped");
	if (f->plan->seed >= 0 && size < now)
		keep(f, size, now - size);
	ret = dev_resize(f->base, size, why);
	if (!ret)
		dev_set_size(dev, size);
	return ret;
}

static void forget(struct fault *f)
{
	uint64_t key;
	void *copy;

	for (size_t i = 0; map_next(&f->old, &i, &key, &copy);)
		free(copy);
	map_free(&f->old);
	f->old = (struct map) { 0 };
	f->old_size = dev_size(f->base);
}

static int fault_flush(struct dev *dev)
{
	struct fault *f = fault_of(dev);
	int ret = change(f->plan);

	/* No real sync: the test's power cut is ours. */
	if (!ret)
		forget(f);
	return ret;
}

static int fault_begin(struct dev *dev, struct diag *why)
{
	return dev_begin_write(fault_of(dev)->base, why);
}

static void lose(struct fault *f)
{
	bool all = !f->plan->seed;
	uint64_t key, now = dev_size(f->base);
	void *copy;

	if ((all || rand() % 2) && now > f->old_size)
		dev_resize(f->base, f->old_size, NULL);
	if (now < f->old_size)
		dev_resize(f->base, f->old_size, NULL);
	for (size_t i = 0; map_next(&f->old, &i, &key, &copy);) {
		uint64_t off = (key - 1) * SECTOR;

		if (all || rand() % 2)
			dev_write(f->base, copy, (size_t)min_of(
				  (uint64_t)SECTOR, f->old_size - off), off);
	}
}

static void fault_close(struct dev *dev)
{
	struct fault *f = fault_of(dev);
	struct plan *p = f->plan;

	if (p->stop_at && p->changes >= p->stop_at && p->seed >= 0 &&
	    f->base->writing)
		lose(f);
	forget(f);
	dev_close(f->base);
	free(f);
}

static const struct dev_ops fault_ops = {
	.name = "fault", .close = fault_close, .read = fault_read,
	.write = fault_write, .zero = fault_zero, .resize = fault_resize,
	.flush = fault_flush, .begin_write = fault_begin,
};

static int wrap(void *ctx, struct dev *file, struct dev **out)
{
	struct fault *f = mem_new(struct fault);

	if (!f)
		return -ENOMEM;
	f->plan = ctx;
	f->base = file;
	f->old_size = dev_size(file);
	f->dev = (struct dev) {
		.ops = &fault_ops, .size = dev_size(file),
		.sector_size = file->sector_size,
		.phys_sector_size = file->phys_sector_size,
		.writable = file->writable,
	};
	*out = &f->dev;
	return 0;
}

static int step(void *ctx)
{
	return change(ctx);
}

int main(int argc, char **argv)
{
	struct plan plan = { .seed = -1 };
	struct merge_opts opts = { .remove = false };
	struct merge_job job = { .ctx = &plan, .wrap = wrap, .step = step };
	struct diag why = DIAG_INIT;
	struct merge *m = NULL;
	bool resume = false;
	int c, ret;

	while ((c = getopt(argc, argv, "n:l:drO")) != -1) {
		switch (c) {
		case 'n': plan.stop_at = strtoul(optarg, NULL, 10); break;
		case 'l': plan.seed = atol(optarg); break;
		case 'd': opts.remove = true; break;
		case 'O': opts.orphan_others = true; break;
		case 'r': resume = true; break;
		default: return 1;
		}
	}
	if (argc - optind != (resume ? 1 : 2))
		return 1;
	srand((unsigned)(plan.seed > 0 ? plan.seed : 1));
	ret = resume ? merge_reopen(argv[optind], &opts, &job, &m, &why)
		     : merge_open(argv[optind], argv[optind + 1], &opts, &job,
				  &m, &why);
	if (!ret)
		ret = merge_run(m, &why);
	merge_close(m);
	printf("changes %lu\n", plan.changes);
	if (!ret)
		return 0;
	fprintf(stderr, "%s\n", why.text);
	return (int)outcome_find(why.out)->code;
}
