/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/dev.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"

void dev_close(struct dev *dev)
{
	if (dev)
		dev->ops->close(dev);
}

uint64_t dev_size(const struct dev *dev)
{
	return __atomic_load_n(&dev->size, __ATOMIC_ACQUIRE);
}

void dev_set_size(struct dev *dev, uint64_t size)
{
	__atomic_store_n(&dev->size, size, __ATOMIC_RELEASE);
}

int dev_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	if (!range_within(off, len, dev_size(dev)))
		return -EINVAL;
	return len ? dev->ops->read(dev, buf, len, off) : 0;
}

static int may_write(const struct dev *dev, uint64_t off, uint64_t len)
{
	if (!__atomic_load_n(&dev->writing, __ATOMIC_ACQUIRE))
		return -EROFS;
	return range_within(off, len, dev_size(dev)) ? 0 : -ENOSPC;
}

int dev_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	int ret = may_write(dev, off, len);

	if (ret || !len)
		return ret;
	return dev->ops->write(dev, buf, len, off);
}

static int write_zeros(struct dev *dev, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[64 << 10];

	while (len) {
		size_t n = min_of(len, (uint64_t)sizeof(zeros));
		int ret = dev->ops->write(dev, zeros, n, off);

		if (ret)
			return ret;
		off += n;
		len -= n;
	}
	return 0;
}

int dev_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap)
{
	int ret = may_write(dev, off, len);

	if (ret || !len)
		return ret;
	if (!dev->ops->zero)
		return write_zeros(dev, off, len);
	return dev->ops->zero(dev, off, len, may_unmap);
}

int dev_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	int ret = may_write(dev, off, len);

	if (ret || !len || !dev->ops->discard)
		return ret;
	return dev->ops->discard(dev, off, len);
}

int dev_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	if (!dev->writing)
		return diag_fail(why, EROFS, "%s: not open for writing",
				 dev->ops->name);
	if (!dev->ops->resize)
		return diag_fail(why, ERR_UNSUPP, "%s: cannot be resized",
				 dev->ops->name);
	return dev->ops->resize(dev, size, why);
}

int dev_flush(struct dev *dev)
{
	return dev->writing && dev->ops->flush ? dev->ops->flush(dev) : 0;
}

int dev_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	    int max)
{
	if (max < 1 || !len || !range_within(off, len, dev_size(dev)))
		return -EINVAL;
	if (dev->ops->map)
		return dev->ops->map(dev, off, len, runs, max);
	runs[0] = (struct dev_run){.kind = DEV_RUN_READ, .fd = -1, .len = len};
	return 1;
}

int dev_begin_write(struct dev *dev, struct diag *why)
{
	int ret;

	if (dev->writing)
		return 0;
	if (!dev->writable)
		return diag_fail(why, EROFS, "%s: open read-only",
				 dev->ops->name);
	ret = dev->ops->begin_write ? dev->ops->begin_write(dev, why) : 0;
	if (!ret)
		__atomic_store_n(&dev->writing, true, __ATOMIC_RELEASE);
	return ret;
}

int dev_check_write(struct dev *dev, struct diag *why)
{
	if (dev->writing)
		return 0;
	if (!dev->writable)
		return diag_fail(why, EROFS, "%s: open read-only",
				 dev->ops->name);
	return dev->ops->check_write ? dev->ops->check_write(dev, why) : 0;
}

static bool continues(const struct dev_run *a, const struct dev_run *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind != DEV_RUN_FD ||
	       (a->fd == b->fd && a->off + a->len == b->off);
}

int dev_run_add(struct dev_run *runs, int n, int max, struct dev_run run)
{
	if (!run.len)
		return n;
	if (n && continues(&runs[n - 1], &run)) {
		runs[n - 1].len += run.len;
		return n;
	}
	if (n == max)
		return n;
	runs[n] = run;
	return n + 1;
}
