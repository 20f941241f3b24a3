/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/dev_ram.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/map.h"

/* Stands in the map for a page of zeros: a log may clear far more than memory
 * should hold. Never written, never freed. */
static uint8_t zero_page[DEV_RAM_PAGE];

struct dev_ram {
	struct dev dev;
	struct dev *base;	/* not owned */
	pthread_rwlock_t lock;	/* guards pages and through */
	struct map pages;	/* page index -> DEV_RAM_PAGE bytes, owned */
	bool through;		/* applied: only a window on base now */
};

static struct dev_ram *ram_of(const struct dev *dev)
{
	return container_of((struct dev *)(uintptr_t)dev, struct dev_ram, dev);
}

static void drop_pages(struct dev_ram *r)
{
	uint64_t key;
	void *page;

	for (size_t i = 0; map_next(&r->pages, &i, &key, &page);)
		if (page != zero_page)
			free(page);
	map_free(&r->pages);
}

static void ram_close(struct dev *dev)
{
	struct dev_ram *r = ram_of(dev);

	drop_pages(r);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

/* Bytes of base; zeros behind its end. */
static int read_base(struct dev_ram *r, uint8_t *buf, size_t len, uint64_t off)
{
	uint64_t size = dev_size(r->base);
	size_t have =
		off >= size ? 0 : (size_t)min_of((uint64_t)len, size - off);

	memset(buf + have, 0, len - have);
	return dev_read(r->base, buf, have, have ? off : 0);
}

/* Bytes from off up to which all pages are in memory, or all are not. */
static size_t same_kind(struct dev_ram *r, uint64_t off, uint64_t len,
			void **page)
{
	uint64_t idx = off / DEV_RAM_PAGE;
	uint64_t n = DEV_RAM_PAGE - off % DEV_RAM_PAGE;

	*page = map_get(&r->pages, idx);
	if (*page)
		return (size_t)min_of(n, len);
	if (!r->pages.used)
		return (size_t)len;
	while (n < len && !map_get(&r->pages, ++idx))
		n += DEV_RAM_PAGE;
	return (size_t)min_of(n, len);
}

static int ram_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	struct dev_ram *r = ram_of(dev);
	uint8_t *p = buf;
	int ret = 0;

	pthread_rwlock_rdlock(&r->lock);
	while (len && !ret) {
		void *page;
		size_t n = same_kind(r, off, len, &page);

		if (page)
			memcpy(p, (uint8_t *)page + off % DEV_RAM_PAGE, n);
		else
			ret = read_base(r, p, n, off);
		p += n;
		off += n;
		len -= n;
	}
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

/* The page for writing n bytes at off; loaded from base when not covered. */
static int own_page(struct dev_ram *r, uint64_t off, size_t n, uint8_t **out)
{
	uint64_t idx = off / DEV_RAM_PAGE;
	uint8_t *page = map_get(&r->pages, idx);
	int ret = 0;

	if (page && page != zero_page) {
		*out = page;
		return 0;
	}
	if (page)
		page = mem_zalloc(1, DEV_RAM_PAGE);
	else if ((page = mem_alloc(1, DEV_RAM_PAGE)) && n < DEV_RAM_PAGE)
		ret = read_base(r, page, DEV_RAM_PAGE, idx * DEV_RAM_PAGE);
	if (!page)
		return -ENOMEM;
	if (!ret)
		ret = map_put(&r->pages, idx, page);
	if (ret) {
		free(page);
		return ret;
	}
	*out = page;
	return 0;
}

static int write_pages(struct dev_ram *r, const uint8_t *p, size_t len,
		       uint64_t off)
{
	while (len) {
		size_t n = min_of(len, (size_t)(DEV_RAM_PAGE -
						off % DEV_RAM_PAGE));
		uint8_t *page;
		int ret = own_page(r, off, n, &page);

		if (ret)
			return ret;
		memcpy(page + off % DEV_RAM_PAGE, p, n);
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int ram_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	struct dev_ram *r = ram_of(dev);
	int ret;

	pthread_rwlock_rdlock(&r->lock);
	if (r->through) {
		ret = dev_write(r->base, buf, len, off);
		pthread_rwlock_unlock(&r->lock);
		return ret;
	}
	pthread_rwlock_unlock(&r->lock);
	pthread_rwlock_wrlock(&r->lock);
	ret = r->through ? dev_write(r->base, buf, len, off)
			 : write_pages(r, buf, len, off);
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

static int zero_pages(struct dev_ram *r, uint64_t off, uint64_t len)
{
	while (len) {
		uint64_t n = min_of(len, DEV_RAM_PAGE - off % DEV_RAM_PAGE);
		int ret;

		if (n == DEV_RAM_PAGE) {
			void *old = map_get(&r->pages, off / DEV_RAM_PAGE);

			ret = map_put(&r->pages, off / DEV_RAM_PAGE, zero_page);
			if (!ret && old != zero_page)
				free(old);
		} else {
			ret = write_pages(r, zero_page, (size_t)n, off);
		}
		if (ret)
			return ret;
		off += n;
		len -= n;
	}
	return 0;
}

static int ram_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap)
{
	struct dev_ram *r = ram_of(dev);
	int ret;

	pthread_rwlock_wrlock(&r->lock);
	ret = r->through ? dev_zero(r->base, off, len, may_unmap)
			 : zero_pages(r, off, len);
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

static int ram_flush(struct dev *dev)
{
	struct dev_ram *r = ram_of(dev);

	return r->through ? dev_flush(r->base) : 0;
}

static int ram_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct dev_ram *r = ram_of(dev);
	int ret = 0;

	if (r->through)
		ret = dev_resize(r->base, size, why);
	else if (size < dev->size)
		return diag_fail(why, ERR_UNSUPP, "overlay: cannot shrink");
	if (!ret)
		dev_set_size(dev, size);
	return ret;
}

static int map_base(struct dev_ram *r, uint64_t off, uint64_t len,
		    struct dev_run *runs, int max)
{
	uint64_t size = dev_size(r->base);

	if (off < size)
		return dev_map(r->base, off, min_of(len, size - off), runs,
			       max);
	runs[0] = (struct dev_run){.kind = DEV_RUN_ZERO, .fd = -1, .len = len};
	return 1;
}

static int ram_map(struct dev *dev, uint64_t off, uint64_t len,
		   struct dev_run *runs, int max)
{
	struct dev_ram *r = ram_of(dev);
	void *page;
	size_t n;
	int ret = 1;

	pthread_rwlock_rdlock(&r->lock);
	n = same_kind(r, off, len, &page);
	if (page)
		runs[0] = (struct dev_run) {
			.kind = page == zero_page ? DEV_RUN_ZERO : DEV_RUN_READ,
			.fd = -1, .len = n,
		};
	else
		ret = map_base(r, off, n, runs, max);
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

static const struct dev_ops ram_ops = {
	.name = "overlay",
	.close = ram_close,
	.read = ram_read,
	.write = ram_write,
	.zero = ram_zero,
	.resize = ram_resize,
	.flush = ram_flush,
	.map = ram_map,
};

int dev_ram_new(struct dev *base, struct dev **out, struct diag *why)
{
	struct dev_ram *r = mem_new(struct dev_ram);

	if (!r)
		return diag_fail(why, ENOMEM, "overlay: out of memory");
	r->dev = (struct dev) {
		.ops = &ram_ops, .size = dev_size(base),
		.sector_size = base->sector_size,
		.phys_sector_size = base->phys_sector_size,
		.writable = true, .writing = true,
	};
	r->base = base;
	pthread_rwlock_init(&r->lock, NULL);
	*out = &r->dev;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct map_slot *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Pages as a sorted array: writes go out in ascending order. */
static struct map_slot *sorted_pages(struct dev_ram *r)
{
	struct map_slot *all = mem_alloc(r->pages.used, sizeof(*all));
	size_t n = 0;

	if (!all)
		return NULL;
	for (size_t i = 0; map_next(&r->pages, &i, &all[n].key, &all[n].value);)
		if (++n == r->pages.used)
			break;
	qsort(all, n, sizeof(*all), by_key);
	return all;
}

int dev_ram_apply(struct dev *dev)
{
	struct dev_ram *r = ram_of(dev);
	struct map_slot *all;
	int ret = 0;

	pthread_rwlock_wrlock(&r->lock);
	all = sorted_pages(r);
	if (!all)
		ret = -ENOMEM;
	for (size_t i = 0; !ret && i < r->pages.used; i++) {
		uint64_t off = all[i].key * DEV_RAM_PAGE;
		uint64_t left = dev_size(dev) - off;

		ret = dev_write(r->base, all[i].value,
				(size_t)min_of(left, (uint64_t)DEV_RAM_PAGE),
				off);
	}
	free(all);
	if (!ret) {
		drop_pages(r);
		r->through = true;
	}
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

size_t dev_ram_pages(const struct dev *dev)
{
	return ram_of(dev)->pages.used;
}
