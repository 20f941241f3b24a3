/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/dev_record.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

struct dev_record {
	struct dev dev;
	struct dev *base;	/* owned */
	FILE *log;		/* owned; NULL: only counts */
	pthread_mutex_t lock;	/* keeps the record in the order of effects */
	unsigned long changes, fail_after;
};

static struct dev_record *rec_of(struct dev *dev)
{
	return container_of(dev, struct dev_record, dev);
}

static void rec_close(struct dev *dev)
{
	struct dev_record *r = rec_of(dev);

	if (r->log)
		fclose(r->log);
	dev_close(r->base);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int rec_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	return dev_read(rec_of(dev)->base, buf, len, off);
}

static int may_change(struct dev_record *r)
{
	r->changes++;
	return r->fail_after && r->changes >= r->fail_after ? -EIO : 0;
}

static int rec_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	struct dev_record *r = rec_of(dev);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = may_change(r);
	if (!ret)
		ret = dev_write(r->base, buf, len, off);
	if (!ret && r->log) {
		fprintf(r->log, "W %llu %zu\n", (unsigned long long)off, len);
		fwrite(buf, 1, len, r->log);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int rec_zero(struct dev *dev, uint64_t off, uint64_t len, bool unmap)
{
	struct dev_record *r = rec_of(dev);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = may_change(r);
	if (!ret)
		ret = dev_zero(r->base, off, len, unmap);
	if (!ret && r->log)
		fprintf(r->log, "Z %llu %llu\n", (unsigned long long)off,
			(unsigned long long)len);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int rec_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct dev_record *r = rec_of(dev);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = may_change(r);
	if (!ret)
		ret = dev_resize(r->base, size, why);
	if (!ret) {
		dev_set_size(dev, size);
		if (r->log)
			fprintf(r->log, "S %llu\n", (unsigned long long)size);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int rec_flush(struct dev *dev)
{
	struct dev_record *r = rec_of(dev);
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = may_change(r);
	if (!ret)
		ret = dev_flush(r->base);
	if (!ret && r->log) {
		fputs("F\n", r->log);
		fflush(r->log);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int rec_begin_write(struct dev *dev, struct diag *why)
{
	return dev_begin_write(rec_of(dev)->base, why);
}

static int rec_map(struct dev *dev, uint64_t off, uint64_t len,
		   struct dev_run *runs, int max)
{
	return dev_map(rec_of(dev)->base, off, len, runs, max);
}

static const struct dev_ops rec_ops = {
	.name = "recorder",
	.close = rec_close,
	.read = rec_read,
	.write = rec_write,
	.zero = rec_zero,
	.resize = rec_resize,
	.flush = rec_flush,
	.map = rec_map,
	.begin_write = rec_begin_write,
};

int dev_record_new(struct dev *base, const char *record,
		   unsigned long fail_after, struct dev **out)
{
	struct dev_record *r = mem_new(struct dev_record);

	if (!r)
		return -ENOMEM;
	if (record && !(r->log = fopen(record, "wb"))) {
		free(r);
		return -errno;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->dev = (struct dev) {
		.ops = &rec_ops, .size = dev_size(base),
		.sector_size = base->sector_size,
		.phys_sector_size = base->phys_sector_size,
		.writable = base->writable, .writing = base->writing,
	};
	r->base = base;
	r->fail_after = fail_after;
	*out = &r->dev;
	return 0;
}
