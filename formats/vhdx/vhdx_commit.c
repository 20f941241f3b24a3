/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: the group commit (FORMAT.md 10.3). A flush is
 *
 *	payload			(and bitmap blocks that nothing shows yet)
 *	barrier
 *	log entries with every changed page
 *	barrier			the commit point
 *	the pages in place	durable with the next flush's first barrier,
 *				only then the log's tail moves on
 *
 * Entries of one flush come into force one by one in a crash, so the order of
 * the pages matters: bitmaps first (bits of a block that is not partial yet
 * mean nothing), then the BAT from its end down (a bitmap block's entry lies
 * behind those of its blocks).
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

struct shot {
	uint64_t off, changes;
	bool bat, direct;
	uint8_t *data;		/* in batch.data */
};

/* The dirty pages as they were at one moment. */
struct batch {
	struct shot *shots;
	struct vhdx_image *images;
	uint8_t *data;
	size_t n, n_direct;	/* direct ones come first */
	size_t done;		/* how many are applied */
	struct map shown;	/* bitmap blocks that it shows; if it fails,
				 * their pages take the long way next time */
};

static void batch_free(struct batch *b)
{
	free(b->shots);
	free(b->images);
	free(b->data);
	map_free(&b->shown);
}

static int by_order(const void *a, const void *b)
{
	const struct shot *p = a, *q = b;

	if (p->direct != q->direct)
		return p->direct ? -1 : 1;
	if (p->bat != q->bat)
		return p->bat ? 1 : -1;
	return (p->off < q->off ? -1 : 1) * (p->bat ? -1 : 1);
}

static void take_shot(struct vhdx *x, struct batch *b,
		      const struct vhdx_page *page)
{
	struct shot *s = &b->shots[b->n];

	*s = (struct shot) {
		.off = page->idx * VHDX_PAGE, .changes = page->changes,
		.data = b->data + b->n * VHDX_PAGE,
	};
	s->bat = range_within(s->off - x->bat.off, VHDX_PAGE, x->bat.len);
	s->direct = map_get(&x->new_chunks, s->off / VHDX_MIB) != NULL;
	b->n_direct += s->direct;
	memcpy(s->data, page->data, VHDX_PAGE);
	b->n++;
}

/* Needs lock, so that no change is half done. */
static int snapshot(struct vhdx *x, struct batch *b)
{
	size_t n = vhdx_pages_dirty(x);

	b->shots = mem_alloc(n, sizeof(*b->shots));
	b->images = mem_alloc(n, sizeof(*b->images));
	b->data = mem_alloc(n, VHDX_PAGE);
	if (!b->shots || !b->images || !b->data)
		return -ENOMEM;
	pthread_rwlock_rdlock(&x->pages.lock);
	for (size_t i = 0; i < x->pages.n && b->n < n; i++)
		if (x->pages.ring[i]->dirty)
			take_shot(x, b, x->pages.ring[i]);
	pthread_rwlock_unlock(&x->pages.lock);
	qsort(b->shots, b->n, sizeof(*b->shots), by_order);
	for (size_t i = 0; i < b->n; i++)
		b->images[i] = (struct vhdx_image) {
			b->shots[i].off, b->shots[i].data,
		};
	x->log.last_size = round_up(x->space.end, VHDX_MIB);
	b->shown = x->new_chunks;
	x->new_chunks = (struct map) { 0 };
	return 0;
}

static int batch_take(struct vhdx *x, struct batch *b)
{
	int ret = 0;

	pthread_mutex_lock(&x->lock);
	if (x->regions_differ && vhdx_pages_dirty(x))
		ret = vhdx_region_repair(x);
	if (!ret)
		ret = snapshot(x, b);
	pthread_mutex_unlock(&x->lock);
	return ret;
}

static int write_pages(struct vhdx *x, const struct vhdx_image *images,
		       size_t n)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++)
		ret = dev_write(x->file, images[i].data, VHDX_PAGE,
				images[i].off);
	return ret;
}

/* Everything before is durable, so a new sequence may begin at the head. */
static int payload_barrier(struct vhdx *x)
{
	uint64_t size = dev_size(x->file);
	int ret;

	__atomic_store_n(&x->wrote, false, __ATOMIC_RELEASE);
	ret = vhdx_barrier(x);
	if (ret)
		return ret;
	x->log.flushed_size = round_down(size, VHDX_MIB);
	x->log.tail = x->log.head;
	return 0;
}

static int commit_some(struct vhdx *x, const struct vhdx_image *images,
		       size_t n)
{
	uint32_t start = x->log.head;
	int ret = vhdx_logw_append(x, images, n);

	if (!ret)
		ret = vhdx_barrier(x);
	if (ret)
		return ret;
	x->log.kept = x->log.tail;
	ret = write_pages(x, images, n);
	/* The log has them; this session can't say what the file shows. */
	if (ret)
		vhdx_fail(x);
	/* The next barrier makes these pages durable, not an earlier one. */
	x->log.tail = start;
	return ret;
}

static int commit_all(struct vhdx *x, struct batch *b)
{
	int ret = write_pages(x, b->images, b->n_direct);

	if (!ret && b->n > b->n_direct && !x->log.active)
		ret = vhdx_logw_start(x);
	if (!ret)
		ret = payload_barrier(x);
	if (!ret)
		b->done = b->n_direct;
	while (!ret && b->done < b->n) {
		size_t n = vhdx_logw_room(x, b->n - b->done);

		ret = commit_some(x, b->images + b->done, n);
		if (!ret)
			b->done += n;
	}
	return ret;
}

/* Pages that did not change since they were taken are clean now. */
static void batch_done(struct vhdx *x, struct batch *b)
{
	pthread_rwlock_wrlock(&x->pages.lock);
	for (size_t i = 0; i < b->done; i++) {
		struct vhdx_page *page = map_get(&x->pages.map,
						 b->shots[i].off / VHDX_PAGE);

		if (page && page->changes == b->shots[i].changes) {
			page->dirty = false;
			x->pages.n_dirty--;
		}
	}
	__atomic_add_fetch(&x->pages.epoch, 1, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&x->pages.lock);
}

static int flush_locked(struct vhdx *x)
{
	struct batch b = { 0 };
	int ret;

	if (vhdx_failed(x))
		return -EIO;
	if (!__atomic_load_n(&x->wrote, __ATOMIC_ACQUIRE) &&
	    !vhdx_pages_dirty(x))
		return 0;
	ret = batch_take(x, &b);
	if (!ret) {
		ret = commit_all(x, &b);
		batch_done(x, &b);
	}
	batch_free(&b);
	return ret;
}

int vhdx_flush(struct dev *dev)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	int ret;

	pthread_mutex_lock(&x->flush_lock);
	ret = flush_locked(x);
	pthread_mutex_unlock(&x->flush_lock);
	return ret;
}
