/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: pages of the BAT and of sector bitmaps in memory, loaded on first use.
 * Clean pages give way by a clock; dirty ones stay until they are committed
 * and applied. Readers share a lock and do no I/O under it.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* 3 MiB: with 1 MiB blocks a map of 384 GiB, or the bits of 12 GiB. */
#define PAGES_MAX	768u
/* When a flush is due; leaves room for clean ones. */
#define DIRTY_MAX	384u

int vhdx_pages_init(struct vhdx *x)
{
	pthread_rwlockattr_t attr;
	int ret;

	pthread_rwlockattr_init(&attr);
	/* A stream of readers must not starve the one who brings a page. */
	pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	ret = pthread_rwlock_init(&x->pages.lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -ret;
}

void vhdx_pages_free(struct vhdx *x)
{
	for (size_t i = 0; i < x->pages.n; i++)
		free(x->pages.ring[i]);
	free(x->pages.ring);
	map_free(&x->pages.map);
	pthread_rwlock_destroy(&x->pages.lock);
}

/* A place in the ring whose page may go, or n when all are dirty. */
static size_t find_victim(struct vhdx_pages *p)
{
	for (size_t i = 0; i < 2 * p->n; i++) {
		struct vhdx_page *page = p->ring[p->hand];
		size_t at = p->hand;

		p->hand = (p->hand + 1) % p->n;
		if (page->dirty)
			continue;
		if (!page->used)
			return at;
		page->used = false;
	}
	return p->n;
}

static int ring_grow(struct vhdx_pages *p)
{
	size_t cap = p->cap ? p->cap * 2 : 16;
	struct vhdx_page **bigger;

	if (p->n < p->cap)
		return 0;
	bigger = mem_realloc(p->ring, cap, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	p->ring = bigger;
	p->cap = cap;
	return 0;
}

/* Needs the lock for writing. */
static int insert(struct vhdx_pages *p, struct vhdx_page *page)
{
	size_t at = p->n >= PAGES_MAX ? find_victim(p) : p->n;
	int ret = at == p->n ? ring_grow(p) : 0;

	if (!ret)
		ret = map_put(&p->map, page->idx, page);
	if (ret)
		return ret;
	if (at < p->n) {
		map_del(&p->map, p->ring[at]->idx);
		free(p->ring[at]);
	} else {
		p->n++;
	}
	p->ring[at] = page;
	return 0;
}

/* Brings a page in unless it came meanwhile, or the file's pages changed
 * while this one was read: then the caller looks again. */
static int load(struct vhdx *x, uint64_t idx)
{
	struct vhdx_pages *p = &x->pages;
	struct vhdx_page *page = mem_new(struct vhdx_page);
	uint64_t epoch = __atomic_load_n(&p->epoch, __ATOMIC_ACQUIRE);
	int ret;

	if (!page)
		return -ENOMEM;
	page->idx = idx;
	page->used = true;
	ret = dev_read(x->io, page->data, VHDX_PAGE, idx * VHDX_PAGE);
	if (ret) {
		free(page);
		return ret;
	}
	pthread_rwlock_wrlock(&p->lock);
	if (epoch == p->epoch && !map_get(&p->map, idx)) {
		ret = insert(p, page);
		if (!ret)
			page = NULL;
	}
	pthread_rwlock_unlock(&p->lock);
	free(page);
	return ret;
}

int vhdx_page_get(struct vhdx *x, uint64_t off, const uint8_t **data)
{
	struct vhdx_pages *p = &x->pages;

	for (;;) {
		struct vhdx_page *page;
		int ret;

		pthread_rwlock_rdlock(&p->lock);
		page = map_get(&p->map, off / VHDX_PAGE);
		if (page) {
			if (!__atomic_load_n(&page->used, __ATOMIC_RELAXED))
				__atomic_store_n(&page->used, true,
						 __ATOMIC_RELAXED);
			*data = page->data + off % VHDX_PAGE;
			return 0;
		}
		pthread_rwlock_unlock(&p->lock);
		ret = load(x, off / VHDX_PAGE);
		if (ret)
			return ret;
	}
}

int vhdx_page_edit(struct vhdx *x, uint64_t off, uint8_t **data)
{
	struct vhdx_pages *p = &x->pages;

	for (;;) {
		struct vhdx_page *page;
		int ret;

		pthread_rwlock_wrlock(&p->lock);
		page = map_get(&p->map, off / VHDX_PAGE);
		if (page) {
			p->n_dirty += !page->dirty;
			page->dirty = true;
			page->changes++;
			*data = page->data + off % VHDX_PAGE;
			return 0;
		}
		pthread_rwlock_unlock(&p->lock);
		ret = load(x, off / VHDX_PAGE);
		if (ret)
			return ret;
	}
}

void vhdx_page_put(struct vhdx *x)
{
	pthread_rwlock_unlock(&x->pages.lock);
}

size_t vhdx_pages_dirty(struct vhdx *x)
{
	size_t n;

	pthread_rwlock_rdlock(&x->pages.lock);
	n = x->pages.n_dirty;
	pthread_rwlock_unlock(&x->pages.lock);
	return n;
}

bool vhdx_pages_full(struct vhdx *x)
{
	return vhdx_pages_dirty(x) >= DIRTY_MAX;
}
